"""The pictures show the service as it is."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from otp_service.domain.delivery import RANK, DeliveryStatus
from otp_service.domain.verification import ENDED_CODE, Status

from .reading import DOCS, DOCUMENTS, read

MEASURED = {"speed.svg", "guard.svg"}
"""Drawn from a run of the benchmark, see the sizing guide, and of the simulation of the guard."""

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    """The script that draws."""
    spec = importlib.util.spec_from_file_location("draw", DOCS / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_new_drawing_is_what_is_committed(draw: ModuleType) -> None:
    """Byte by byte."""
    assert {path.name for path in DOCS.glob("*.svg")} == {*draw.drawings(), *MEASURED}
    for file, text in draw.drawings().items():
        assert (DOCS / file).read_text(encoding="utf-8") == text, f"run: python deploy/docs/draw.py ({file})"


def test_the_script_says_how_it_is_used() -> None:
    """`--help` works, and needs neither a browser nor a service."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "draw.py"), "--help"], capture_output=True, text=True, check=True, timeout=300
    )
    assert "--phones" in done.stdout


def test_the_states_that_are_drawn_are_those_of_the_domain(draw: ModuleType) -> None:
    """Every state of a verification and of a delivery has a box, and no other box is there."""
    boxes = draw.states().boxes
    deliveries = {name.removeprefix("delivery ") for name in boxes if name.startswith("delivery ")}
    assert deliveries == set(DeliveryStatus) == set(RANK)
    assert {name for name in boxes if not name.startswith("delivery ")} == set(Status)


def test_a_verification_is_drawn_to_end_once(draw: ModuleType) -> None:
    """From pending to each ending that the domain knows, and from nowhere else."""
    arrows = {(arrow.start, arrow.end) for arrow in draw.states().arrows if " " not in arrow.start}
    assert arrows == {("pending", str(ending)) for ending in ENDED_CODE}


def test_the_moves_of_a_delivery_that_are_drawn_are_those_that_its_ranks_allow(draw: ModuleType) -> None:
    """Upwards only, or between the two states of one rank; every state is reached, and every open one is left."""
    moves = {(arrow.start, arrow.end) for arrow in draw.MOVES}
    moves |= {(arrow.end, arrow.start) for arrow in draw.MOVES if arrow.both}
    for start, end in moves:
        low, high = RANK[DeliveryStatus(start)], RANK[DeliveryStatus(end)]
        assert low < high or {start, end} == {"sending", "unknown"}, (start, end)
    assert {end for _, end in moves} == set(DeliveryStatus) - {"queued"}
    # What has a rank above `sent` is moved only by a late report.
    assert {start for start, _ in moves} == {state for state in RANK if RANK[state] <= RANK[DeliveryStatus.SENT]}


def test_a_table_that_does_not_fit_the_ranks_is_refused(draw: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script stops instead of drawing what cannot happen."""
    monkeypatch.setattr(draw, "MOVES", (draw.Arrow("delivered", "queued"),))
    with pytest.raises(ValueError, match="delivered -> queued"):
        draw.states()


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.svg")), ids=lambda path: path.name)
def test_a_drawing_can_be_read_by_everybody(path: Path) -> None:
    """A title and a description for screen readers, and a ground of its own, so that a dark page changes nothing."""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    first, second, _, ground = list(root)[:4]
    assert first.tag == f"{SVG}title"
    assert first.text
    assert second.tag == f"{SVG}desc"
    assert len(second.text or "") > 100
    assert ground.tag == f"{SVG}rect"
    assert ground.get("fill") == "#ffffff"
    assert root.get("aria-labelledby") == f"{first.get('id')} {second.get('id')}"
    size = [float(part) for part in (root.get("viewBox") or "").split()]
    for box in root.iter(f"{SVG}rect"):
        assert float(box.get("x", "0")) + float(box.get("width", "0")) <= size[2]
        assert float(box.get("y", "0")) + float(box.get("height", "0")) <= size[3]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, by WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_contrast_with_its_background(draw: ModuleType) -> None:
    """At least 4.5 to 1, the ratio that WCAG asks for."""
    pairs = [*draw.COLOURS.values(), (draw.INK, "#ffffff")]
    assert min(contrast(*pair) for pair in pairs) >= 4.5


def test_the_screenshot_is_small() -> None:
    """A picture that a reader does not wait for: below 120 kB, and at least as wide as a small window."""
    raw = (DOCS / "phones.png").read_bytes()
    assert raw.startswith(b"\x89PNG\r\n")
    assert len(raw) < 120_000
    width, height = int.from_bytes(raw[16:20], "big"), int.from_bytes(raw[20:24], "big")
    assert 600 <= width <= 1200
    assert 300 <= height <= 900


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    """A sentence or more in place of each picture of each document."""
    found = [
        (document.name, words) for document in DOCUMENTS for words in re.findall(r"!\[([^\]]*)\]\(", read(document))
    ]
    assert len(found) >= 5
    for document, words in found:
        assert len(words) > 60, document

"""What the command prints and draws."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from otp_service.cli.main import main
from otp_service.guard_simulation.figures import Figure
from otp_service.guard_simulation.picture import BARS
from otp_service.guard_simulation.run import DEFENCES

SVG = "{http://www.w3.org/2000/svg}"


TINY = ["guard", "simulate", "--honest-a-day", "40", "--shape", "sequential", "--shape", "outage"]


def test_an_interval_holds_the_mean_of_most_samples() -> None:
    """Student's t for few seeds; none for one."""
    figure = Figure.of([1.0, 2.0, 3.0])
    assert figure.mean == 2
    assert figure.reach == pytest.approx(2.48, abs=0.01)
    assert figure.text(1) == "2.0 ± 2.5"
    assert Figure.of([5.0]).text() == "5"


def test_the_command_prints_json_and_draws(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One row for each shape and defence; the picture has a bar for each attack and defence, and can be read."""
    picture = tmp_path / "guard.svg"
    assert main([*TINY, "--seeds", "2", "--seed", "5", "--json", "--picture", str(picture)]) == 0
    said = json.loads(capsys.readouterr().out)
    (volume,) = said["volumes"]
    assert [(one["shape"], one["defence"]) for one in volume["rows"]] == [
        (shape, defence) for shape in ("sequential", "outage") for defence in DEFENCES
    ]
    assert said["aims_missed"] == []
    root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    bars = [float(one.get("width", "")) for one in root.iter(f"{SVG}rect")][1:]
    assert len(bars) == 3
    assert all(0 < width <= BARS for width in bars)
    assert "Numbers in sequence from one address, the guard: 1" in (root.findtext(f"{SVG}desc") or "")


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """And says whether the guard reaches its aims; a picture that cannot be written is one sentence."""
    assert main([*TINY, "--seeds", "1"]) == 0
    text = capsys.readouterr().out
    assert "40 honest starts a day" in text
    assert "reaches all of its aims" in text
    assert main([*TINY[:-2], "--seeds", "1", "--picture", str(tmp_path / "none" / "x.svg")]) == 1
    assert "cannot write" in capsys.readouterr().err
    assert main([*TINY, "--shape", "none"]) == 1
    assert "there is no shape 'none' (there: sequential, one_block" in capsys.readouterr().err

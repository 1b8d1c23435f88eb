"""The picture of the results."""

from xml.etree import ElementTree

import pytest

from .measure import Leg
from .picture import BARS, draw

SVG = "{http://www.w3.org/2000/svg}"


def leg(target: str, per_s: float, row: str = "check, 16 connections") -> Leg:
    """A leg with a speed."""
    return Leg(row, target, 1, per_s, 1.0, 2.0, {}, 0.0, 0)


def test_bars_are_as_long_as_the_figures_are_large() -> None:
    """The fastest fills the width, and each figure stands beside its bar."""
    legs = [leg("ours", 1000), leg("a & b", 250), leg("ours", 9000, "check, 64 connections")]
    root = ElementTree.fromstring(draw(legs, {"machine": "two cores"}))
    bars = [float(one.get("width", "")) for one in root.iter(f"{SVG}rect")][1:]
    assert bars == [BARS, BARS / 4]
    words = [one.text for one in root.iter(f"{SVG}text")]
    assert words == ["check", "ours", "1,000", "a & b", "250"]


def test_the_picture_can_be_read_by_everybody() -> None:
    """A title, the figures as sentences, a white ground, and nothing outside of it."""
    root = ElementTree.fromstring(draw([leg("ours", 1000), leg("theirs", 1)], {"machine": "two cores"}))
    title, about, _, ground = list(root)[:4]
    assert title.text
    assert "check, 16 connections: ours 1,000, theirs 1. Measured on two cores." in (about.text or "")
    assert ground.get("fill") == "#ffffff"
    width, height = [float(part) for part in root.get("viewBox", "").split()][2:]
    for one in root.iter(f"{SVG}rect"):
        assert float(one.get("x", "0")) + float(one.get("width", "0")) <= width
        assert float(one.get("y", "0")) + float(one.get("height", "0")) <= height


def test_a_run_without_such_rows_has_no_picture() -> None:
    """It says what is missing."""
    with pytest.raises(ValueError, match="no rows with 16 connections"):
        draw([leg("ours", 1, "memory")], {})

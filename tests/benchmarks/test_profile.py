"""The profile of a row."""

from .profile import parse, render

RAW = """\
process 1:"serve";thread (0x1);run (app.py:10);check (a/check.py:20);digest (hash.py:1) 6
process 1:"serve";thread (0x2);run (app.py:11);check (a/check.py:21) 3
run (app.py:10);run (app.py:12) 1
"""


def test_samples_of_a_function_count_together_whatever_its_line() -> None:
    """Its own samples, and those of all that it called; a recursion counts once."""
    own, whole = parse(RAW)
    assert own == {"digest (hash.py)": 6, "check (a/check.py)": 3, "run (app.py)": 1}
    assert whole == {"run (app.py)": 10, "check (a/check.py)": 9, "digest (hash.py)": 6}


def test_the_table_has_shares() -> None:
    """Most own samples first."""
    text = render("service", RAW)
    assert "### service: 10 samples" in text
    assert text.index("| 60.0% | 60.0% | `digest (hash.py)` |") < text.index("| 30.0% | 90.0% | `check (a/check.py)` |")
    assert render("service", "") == "service: no samples\n"

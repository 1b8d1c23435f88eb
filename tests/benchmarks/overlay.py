"""This bench beside the code of another checkout: its `otp_service` and its tests, but the benchmarks of this one."""

import os
from pathlib import Path

from .ours import ROOT


def environment(checkout: Path, folder: Path) -> dict[str, str]:
    """The environment in which a program of the bench runs on a checkout. May create links in the folder."""
    path = ROOT if checkout == ROOT else _link(checkout, folder / "overlay")
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(path)}


def _link(checkout: Path, overlay: Path) -> Path:
    tests = overlay / "tests"
    tests.mkdir(parents=True)
    (overlay / "otp_service").symlink_to(checkout / "otp_service")
    for path in (checkout / "tests").iterdir():
        if path.name != "benchmarks":
            (tests / path.name).symlink_to(path)
    (tests / "benchmarks").symlink_to(ROOT / "tests" / "benchmarks")
    return overlay

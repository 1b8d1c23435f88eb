"""What the main process imports for its children."""

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otp_service.runtime import building

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")

MODULE = "imported_for_children"
TEXT = """
import os, signal
with open(os.environ["WRITTEN"], "a") as file:
    print(os.getpid(), file=file)
os.kill(os.getpid(), signal.SIGTERM)
DONE = True
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that writes the id of the process that imports it, and sends that process SIGTERM."""
    (tmp_path / f"{MODULE}.py").write_text(TEXT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("WRITTEN", str(tmp_path / "written"))
    yield tmp_path / "written"
    sys.modules.pop(MODULE, None)
    gc.unfreeze()


def test_a_child_imports_nothing_again_and_a_signal_waits(written: Path) -> None:
    """One import, by the main process. A request to stop that comes meanwhile is heard when it is over."""
    complete: list[bool] = []
    before = signal.signal(signal.SIGTERM, lambda *_: complete.append(hasattr(sys.modules[MODULE], "DONE")))
    try:
        building.import_for_children(MODULE)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert complete == [True]
    child = multiprocessing.get_context("fork").Process(target=__import__, args=(MODULE,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert written.read_text().split() == [str(os.getpid())]

"""A store that can be killed and begun again on other files, and processes that watch it."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from otp_service.domain.audit import EventType
from otp_service.domain.checking import Approved, CheckAnswer
from otp_service.domain.ending import Ended, NotFound, Redeemed
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.verification import Status
from otp_service.runtime import ports
from otp_service.storage.store_runs import KEEP_CODES, StoreRuns
from otp_service.storage.told import Told
from otp_service.storage.verifications import Verifications
from tests.conftest import wait_until

from .harness import CODE, StoreHarness, fresh_number, word
from .servers import Server

OVER = Ended(Status.EXPIRED)


class Process:
    """A process of the service, as far as it beats and answers."""

    def __init__(self, harness: StoreHarness, form: str) -> None:
        self.told = Told()
        self.harness = harness
        self.runs = StoreRuns(harness.store, harness.scripts, harness.keys, self.told, form)
        self.verifications = Verifications(harness.store, harness.scripts, harness.keys, harness.ring.ids, self.told)

    def beat(self) -> str | None:
        """Look at the store; the warning."""
        self.runs.look()
        return self.runs.warning

    def check(self, ref: Reference, code: str = CODE) -> CheckAnswer:
        """Check a code and tell the caller."""
        return self.verifications.check(self.harness.guess(ref, code))

    def shown(self, ref: Reference) -> Status:
        """What a reader sees."""
        view = self.verifications.view(ref, "shop")
        assert view is not None
        return view.status


class Machine:
    """One address. What listens there can be killed, and begun again on other files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.count = 0
        # Kept also while no server listens on it.
        self._held = ports.HeldPort()
        self.port = self._held.number
        self.begin("files")
        self.harness = StoreHarness.open(f"redis://127.0.0.1:{self.port}")
        self.harness.outbox.open()

    def begin(self, files: str) -> None:
        """A server on the files of this name."""
        (self.directory / files).mkdir(exist_ok=True)
        # With `everysec` a slow disk makes the server late in writing, and then a kill does lose something.
        settings = {"appendonly": "yes", "appendfsync": "no", "save": '""', "dir": str(self.directory / files)}
        self.count += 1
        self.server = Server(self.directory / f"server{self.count}", port=str(self.port), **settings)

    def end(self) -> None:
        """Kill the server, for good."""
        self.harness.close()
        self.server.kill()
        self._held.release()

    def restart(self, files: str = "files") -> None:
        """Kill the server, and begin another one at once."""
        self.server.kill()
        self.begin(files)

    def backup(self) -> None:
        """Copy the files."""
        shutil.copytree(self.directory / "files", self.directory / "backup")

    def process(self, form: str = KEEP_CODES) -> Process:
        """One that lives: its first beat is answered."""
        made = Process(self.harness, form)
        made.runs.look()
        return made

    def start(self) -> Reference:
        """A pending verification."""
        return self.harness.start(fresh_number()).reference

    def cancel(self, ref: Reference) -> object:
        """Withdraw it."""
        return self.harness.verifications.cancel(word(), ref, "shop")

    def redeem(self, ref: Reference, approved: Approved) -> Redeemed | NotFound:
        """Spend the receipt."""
        ends = self.harness.now() + 120_000
        return self.harness.verifications.redeem(word(), ref, "shop", approved.receipt_id, ends)

    def events(self, kind: EventType = EventType.STORE_RESTARTED) -> list[str]:
        """The details of what was recorded of the store."""
        return [event["detail"] for event in self.harness.audited_in(0) if event["type"] == kind]


def settled(*processes: Process) -> str | None:
    """Let all beat until it is decided what became of codes; what the first one says."""
    harness = processes[0].harness
    run = plain_run(harness)

    def beat_all() -> bool:
        for process in processes:
            process.beat()
        return all(process.runs.run == run for process in processes)

    wait_until(beat_all, 30, "a decision")
    return processes[0].runs.warning


def plain_run(harness: StoreHarness) -> str:
    """The store's run as the server says it."""
    with contextlib.suppress(RedisConnectionError):
        harness.raw.ping()
    return str(harness.raw.info("replication")["master_replid"])[:12]


def refused(act: Callable[[], object]) -> bool:
    """Whether it is refused because nobody knows yet."""
    with pytest.raises(StoreUnavailable, match="restarted a moment ago"):
        act()
    return True

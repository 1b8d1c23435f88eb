"""The log of the event-loop server: a thread writes it, in order and bounded; what does not fit is counted."""

import io
import logging
import threading
import time

from otp_service.log_writer import BackgroundHandler
from tests.conftest import wait_until


class Pipe(io.StringIO):
    """A stream whose reader may stop reading, or go away."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.Event()
        self.reading.set()
        self.writing = threading.Event()
        self.gone = False

    def write(self, text: str) -> int:
        """Wait until somebody reads."""
        self.writing.set()
        self.reading.wait()
        if self.gone:
            raise BrokenPipeError
        return super().write(text)


class Log:
    """A handler over a pipe, and how many lines it dropped."""

    def __init__(self, most: int) -> None:
        self.pipe = Pipe()
        self.dropped = 0
        self.handler = BackgroundHandler(self.pipe, self._drop, most)

    def _drop(self) -> None:
        self.dropped += 1

    def say(self, text: str, *args: object) -> None:
        """Log a line."""
        self.handler.handle(logging.LogRecord("otp.test", logging.INFO, "", 0, text, args, None))

    def lines(self) -> list[str]:
        """What was written."""
        return self.pipe.getvalue().splitlines()

    def stop_reading(self) -> None:
        """Nobody reads any more: the thread holds one line and waits."""
        self.pipe.reading.clear()
        self.pipe.writing.clear()
        self.say("held")
        assert self.pipe.writing.wait(5)


def test_lines_are_written_in_their_order_without_anybody_asking() -> None:
    """Some hundred lines, in several batches."""
    log = Log(most=1000)
    for first in range(0, 300, 100):
        for number in range(first, first + 100):
            log.say("line %d", number)
        wait_until(lambda: len(log.lines()) == number + 1, 5, "the lines")  # noqa: B023 - asked in this round only
    assert log.lines() == [f"line {number}" for number in range(300)]
    assert log.dropped == 0


def test_a_reader_that_stopped_holds_up_nobody_and_what_does_not_fit_is_counted() -> None:
    """Ten lines wait, ninety are dropped and counted; when it reads again, the ten follow."""
    log = Log(most=10)
    log.stop_reading()
    began = time.monotonic()
    for number in range(100):
        log.say("line %d", number)
    assert time.monotonic() - began < 1
    assert log.dropped == 90
    log.pipe.reading.set()
    wait_until(lambda: len(log.lines()) == 11, 5, "the lines")
    assert log.lines() == ["held", *(f"line {number}" for number in range(10))]


def test_every_line_that_could_not_be_written_is_counted() -> None:
    """The reader has gone with eleven lines on their way."""
    log = Log(most=10)
    log.stop_reading()
    for number in range(10):
        log.say("line %d", number)
    log.pipe.gone = True
    log.pipe.reading.set()
    wait_until(lambda: log.dropped == 11, 5, "the count")
    assert log.lines() == []


def test_a_line_that_cannot_be_formatted_costs_no_other() -> None:
    """Its place says that there was one, without its text."""
    log = Log(most=10)
    log.say("%d", "no number")
    log.say("after")
    log.handler.flush()
    assert len(log.lines()) == 2
    assert "cannot be written" in log.lines()[0]
    assert "no number" not in log.lines()[0]
    assert log.lines()[1] == "after"


def test_a_flush_writes_what_waits_at_once() -> None:
    """As at the end of a process, which waits for no batch."""
    log = Log(most=10)
    log.say("last")
    log.handler.flush()
    assert log.lines() == ["last"]

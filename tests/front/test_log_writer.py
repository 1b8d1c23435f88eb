"""The log's thread: lines in their order, none that holds up a request, and none that is lost without being counted."""

import io
import logging
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from otp_service import telemetry
from otp_service.log_writer import BackgroundHandler


def record(text: str) -> logging.LogRecord:
    """A line to log."""
    return logging.LogRecord("otp.test", logging.INFO, "", 0, text, None, None)


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe that nobody reads yet."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
        os.close(reading)


def test_lines_are_written_in_their_order() -> None:
    """All of them, soon."""
    stream = io.StringIO()
    handler = BackgroundHandler(stream, lambda: pytest.fail("a line was dropped"))
    for number in range(1000):
        handler.handle(record(str(number)))
    assert handler.wait_until_written(30)
    assert stream.getvalue().split() == [str(number) for number in range(1000)]


def test_a_log_that_nobody_reads(pipe: tuple[int, TextIO]) -> None:
    """Logging takes no longer; what does not fit is counted; waiting for the end of it has an end. Then it goes on."""
    reading, stream = pipe
    dropped: list[None] = []
    handler = BackgroundHandler(stream, lambda: dropped.append(None), most=100)
    handler.handle(record("x" * 1_000_000))
    # The thread has taken it, and hangs while it writes.
    assert select.select([reading], [], [], 30)[0]
    assert not handler.wait_until_written(0.1)
    for number in range(150):
        handler.handle(record(str(number)))
    assert len(dropped) == 50
    data = b""
    while b"\n99\n" not in data:
        data += os.read(reading, 65536)
    assert handler.wait_until_written(30)
    assert data.endswith(b"\n98\n99\n")


def test_a_log_that_is_gone() -> None:
    """Each line that cannot be written is counted."""
    dropped: list[None] = []
    stream = io.StringIO()
    stream.close()
    handler = BackgroundHandler(stream, lambda: dropped.append(None))
    for number in range(150):
        handler.handle(record(str(number)))
    assert handler.wait_until_written(30)
    assert len(dropped) == 150


def test_a_line_that_cannot_be_formatted() -> None:
    """Its place says that there was one, without its text, and the others are written."""
    stream = io.StringIO()
    handler = BackgroundHandler(stream, lambda: None)
    handler.handle(logging.LogRecord("otp.test", logging.INFO, "", 0, "%d", ("secret",), None))
    handler.handle(record("after"))
    assert handler.wait_until_written(30)
    first, second = stream.getvalue().splitlines()
    assert "otp.test cannot be written" in first
    assert "secret" not in first
    assert second == "after"


def test_a_flush_writes_what_waits_at_once() -> None:
    """It waits for no batch."""
    stream = io.StringIO()
    handler = BackgroundHandler(stream, lambda: None)
    handler.handle(record("last"))
    handler.flush()
    assert stream.getvalue() == "last\n"


FIELDS = {"status": 422, "request_id": "req_1", "secret": "123456", "duration_ms": 1.5, "verification_id": None}


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_a_request_is_written_as_any_other_line(level: str) -> None:
    """Whether or not a record is made for it: the same fields in the same order, at the same levels."""
    logger, root = logging.getLogger("otp.web"), logging.getLogger()
    logger.setLevel(level)
    straight, made = io.StringIO(), io.StringIO()
    handlers = [BackgroundHandler(stream, lambda: pytest.fail("a line was dropped")) for stream in (straight, made)]
    for handler in handlers:
        handler.setFormatter(telemetry.JsonFormatter())
    before = root.handlers[:]
    try:
        root.handlers[:] = handlers[:1]
        telemetry.log_request(logger, FIELDS)
        root.handlers[:] = [*handlers[1:], logging.NullHandler()]
        telemetry.log_request(logger, FIELDS)
    finally:
        root.handlers[:] = before
        logger.setLevel(logging.NOTSET)
    assert all(handler.wait_until_written(5) for handler in handlers)
    lines = [re.sub(r'"at":"[^"]+"', "", stream.getvalue()) for stream in (straight, made)]
    assert lines[0] == lines[1]
    assert (lines[0] == "") is (level == "WARNING")
    assert "123456" not in lines[0]


FORKS = """
import logging, os, sys
from otp_service import telemetry
from otp_service.log_writer import BackgroundHandler
handler = BackgroundHandler(sys.stderr, lambda: None)
handler.handle(logging.LogRecord("otp.test", logging.INFO, "", 0, "before", None, None))
assert handler.wait_until_written(60)
if os.fork() == 0:
    handler.handle(logging.LogRecord("otp.test", logging.INFO, "", 0, "in the child", None, None))
    assert handler.wait_until_written(60)
    os._exit(0)
assert os.wait()[1] == 0
"""


def test_a_process_that_is_forked_writes_its_own_lines() -> None:
    """With a thread of its own, as under a server that builds the application before it forks."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stderr.splitlines() == ["before", "in the child"]

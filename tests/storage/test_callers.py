"""Which process did something: each event says it, also after a fork and of what another process began."""

import subprocess
import sys

import pytest

from otp_service.storage import callers
from otp_service.storage.schema.encodings import AuditCaller, caller_parts

from .harness import StoreHarness, fresh_number

FORKED = """
import os
from otp_service.storage.callers import caller, process
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, f"{process()} {caller()}".encode())
    os._exit(0)
print(process(), caller(), os.read(reader, 1000).decode())
"""


def test_each_process_has_a_name_of_its_own() -> None:
    """A process that was forked has another name than its parent, and what it does names it."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    parent, by_parent, child, by_child = done.stdout.split()
    assert parent != child
    assert by_parent == AuditCaller.pack("", "", "", parent, "")
    assert by_child == AuditCaller.pack("", "", "", child, "")


def test_an_event_names_the_process(harness: StoreHarness) -> None:
    """What a request caused, and what nobody caused."""
    callers.set_caller("key", "req", "203.0.113.7")
    try:
        ref = harness.start(fresh_number()).reference
    finally:
        callers.clear_caller()
    harness.send(ref)
    events = harness.audited(ref)
    assert {event["process"] for event in events} == {callers.process()}
    assert {event["address"] for event in events} == {"203.0.113.7", ""}


@pytest.mark.parametrize("before", ["0123456789abcdef|key|req|shell:a@b", "0123456789abcdef|||"])
def test_what_an_earlier_version_wrote_names_no_process(before: str) -> None:
    """Nothing else of it changes; what is copied from it is not what this process did."""
    policy, key_id, request_id, address = before.split("|")
    assert caller_parts(before) == [policy, key_id, request_id, "", address]
    with callers.acting_for(before):
        assert caller_parts(callers.caller())[1:] == [key_id, request_id, "", address]


def test_what_another_process_did_is_copied_with_its_name() -> None:
    """As with an API key, whose event a worker copies. An address may have the separator in it."""
    with callers.acting_for(AuditCaller.pack("0123456789abcdef", "", "", "abcdef-1", "shell:a|b@host")):
        assert caller_parts(callers.caller())[1:] == ["", "", "abcdef-1", "shell:a|b@host"]
    assert caller_parts(callers.caller())[1:] == ["", "", callers.process(), ""]

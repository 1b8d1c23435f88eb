"""The store's scripts as they are called, without the code around them: for the limit and for the scripts' own cost.

Only this module of the bench knows the storage package and its test harness.
"""

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from otp_service.domain.ids import Reference
from otp_service.storage.script_files import Script, Value, load
from otp_service.storage.scripts import Scripts
from tests.storage.harness import CODE, SHARDS, SHOP, WRONG, StoreHarness

from . import phone_numbers

RIGHT = CODE
"""The code of every verification that a template starts."""
APP = replace(SHOP, code_ttl_ms=600_000, max_checks=20)
QUEUE_MAX = 10_000_000
"""Nobody takes the deliveries of these verifications, so their queue must not be full at some number of them."""
OPERATION = "o" * 24
"""The operation id of a template; a caller replaces it with one of the same length."""


class Call(Exception):
    """One call of a script that was not made. No error: it carries the call out of the storage code."""

    def __init__(self, script: Script, keys: Sequence[str], args: Sequence[Value]) -> None:
        super().__init__(script.name)
        self.script = script
        self.packed = pack(["EVALSHA", script.sha, len(keys), *keys, *args])


class Catching(Scripts):
    """Runs no script: raises it as a `Call`."""

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        # As where no replicas are expected.
        raise Call(script, keys, ["", *args] if script.guarded else args)


def pack(words: Sequence[Value | bytes]) -> bytes:
    """A command in RESP."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def open_catching(url: str) -> StoreHarness:
    """A harness whose scripts become calls."""
    return StoreHarness.open(url, Catching)


def start_call(harness: StoreHarness, number: str, operation: str) -> tuple[Call, Reference]:
    """The call of a start, and what it would start."""
    command = harness.start_command(number, APP, operation_id=operation, queue_max=QUEUE_MAX)
    try:
        harness.verifications.start(command)
    except Call as call:
        return call, command.reference
    raise AssertionError("a start runs no script")


def check_call(harness: StoreHarness, reference: Reference, code: str, operation: str) -> Call:
    """The call of a check by id."""
    try:
        harness.verifications.check(harness.guess(reference, code, APP, operation_id=operation))
    except Call as call:
        return call
    raise AssertionError("a check runs no script")


class Template(NamedTuple):
    """The calls for one verification of a shard, with what must be replaced to make them those of another."""

    start: bytes
    wrong: bytes
    right: bytes
    token: bytes
    number_hash: bytes

    def fill(self, call: bytes, token: bytes, number_hash: bytes) -> bytes:
        """A call for another verification, with a new operation id. Lengths must be the same."""
        operation = secrets.token_hex(len(OPERATION) // 2).encode()
        made = call.replace(OPERATION.encode(), operation).replace(self.token, token)
        return made.replace(self.number_hash, number_hash)

    def invent_named(self) -> tuple[bytes, str, str]:
        """The call of a start for a verification and a number that nobody has, with the names of both."""
        token, number_hash = (secrets.token_hex(len(old) // 2) for old in (self.token, self.number_hash))
        return self.fill(self.start, token.encode(), number_hash.encode()), token, number_hash


def templates(harness: StoreHarness) -> list[Template]:
    """One for each shard, in the order of the shards."""
    found: dict[int, Template] = {}
    for index in itertools.count():
        start, ref = start_call(harness, phone_numbers.number(index), OPERATION)
        wrong, right = (check_call(harness, ref, code, OPERATION).packed for code in (WRONG, CODE))
        shard = harness.keys.shard(ref.number_hash)
        found[shard] = Template(start.packed, wrong, right, ref.token.encode(), ref.number_hash.encode())
        if len(found) == SHARDS:
            break
    return [found[shard] for shard in sorted(found)]


def texts() -> list[str]:
    """The text of each script that the templates call, for SCRIPT LOAD."""
    return [load(name).text for name in ("verification/start", "verification/check")]

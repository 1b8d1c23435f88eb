"""Checkpoints are brought where they are wanted: once, not too often, again after a failure, by one worker."""

from pathlib import Path

import pytest

from otp_service.diagnosis.result import CheckResult
from otp_service.diagnosis.signed_log import TRIES, check_signed_log
from otp_service.receivers.outgoing import MOST_BYTES, NotPosted, Outgoing
from otp_service.signed_log.bringing import ToAddress
from otp_service.signed_log.log_store import LogStore
from otp_service.signed_log.openssl_ts import verify_timestamp
from otp_service.signed_log.outlets import FIRST_PAUSE_MS, LEASE_MS, LONGEST_PAUSE_MS, Outlets
from otp_service.signed_log.timestamps import EVERY_MS, ToTimestamping, all_timestamps, timestamp_for
from tests.conftest import needs_program

from .harness import SignedHarness
from .post_receiver import PostReceiver, receiving
from .timestamping import TimestampingAuthority

MINUTE_MS = 60_000


def outlets_to(log: SignedHarness, server: PostReceiver, every_ms: int = MINUTE_MS) -> Outlets:
    """What a worker has."""
    outlet = ToAddress(log.database, Outgoing(server.url, allow_private=True).post, every_ms)
    return Outlets(log.database, [outlet], lambda: log.now_ms)


def bring(outlets: Outlets) -> list[str]:
    """One look; why it failed."""
    return [one.reason for one in outlets.bring_what_is_due()]


def told(log: SignedHarness, *targets: str) -> list[CheckResult]:
    """What the doctor says of those."""
    return [one for one in check_signed_log(lambda: log.database, log.now_ms, None, targets) if "to" in one.name]


def sign(log: SignedHarness) -> None:
    """A new checkpoint."""
    log.append_many(1)
    log.signer.sign()


def test_each_newest_checkpoint_arrives_once(signed: SignedHarness) -> None:
    """Not more often than is wanted; with what witnesses said of it; two workers bring it once."""
    with receiving(lambda _: (204, b"")) as server:
        one, other = outlets_to(signed, server), outlets_to(signed, server)
        assert bring(one) == []
        sign(signed)
        assert (bring(one), bring(other), bring(one)) == ([], [], [])
        sign(signed)
        assert bring(one) == []
        assert server.seen == [("text/plain; charset=utf-8", signed.notes()[0].encode())]
        signed.now_ms += MINUTE_MS
        assert (bring(other), bring(one)) == ([], [])
        assert [body.decode() for _, body in server.seen] == signed.notes()


def test_what_failed_is_tried_again_later(signed: SignedHarness) -> None:
    """With growing pauses, and doctor tells it; a worker that died at it holds up nobody for long."""
    sign(signed)
    with receiving(lambda _: (503, b"")) as server:
        outlets, pause_ms = outlets_to(signed, server), FIRST_PAUSE_MS
        for tries in range(1, 16):
            assert bring(outlets) == ["it answers with status 503"]
            signed.now_ms += pause_ms - 1
            assert bring(outlets) == []
            signed.now_ms += 1
            pause_ms = min(LONGEST_PAUSE_MS, pause_ms * 2)
            (found,) = told(signed, "checkpoint_url")
            assert (found.name, found.ok) == ("checkpoints to checkpoint_url", tries < TRIES)
            assert told(signed, "timestamp_url") == []
        signed.run("UPDATE log_outlets SET again_ms = :at", at=signed.now_ms + LEASE_MS)
        server.answer = lambda _: (200, b"")
        assert (bring(outlets), len(server.seen)) == ([], 15)
        signed.now_ms += LEASE_MS
        assert (bring(outlets), len(server.seen)) == ([], 16)
    assert told(signed, "checkpoint_url") == []


def test_what_does_not_answer_is_told() -> None:
    """In a sentence without the address's path, which may hold a secret."""
    with receiving(lambda _: (200, bytes(MOST_BYTES + 1))) as server:
        for url, private, words in (
            (server.url, True, "more than was asked for"),
            (server.url, False, "private network"),
            ("http://127.0.0.1:1/secret", True, "cannot be reached"),
        ):
            with pytest.raises(NotPosted, match=words) as refused:
                Outgoing(url, allow_private=private).post(b"x", "text/plain")
            assert "secret" not in refused.value.detail
    with receiving(lambda _: (302, b"")) as server:
        assert Outgoing(server.url, allow_private=True).post(b"x", "text/plain").status == 302


def test_a_timestamp_a_day(signed: SignedHarness, tmp_path: Path) -> None:
    """By a real authority; verified when it comes and later; another's, an old one and a changed one are refused."""
    needs_program("openssl")
    authority = TimestampingAuthority(tmp_path / "tsa")
    other = TimestampingAuthority(tmp_path / "other", "Another")
    with receiving(authority.answer) as server:
        post = Outgoing(server.url, allow_private=True).post
        outlet = ToTimestamping(signed.database, post, authority.authorities, lambda: signed.now_ms)
        outlets = Outlets(signed.database, [outlet], lambda: signed.now_ms)
        for _ in range(3):
            sign(signed)
            assert bring(outlets) == []
        assert [media for media, _ in server.seen] == ["application/timestamp-query"]
        signed.now_ms += EVERY_MS
        assert bring(outlets) == []
        with signed.database.reading() as connection:
            found = [timestamp_for(connection, seq, most) for seq, most in ((1, 3), (2, 3), (4, 9), (1, 2))]
            assert [one and one.size for one in found] == [1, 3, 3, 1]
            assert timestamp_for(connection, 1, 0) is None
        stamped = found[0]
        assert stamped is not None
        with signed.database.reading() as connection:
            newest = LogStore(connection).newest()
        assert newest is not None
        outlet.bring(newest)  # by a worker that was slower than its lease: the first answer stays
        with signed.database.reading() as connection:
            kept = [one for one in all_timestamps(connection) if one.size == newest.size]
            assert kept == [timestamp_for(connection, newest.size, newest.size)]
        assert stamped.note == signed.notes()[0]
        note, response = stamped.note.encode(), stamped.response
        fault, at = verify_timestamp(note, response, authority.authorities)
        assert (fault, at.endswith(" GMT")) == (None, True)
        for wrong in ((note + b"x", response, authority.authorities), (note, response, other.authorities)):
            assert verify_timestamp(*wrong)[0]
        assert verify_timestamp(note, response[:-1] + bytes([response[-1] ^ 1]), authority.authorities)[0]
        sign(signed)
        for answer in (other.answer, lambda _: (200, response), lambda _: (200, b"nothing"), lambda _: (500, b"")):
            server.answer = answer
            signed.now_ms += EVERY_MS
            (reason,) = bring(outlets)
            assert reason.startswith(("its timestamp is not good: ", "it answers with status 500"))

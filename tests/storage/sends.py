"""Ends of a verification, for tests of cool-downs and caps."""

from otp_service.domain.denial import Denial
from otp_service.domain.ids import Reference

from .harness import WRONG, StoreHarness, word


def cancel(harness: StoreHarness, ref: Reference) -> None:
    """The caller withdraws it."""
    harness.verifications.cancel(word(), ref, "shop")


def exhaust(harness: StoreHarness, ref: Reference) -> None:
    """Five wrong codes."""
    for _ in range(5):
        harness.check(ref, WRONG)


def expire(harness: StoreHarness, ref: Reference) -> None:
    """Its time runs out: the record says so, the sends stay as young as they are."""
    harness.set_record(ref, {"expires_ms": harness.now() - 1})


def expire_by_timer(harness: StoreHarness, ref: Reference) -> None:
    """The same, and the worker has noticed."""
    expire(harness, ref)
    assert harness.verifications.expire(ref)


def deny(harness: StoreHarness, ref: Reference) -> None:
    """The person says that it was not them."""
    harness.send(ref, word("msg"))
    denial = Denial(frozenset({"shop"}), frozenset({"pool"}), harness.now() + 1, harness.now() + 1)
    assert harness.verifications.deny(ref, denial) == "denied"


ENDS = (cancel, exhaust, expire, expire_by_timer, deny)

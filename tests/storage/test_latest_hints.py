"""What a process believes to be a number's latest verification is only a guess, and never a wrong answer."""

from otp_service.domain.checking import Approved
from otp_service.domain.ids import Reference
from otp_service.storage.latest_hints import LatestHints

from .harness import CODE, StoreHarness, fresh_number, word


def _overtaken(harness: StoreHarness, store_url: str, number: str) -> tuple[Reference, Reference]:
    """A verification that this process has started and ended, and a newer one of another process."""
    old = harness.start(number).reference
    harness.verifications.cancel(word(), old, "shop")
    harness.cool(old)
    other = StoreHarness.open(store_url)
    new = other.start(number).reference
    other.close()
    return old, new


def test_another_process_has_started_a_newer_one(harness: StoreHarness, store_url: str) -> None:
    """A check by number judges the newer one, in one call."""
    _, new = _overtaken(harness, store_url, fresh_number())
    judged = harness.check_latest(new.number_hash, CODE)
    assert judged is not None
    assert judged.reference == new
    assert isinstance(judged.answer, Approved)


def test_a_start_after_another_process_sends_the_pending_code_again(harness: StoreHarness, store_url: str) -> None:
    """What this process believes does not make a second pending verification."""
    number = fresh_number()
    _, new = _overtaken(harness, store_url, number)
    harness.cool(new)
    again = harness.start(number)
    assert (again.reference, again.resent) == (new, True)


def test_what_was_emptied_is_forgotten(harness: StoreHarness) -> None:
    """A store that knows nothing of the number any more."""
    number = fresh_number()
    ref = harness.start(number).reference
    harness.raw.delete(harness.keys.number(ref.number_hash))
    assert harness.check_latest(ref.number_hash, CODE) is None
    assert harness.start(number).reference != ref


def test_the_oldest_go_first() -> None:
    """So many are kept; one that is put again is the youngest."""
    hints = LatestHints(most=2)
    one, two, three = (Reference(str(n) * 32, str(n) * 20) for n in range(3))
    for ref in (one, two, one, three):
        hints.put("shop", "login", ref)
    assert hints.get(one.number_hash, "shop", "login") == one
    assert hints.get(two.number_hash, "shop", "login") is None
    assert hints.get(three.number_hash, "shop", "login") == three

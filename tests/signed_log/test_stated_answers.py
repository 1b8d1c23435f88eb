"""An answer that leaves out a record which was searched is named by `audit check`, whatever was asked."""

import pytest

from otp_service.signed_log.checking import check_promises
from otp_service.signed_log.evidence import Question, search
from otp_service.signed_log.promises import Breach, Promise
from otp_service.transparency import bundles
from otp_service.transparency.bundled_range import SEARCHED, range_of

from .harness import BEGAN_MS, SignedHarness

NUMBER = {"mask": "+1******0143", "number_hash": "aa"}
QUESTIONS = (
    Question(verification="v1"),
    Question(number_hash="aa"),
    Question(since_ms=BEGAN_MS + 5, until_ms=BEGAN_MS + 9),
)


def found(signed: SignedHarness) -> list[Breach]:
    """What `audit check` says of evidence."""
    report = check_promises(signed.database, 0, None)
    return [one for one in report.breaches if one.promise is Promise.EVIDENCE]


def state(signed: SignedHarness, question: Question, *left_out: int, more: int = 0) -> int:
    """Put an answer on record without these of its records, by their places; the number of that record."""
    seqs, size = search(signed.database, question)
    kept = [seq for place, seq in enumerate(seqs) if place not in left_out]
    detail = {"records": bundles.ranges_of(kept), "question": question.sentence, SEARCHED: range_of(size + more)}
    values = NUMBER if question.number_hash else {}
    signed.append({"type": bundles.STATED, "detail": detail, "at_ms": BEGAN_MS + 20, "values": values})
    return signed.size


@pytest.fixture
def log(signed: SignedHarness) -> SignedHarness:
    """Three events of one verification, number and time, among others."""
    begun = {"app": "default", "verification": "v1", "values": NUMBER, "at_ms": BEGAN_MS + 5}
    for n in range(1, 4):
        signed.append_many(2)
        signed.append({"type": "receipt.redeemed" if n == 3 else "delivery.sent", "n": n, **begun})
    return signed


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_that_leaves_out_a_record(log: SignedHarness, question: Question) -> None:
    """Also its last one, which no gap shows. A whole answer is none, and what came behind it is not missing."""
    state(log, question)
    assert found(log) == []
    log.append({"type": "delivery.sent", "n": 4, "verification": "v1", "values": NUMBER, "at_ms": BEGAN_MS + 6})
    assert found(log) == []
    for place, missing in enumerate((3, 6, 9)):
        lying = state(log, question, place)
        sentence = f"its answer leaves out record {missing}, which was searched"
        assert found(log)[-1] == Breach(Promise.EVIDENCE, lying, sentence)


def test_what_cannot_be_judged(log: SignedHarness) -> None:
    """A number that was erased; a statement that names no range; one of before a new log began."""
    state(log, QUESTIONS[1], 2)
    log.run("UPDATE records SET number_hash = NULL")
    assert found(log) == []
    lying = state(log, QUESTIONS[0], 2)
    assert [one.seq for one in found(log)] == [lying]
    wrong = state(log, QUESTIONS[0], more=5)
    assert [one.seq for one in found(log)] == [lying, wrong]
    assert "does not say which records were searched" in found(log)[-1].sentence
    log.append({"type": "ledger.accepted", "detail": {"end": "the old log"}, "at_ms": BEGAN_MS + 21})
    assert found(log) == []

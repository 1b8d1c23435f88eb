"""The end of a verification that was left out of evidence is named: no gap shows it, and a statement may lie."""

from pathlib import Path

import pytest

from otp_service.signed_log.evidence import Gathering, Question, answering, gather, stated
from otp_service.transparency import bundles

from .harness import BEGAN_MS, SignedHarness
from .test_evidence import PERSON, without
from .verify_script import run


def cut(signed: SignedHarness, asked_ms: int) -> dict[str, bytes]:
    """The evidence of a verification whose end is not among the records, although the log says that none is missing."""
    begun = {"app": "default", "verification": "v3", "values": PERSON, "at_ms": BEGAN_MS}
    signed.append({"type": "verification.started", "n": 1, **begun}, {"type": "check.failed", "n": 2, **begun})
    seqs = answering(signed.database, Question(verification="v3"))
    detail = {"records": bundles.ranges_of(seqs), "token": "cut", "question": "verification vrf_v3"}
    signed.append({"type": bundles.STATED, "detail": detail, "at_ms": asked_ms})
    signed.signer.sign()
    return gather(signed.database, seqs, stated(signed.database, "cut"), Gathering(signed.keys, None, {}))


def test_an_end_that_was_left_out_is_named(signed: SignedHarness, tmp_path: Path) -> None:
    """No gap shows it, and the log says that none is missing: but 15 minutes after its start each has an end."""
    files, said = cut(signed, BEGAN_MS + 900_000), "the end of vrf_v3 was left out"
    with pytest.raises(bundles.BundleRefused, match=said):
        bundles.verify_bundle(files)
    assert bundles.verify_bundle(files, may_be_open=True).unended == ("vrf_v3",)
    status, printed = run(tmp_path / "cut", files)
    assert (status, said in printed) == (1, True), printed
    status, printed = run(tmp_path / "cut", files, "--open")
    assert (status, "The end of vrf_v3 is missing." in printed) == (0, True), printed


def test_a_code_that_is_pending_needs_no_end(signed: SignedHarness, tmp_path: Path) -> None:
    """When the question was put. Without a statement nobody knows when that was: it is told, and no more."""
    files = cut(signed, BEGAN_MS + 899_999)
    assert bundles.verify_bundle(files).unended == ()
    status, printed = run(tmp_path / "pending", files)
    assert status == 0, printed
    unstated = without(files, "statement.leaf", "statement.tlog-proof")
    assert bundles.verify_bundle(unstated).unended == ("vrf_v3",)
    status, printed = run(tmp_path / "unstated", unstated, "--unstated")
    assert (status, "The end of vrf_v3 is missing." in printed) == (0, True), printed

"""Where a bundle ends is said, and nothing behind it is claimed: later events may have been cut off."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.cli.main import main
from otp_service.signed_log.archives import write_archives
from otp_service.signed_log.evidence import Gathering, Question, answering, gather, search, stated
from otp_service.transparency import bundles
from otp_service.transparency.bundled_range import SEARCHED, claim, last_events, range_of, searched
from otp_service.transparency.notes import NoteError

from .harness import BEGAN_MS, SignedHarness
from .test_evidence import without
from .verify_script import run

KINDS = ("verification.started", "delivery.sent", "verification.approved", "report.received", "receipt.redeemed")


def login(signed: SignedHarness) -> None:
    """A verification with two events behind its end, among others."""
    signed.append_many(3)
    begun = {"app": "default", "verification": "v1"}
    signed.append(*({"type": kind, "n": n, **begun} for n, kind in enumerate(KINDS, 1)))
    signed.append_many(2)


def packed(
    signed: SignedHarness, seqs: Sequence[int] | None = None, told: str | None = None, *, state: bool = True
) -> dict[str, bytes]:
    """The evidence with a statement that names these records (all) and this range (all that there are)."""
    found, size = search(signed.database, Question(verification="v1"))
    seqs, token = found if seqs is None else seqs, f"t{signed.size}"
    detail: dict[str, Any] = {"records": bundles.ranges_of(seqs), "token": token, "question": "verification vrf_v1"}
    detail[SEARCHED] = range_of(size) if told is None else told
    if state:
        signed.append({"type": bundles.STATED, "detail": detail, "at_ms": BEGAN_MS})
    signed.signer.sign()
    statement = stated(signed.database, token) if state else None
    return gather(signed.database, seqs, statement, Gathering(signed.keys, None, {}))


def test_where_it_ends_is_said(signed: SignedHarness, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By both verifiers, with the same words; what comes later is not in it, and the words do not change."""
    login(signed)
    files = packed(signed)
    signed.append({"type": "receipt.redeemed", "n": 6, "app": "default", "verification": "v1"})
    said = "complete: records 1 to 10 of the log, as record 11 says; nothing after record 10 is claimed"
    report = bundles.verify_bundle(files)
    assert (report.searched, f"complete: {report.claim}") == (10, said)
    status, printed = run(tmp_path / "good", files)
    assert (status, f"{said}\n" in printed) == (0, True), printed
    zipped, _ = write_archives(tmp_path / "e.zip", files)
    assert main(["audit", "verify", "--bundle", str(zipped)]) == 0
    assert said in capsys.readouterr().out
    assert main(["audit", "verify", "--bundle", str(zipped), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["searched"], shown["last_events"]) == (10, {"vrf_v1": {"n": 5, "seq": 8}})


def test_without_a_statement_each_last_event_is_told(
    signed: SignedHarness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No gap shows that the events behind the end were cut off: so where each verification ends here is said."""
    login(signed)
    files = packed(signed, answering(signed.database, Question(verification="v1"))[:3], state=False)
    status, printed = run(tmp_path / "cut", files, "--unstated")
    assert status == 0, printed
    assert "complete: each verification up to its last event here; nothing after that is claimed\n" in printed
    assert "  the last event of vrf_v1 here is event 3, record 6\n" in printed
    zipped, _ = write_archives(tmp_path / "e.zip", files)
    assert main(["audit", "verify", "--bundle", str(zipped), "--unstated"]) == 0
    told = capsys.readouterr()
    assert "nothing after that is claimed" in told.out
    assert "the last event of vrf_v1 here is event 3, record 6" in told.err


@pytest.mark.parametrize("told", ["1-4", "1-11", "2-10", "1-010", "1-", "all", "1-99999999999999999999"])
def test_a_range_that_cannot_be(signed: SignedHarness, tmp_path: Path, told: str) -> None:
    """It ends before the statement, and has all that belongs to the answer."""
    login(signed)
    files = packed(signed, told=told)
    with pytest.raises(NoteError, match="searched"):
        bundles.verify_bundle(files)
    status, printed = run(tmp_path / "bad", files)
    assert (status, "REFUSED: " in printed, "searched" in printed) == (1, True, True), printed


def test_a_statement_of_an_older_version(signed: SignedHarness, tmp_path: Path) -> None:
    """It says no range: then it is told that nothing after the statement is claimed."""
    login(signed)
    seqs = answering(signed.database, Question(verification="v1"))
    detail = {"records": bundles.ranges_of(seqs), "token": "old", "question": "verification vrf_v1"}
    signed.append({"type": bundles.STATED, "detail": detail, "at_ms": BEGAN_MS})
    signed.signer.sign()
    files = gather(signed.database, seqs, stated(signed.database, "old"), Gathering(signed.keys, None, {}))
    report = bundles.verify_bundle(files)
    assert (report.searched, report.claim) == (
        None,
        "up to record 11, as that record says; nothing after it is claimed",
    )
    status, printed = run(tmp_path / "old", files)
    assert (status, f"complete: {report.claim}\n" in printed) == (0, True), printed


def test_the_last_events_that_were_cut_off(tmp_path: Path) -> None:
    """However many: refused where the log says what belongs there, and without that the end is told as it is.

    By the verifier for each cut; by the script, which says the same, for each that a bundle of five events can have.
    """
    signed = SignedHarness(tmp_path / "ledger.db")
    try:
        login(signed)
        whole = packed(signed)
        names = sorted(name.removesuffix(".leaf") for name in whole if name.startswith("records/0") and ".leaf" in name)
        for kept in range(1, len(names)):
            gone = [f"{name}{kind}" for name in names[kept:] for kind in (".leaf", ".tlog-proof")]
            less = without(whole, *gone)
            status, printed = run(tmp_path / f"stated-{kept}", less, "--open", "--unstated")
            assert (status, f"record {int(names[kept][-9:])} was left out" in printed) == (1, True), printed
            with pytest.raises(bundles.BundleRefused, match=f"^record {int(names[kept][-9:])} was left out"):
                bundles.verify_bundle(less, may_be_open=True)
            unstated = without(less, "statement.leaf", "statement.tlog-proof")
            last = {"vrf_v1": (kept, int(names[kept - 1][-9:]))}
            assert bundles.verify_bundle(unstated).last_events == last
            status, printed = run(tmp_path / f"unstated-{kept}", unstated, "--unstated")
            told = f"the last event of vrf_v1 here is event {kept}, record {last['vrf_v1'][1]}\n"
            assert (status, told in printed) == (0, True), printed
            shutil.rmtree(tmp_path / f"unstated-{kept}")
    finally:
        signed.database.close()


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 6), min_size=4, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_any_omission_of_last_events(counts: list[int], cuts: list[int], order: Any) -> None:
    """Of any verifications among each other: named by the statement, told by the last events without it."""
    turns = [f"vrf_{one}" for one, count in enumerate(counts) for _ in range(count)]
    order.shuffle(turns)
    seqs = sorted(order.sample(range(1, 60), len(turns)))
    leaves = [
        {"seq": seq, "verification_id": one, "n": turns[: place + 1].count(one), "type": "x"}
        for place, (seq, one) in enumerate(zip(seqs, turns, strict=True))
    ]
    left = {f"vrf_{one}": count - cut for one, (count, cut) in enumerate(zip(counts, cuts, strict=False))}
    kept = [leaf for leaf in leaves if leaf["n"] <= left[leaf["verification_id"]]]
    gone = [leaf["seq"] for leaf in leaves if leaf not in kept]
    detail = {"records": bundles.ranges_of(seqs), SEARCHED: range_of(60)}
    statement = {"seq": 61, "type": bundles.STATED, "detail": detail}
    assert searched(statement, bundles.require_complete(leaves, statement)) == 60
    if gone:
        with pytest.raises(bundles.BundleRefused, match=f"^record {gone[0]} was left out"):
            bundles.require_complete(kept, statement)
    bundles.require_complete(kept, None)
    assert {one: n for one, (n, _) in last_events(kept).items()} == {one: n for one, n in left.items() if n > 0}
    assert "nothing after that is claimed" in claim(None, None)

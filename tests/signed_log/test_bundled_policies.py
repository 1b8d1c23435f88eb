"""The configurations that decided stand in a bundle as they were hashed, and both verifiers say so."""

import hashlib
import random
from pathlib import Path

import pytest
from sqlalchemy import insert

from otp_service.bootstrap.signed_log import own_log
from otp_service.cli.settings import load_settings
from otp_service.domain.canonical_json import canonical
from otp_service.ledger.tables import CONFIGURATIONS
from otp_service.signed_log.evidence import Gathering, Question, answering, gather, stated
from otp_service.signed_log.named_policies import named_policies
from otp_service.transparency import bundles
from otp_service.transparency.bundled_policies import CONFIGURATIONS as DIGEST
from otp_service.transparency.bundled_policies import digest_of
from otp_service.transparency.notes import NoteError

from .harness import SignedHarness
from .test_evidence import without
from .test_forged_evidence import Late
from .verify_script import run

CONTENTS = [canonical({"apps": {"default": {"max_checks": checks}}}).decode() for checks in (3, 5, 7)]
HASHES = [f"sha256:{hashlib.sha256(content.encode()).hexdigest()}" for content in CONTENTS]
FILES = [f"policies/{name[7:]}.json" for name in HASHES]


@pytest.fixture
def login(signed: SignedHarness) -> dict[str, bytes]:
    """A login under two configurations, one named by its first digits too; a third is of another login."""
    shown = (HASHES[0][: len("sha256:") + 16], HASHES[0], HASHES[1])
    kinds = ("verification.started", "check.failed", "verification.approved")
    begun = {"app": "default", "verification": "v1"}
    signed.append(
        *(
            {"type": kind, "n": n, "policy": policy, **begun}
            for n, (kind, policy) in enumerate(zip(kinds, shown, strict=True), 1)
        ),
        {"type": "verification.started", "n": 1, "verification": "v2", "policy": HASHES[2]},
    )
    with signed.database.writing() as connection:
        rows = [{"hash": name, "content": content} for name, content in zip(HASHES, CONTENTS, strict=True)]
        connection.execute(insert(CONFIGURATIONS), rows)
    return packed(signed)


def packed(signed: SignedHarness, *, state: bool = True) -> dict[str, bytes]:
    """The evidence, as the command makes it."""
    question = Question(verification="v1")
    seqs, token, statement = answering(signed.database, question), f"t{signed.size}", None
    policies = named_policies(signed.database, seqs)
    if state:
        detail = {"records": bundles.ranges_of(seqs), "token": token, "question": question.sentence}
        signed.append({"type": bundles.STATED, "detail": {**detail, DIGEST: digest_of(policies)}})
        statement = stated_after(signed, token)
    signed.signer.sign()
    return gather(signed.database, seqs, statement, Gathering(signed.keys, None, {}, policies=policies))


def stated_after(signed: SignedHarness, token: str) -> int | None:
    """The statement."""
    return stated(signed.database, token)


def refused(tmp_path: Path, files: dict[str, bytes], sentence: str) -> None:
    """By both verifiers, with the same words."""
    with pytest.raises(NoteError, match=sentence):
        bundles.verify_bundle(files)
    status, printed = run(tmp_path, files)
    assert (status, f"REFUSED: {sentence}" in printed) == (1, True), printed


def test_what_decided_is_there(login: dict[str, bytes], tmp_path: Path) -> None:
    """The configurations that the records name, and no others."""
    report = bundles.verify_bundle(login)
    assert (list(report.policies), report.without_policy) == (sorted(HASHES[:2]), ())
    assert login[FILES[0]].decode() == CONTENTS[0]
    status, printed = run(tmp_path / "good", login)
    assert (status, "configurations: 2, each with the hash by which records name it\n" in printed) == (0, True), printed


def test_one_changed_byte_of_a_configuration_is_refused(login: dict[str, bytes], tmp_path: Path) -> None:
    """With sums that were computed anew. The name is the hash, and the records in the log name it."""
    chance = random.Random(23)
    for name in sorted(FILES[:2]):
        for at in range(len(login[name])):
            changed = bytearray(login[name])
            changed[at] ^= 1 << chance.randrange(8)
            with pytest.raises(NoteError, match=f"^{name} has not the hash by which records name it"):
                bundles.verify_bundle(without({**login, name: bytes(changed)}))
    refused(tmp_path / "byte", without({**login, name: bytes(changed)}), f"{name} has not the hash")
    renamed = {one: raw for one, raw in login.items() if one != FILES[0]}
    other = f"policies/{hashlib.sha256(b'{}').hexdigest()}.json"
    refused(tmp_path / "other", without({**renamed, other: b"{}"}), f"{other} belongs to no record")
    refused(tmp_path / "more", without({**login, FILES[2]: CONTENTS[2].encode()}), f"{FILES[2]} belongs to no record")
    refused(tmp_path / "name", without({**login, "policies/x": b"{}"}), "policies/x has not the hash")


def test_a_configuration_that_was_left_out(signed: SignedHarness, login: dict[str, bytes], tmp_path: Path) -> None:
    """It is refused where the log says which belong there, and told where it does not."""
    refused(
        tmp_path / "less", without(login, FILES[1]), "the configurations are not those that the log says belong here"
    )
    unstated = without(packed(signed, state=False), FILES[1])
    assert bundles.verify_bundle(unstated).without_policy == (HASHES[1],)
    status, printed = run(tmp_path / "unstated", unstated, "--unstated")
    assert (status, f"  missing: the configuration {HASHES[1]}\n" in printed) == (0, True), printed


def test_the_ledger_may_not_have_it(signed: SignedHarness, login: dict[str, bytes]) -> None:
    """What is not there cannot be packed: then the bundle says so, and the log that it was so."""
    assert HASHES[1] in bundles.verify_bundle(login).policies
    signed.run("DELETE FROM configurations WHERE hash = :hash", hash=HASHES[1])
    report = bundles.verify_bundle(packed(signed))
    assert (report.policies, report.without_policy) == ((HASHES[0],), (HASHES[1],))


@pytest.mark.parametrize("configurations", [True, False])
def test_the_command_packs_and_states_them(log: SignedHarness, *, configurations: bool) -> None:
    """Unless it is told not to: then the bundle says what is missing."""
    log.append({"type": "verification.started", "verification": "v3", "n": 1, "policy": HASHES[0]})
    with log.database.writing() as connection:
        connection.execute(insert(CONFIGURATIONS), [{"hash": HASHES[0], "content": CONTENTS[0]}])
    settings = load_settings()
    with own_log(settings) as own:
        evidence = Late(settings, own)
        evidence.log = log
        files, fault = evidence.make(
            Question(verification="v3"),
            lambda _done, _total: None,
            disclose=False,
            configurations=configurations,
        )
    report = bundles.verify_bundle(files, may_be_open=True)
    assert (fault, report.searched) == (None, 11)
    expected = ((HASHES[0],), ()) if configurations else ((), (HASHES[0],))
    assert (report.policies, report.without_policy) == expected
    assert (b'"configurations":"sha256:' in files["statement.leaf"]) is configurations

"""The carrier's webhooks in evidence: signed by it, and what the record commits to. No changed byte passes."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey
from sqlalchemy import select

from otp_service.bootstrap.erasing import tombstone_of
from otp_service.domain.signed_webhook import SignedWebhook
from otp_service.ledger.erasing import erase
from otp_service.ledger.tables import PERSONS, WEBHOOKS
from otp_service.signed_log.beside_webhooks import SECRET_MS
from otp_service.signed_log.evidence import Gathering, Question, answering, gather, stated
from otp_service.transparency import bundles
from otp_service.transparency.bundled_webhooks import carrier_key
from otp_service.transparency.notes import NoteError, b64

from .harness import BEGAN_MS, SignedHarness
from .test_evidence import PERSON, without
from .test_inspection import verified
from .verify_script import run

CARRIER = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(range(1, 33)))
KEY, OTHER_KEY = (b64(bytes(one.verify_key)) for one in (CARRIER, OTHER))
LATER_MS = BEGAN_MS + SECRET_MS
NUMBER = "+12025550143"


def webhook(word: str, signer: SigningKey = CARRIER) -> SignedWebhook:
    """As the carrier signs it, with every kind of byte in it."""
    signed = f'1790000000|{{"data":{{"word":"{word}","to":"{NUMBER}","text":"\u00e9 \\n"}}}}\r\n'.encode()
    return SignedWebhook(word.encode().ljust(32, b"."), bytes(signer.verify_key), signer.sign(signed).signature, signed)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedHarness]:
    """A login whose code was delivered, by two reports of the carrier; and a reply that an older key signed."""
    made = SignedHarness(tmp_path_factory.mktemp("webhooks") / "ledger.db")
    caused = {"delivery.sent": webhook("sent"), "delivery.delivered": webhook("delivered")}
    kinds = ("verification.started", *caused, "verification.approved")
    base = {"app": "default", "verification": "v1", "values": PERSON}
    made.append(
        *(
            {"type": kind, "n": n, **base, **({"webhook": caused[kind]} if kind in caused else {})}
            for n, kind in enumerate(kinds, 1)
        ),
        {"type": "optout.added", "values": PERSON, "webhook": webhook("stop", OTHER)},
    )
    detail = {"records": "1-4", "token": "t", "question": Question(verification="v1").sentence}
    made.append({"type": bundles.STATED, "detail": detail})
    made.signer.sign()
    yield made
    made.database.close()


def bundle(
    log: SignedHarness,
    question: Question,
    *,
    now_ms: int = LATER_MS,
    disclose: bool = True,
    webhooks: bool = True,
) -> dict[str, bytes]:
    """The files of a bundle."""
    gathering = Gathering(log.keys, log.ring.open if disclose else None, {}, now_ms, webhooks=webhooks)
    statement = stated(log.database, "t") if question.verification else None
    return gather(log.database, answering(log.database, question), statement, gathering)


@pytest.fixture(scope="module")
def login(log: SignedHarness) -> dict[str, bytes]:
    """The evidence of the login."""
    return bundle(log, Question(verification="v1"))


def test_the_carrier_signed_it(log: SignedHarness, login: dict[str, bytes], tmp_path: Path) -> None:
    """Both verifiers say so, under the carrier's key that was learnt elsewhere, and refuse another one."""
    assert [name for name in login if name.startswith("webhooks/")] == [
        f"webhooks/00000000{seq}.{kind}" for seq in (2, 3) for kind in ("signed", "signature", "salt")
    ]
    assert login["webhooks/000000002.signed"] == webhook("sent").signed
    assert NUMBER.encode() in webhook("sent").signed
    report = bundles.verify_bundle(login, log.first_key, [carrier_key(KEY)])
    assert report.carrier_keys == (bytes(CARRIER.verify_key),) * 2
    with pytest.raises(NoteError, match="not signed by the carrier's key"):
        bundles.verify_bundle(login, log.first_key, [carrier_key(OTHER_KEY)])
    key = ("--key", str(log.first_key))
    status, printed = run(tmp_path / "login", login, *key, "--carrier-key", OTHER_KEY, "--carrier-key", KEY)
    assert (status, "webhooks: 2 of 2 that the records name, as the carrier" in printed, "compare it" in printed) == (
        0,
        True,
        False,
    )
    status, printed = run(tmp_path / "login", login, *key, "--carrier-key", OTHER_KEY)
    assert (status, "not signed by the carrier's key" in printed) == (1, True), printed
    status, printed = run(tmp_path / "login", login, *key)
    assert (status, f"carrier key: {KEY}\n" in printed, "compare it" in printed) == (0, True, True), printed


def test_webhooks_that_are_not_there_are_told(log: SignedHarness, login: dict[str, bytes], tmp_path: Path) -> None:
    """By both verifiers, with the record of each: nobody can tell by what is there that one is missing."""
    files = without(login, *(f"webhooks/000000003.{kind}" for kind in ("signed", "signature", "salt")))
    report = bundles.verify_bundle(files, log.first_key, [carrier_key(KEY)])
    assert (len(report.carrier_keys), report.without_webhook) == (1, (3,))
    status, printed = run(tmp_path / "less", files, "--carrier-key", KEY)
    assert (status, "webhooks: 1 of 2" in printed, "missing: of records 3\n" in printed) == (0, True, True), printed


def test_an_older_key_of_the_carrier_counts(log: SignedHarness, tmp_path: Path) -> None:
    """A bundle brings every key that signed a webhook in it."""
    files = bundle(log, Question(number_hash="aa"))
    assert files["carrier.keys"].decode().split() == sorted([KEY, OTHER_KEY])
    assert len(bundles.verify_bundle(files).carrier_keys) == 3
    status, printed = run(tmp_path / "number", files, "--unstated")
    assert (status, "webhooks: 3 of 3" in printed) == (0, True), printed


def test_one_changed_byte_of_a_webhook_is_refused(login: dict[str, bytes], log: SignedHarness, tmp_path: Path) -> None:
    """In each file of it, with sums that were computed anew: everywhere by ours, once in each by the script."""
    chance = random.Random(17)
    key = [carrier_key(KEY)]
    for number, kind in enumerate(("signed", "signature", "salt")):
        name = f"webhooks/000000003.{kind}"
        for at in range(len(login[name])):
            changed = bytearray(login[name])
            changed[at] ^= 1 << chance.randrange(8)
            with pytest.raises(NoteError):
                bundles.verify_bundle(without({**login, name: bytes(changed)}), log.first_key, key)
        changed = bytearray(login[name])
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        files = without({**login, name: bytes(changed)})
        status, printed = run(tmp_path / str(number), files, "--carrier-key", KEY)
        assert (status, "REFUSED: webhooks/000000003." in printed) == (1, True), printed
    for at in range(len(login["carrier.keys"])):
        changed = bytearray(login["carrier.keys"])
        changed[at] ^= 1
        with pytest.raises(NoteError):
            bundles.verify_bundle(without({**login, "carrier.keys": bytes(changed)}), log.first_key)


def test_what_belongs_to_no_record_is_refused(login: dict[str, bytes], tmp_path: Path) -> None:
    """A webhook of another record, of none, and one that is there in part."""
    moved = {name.replace("000000003", "000000001"): raw for name, raw in login.items() if "webhooks/000000003" in name}
    alone = {name.replace("000000003", "000000009"): raw for name, raw in login.items() if "webhooks/000000003" in name}
    for number, (files, said) in enumerate(
        (
            (without({**login, **moved}), "not what the record commits to"),
            (without({**login, **alone}), "belongs to no record"),
            (without({**login, "webhooks/000000003.txt": b"x"}), "belongs to no record"),
            (without(login, "webhooks/000000003.signature"), "000000003.sign"),
            (without(login, "webhooks/000000003.salt"), "000000003.s"),
            (without(login, "carrier.keys"), "not signed by the carrier's key"),
        )
    ):
        with pytest.raises(NoteError, match=said):
            bundles.verify_bundle(files)
        if number in (0, 2, 3):
            status, printed = run(tmp_path / str(number), files)
            assert (status, said in printed) == (1, True), printed


def test_what_may_be_a_code_yet_is_shown_to_nobody(log: SignedHarness) -> None:
    """A report quotes the message: it is disclosed when no code can be good any more, and only if asked for."""
    for files in (
        bundle(log, Question(verification="v1"), now_ms=LATER_MS - 1),
        bundle(log, Question(verification="v1"), disclose=False),
        bundle(log, Question(verification="v1"), webhooks=False),
    ):
        assert [name for name, raw in files.items() if NUMBER[1:].encode() in raw] == []
        assert [name for name in files if name.startswith(("webhooks/", "carrier"))] == []
        assert bundles.verify_bundle(files, log.first_key).carrier_keys == ()


def test_the_whole_log_tells_a_changed_webhook(tmp_path: Path) -> None:
    """One that was replaced, damaged or deleted; an erasure takes it away and breaks nothing."""
    one = SignedHarness(tmp_path / "ledger.db")
    verification = one.ring.ids.new(one.ring.ids.number_hash("+12025550143"), bytes(10))
    values = {"mask": "+1******0143", "number_hash": verification.number_hash}
    one.append({"type": "delivery.sent", "verification": verification.token, "values": values, "webhook": webhook("a")})
    one.signer.sign()
    assert verified(one).finding is None
    with one.database.reading() as connection:
        kept = str(connection.execute(select(WEBHOOKS.c.sealed)).scalar_one())
    for sealed, said in (
        (one.ring.seal(webhook("b").packed()), "is not what was signed"),
        (one.ring.seal(b"nothing packed"), "cannot be read"),
        (kept[:-8] + "AAAAAAA=", "cannot be read"),
    ):
        one.run("UPDATE webhooks SET sealed = :sealed", sealed=sealed)
        found = verified(one).finding
        assert found is not None
        assert said in found.sentence
    one.run("DELETE FROM webhooks")
    found = verified(one).finding
    assert found is not None
    assert "the carrier's webhook is missing, and nothing on record says why" in found.sentence
    one.append({"type": "ledger.webhooks_dropped", "detail": {"before_ms": BEGAN_MS}})
    one.signer.sign()
    assert verified(one).finding is not None
    one.append({"type": "ledger.webhooks_dropped", "detail": {"before_ms": BEGAN_MS + 1}})
    one.signer.sign()
    assert verified(one).finding is None
    tombstone = tombstone_of(one.ring.ids, 2026, verification.number_hash)
    erase(one.database, verification.number_hash, tombstone, BEGAN_MS)
    one.append({"type": "person.erased", "detail": {"records": 1}})
    one.signer.sign()
    assert (verified(one).finding, verified(one).erased) == (None, 1)
    one.database.close()


@pytest.mark.parametrize("change", ["number_hash = NULL", "number_hash = 'other'", "at_ms = 1", "at_ms = 'x'"])
def test_a_webhook_is_erased_whatever_its_columns_say(tmp_path: Path, change: str) -> None:
    """It holds the whole number. A changed column is told, and hides it from no erasure."""
    one = SignedHarness(tmp_path / "ledger.db")
    verification = one.ring.ids.new(one.ring.ids.number_hash("+12025550143"), bytes(10))
    values = {"mask": "+1******0143", "number_hash": verification.number_hash}
    one.append({"type": "delivery.sent", "verification": verification.token, "values": values, "webhook": webhook("a")})
    one.append({"type": "person.erased", "detail": {"records": 1}})
    one.signer.sign()
    one.run(f"UPDATE webhooks SET {change}")
    found = verified(one).finding
    assert found is not None
    assert (found.seq, "the columns of the carrier's webhook" in found.sentence) == (1, True)
    tombstone = tombstone_of(one.ring.ids, 2026, verification.number_hash)
    one.run("UPDATE persons SET number_hash = NULL")
    erase(one.database, verification.number_hash, tombstone, BEGAN_MS)
    with one.database.reading() as connection:
        assert connection.execute(select(WEBHOOKS)).all() == []
        assert connection.execute(select(PERSONS)).all() == []
    assert (verified(one).finding, verified(one).erased) == (None, 1)
    one.database.close()

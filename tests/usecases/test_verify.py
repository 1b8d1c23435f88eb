"""Starting and judging as stories: what is asked of the store, and what its answers become."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

import pytest

from otp_service.domain import codes, receipt
from otp_service.domain.checking import Approved, CheckAnswer, CheckCommand, Limited, Superseded, Wrong
from otp_service.domain.ending import Canceled, Ended, NotFound, Redeemed
from otp_service.domain.errors import InvalidNumber, InvalidRequest, KeyUnknown, NotReady, Refusal, StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.policy import App, Channel, Limit, Policy, Sender, SenderKind, Template
from otp_service.domain.starting import Started, StartRefused
from otp_service.domain.verification import ENDED_CODE, Status
from otp_service.domain.view import VerificationView
from otp_service.keyring import create, parse, rotate
from otp_service.storage.limits import Place
from otp_service.usecases import ports
from otp_service.usecases.verify import Asserted, Redemption, Verify, seconds
from tests.fakes import FakeKeyIds, FakeLimits, FakeSenderHealth, FakeVerifications, LateVault, verification_view

RING = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
PERSON = "+12025550143"
NUMBER = RING.ids.number_hash(PERSON)
REF = RING.ids.new(NUMBER, bytes(10))
POOL = Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 1.0)
NAME = Sender("name", SenderKind.ALPHANUMERIC, "profile-b", "ACME", 1.0)
SHOP = App("shop", "Acme", (POOL, NAME))
WORLD = App("world", "World", (NAME,), countries=frozenset({"*"}))
POLICY = Policy(MappingProxyType({"shop": SHOP, "world": WORLD}), MappingProxyType({"pool": POOL, "name": NAME}))
VIEW = verification_view(REF, subject=RING.ids.subject("shop", NUMBER))
APPROVED = Approved(1_790_000_000_999, NUMBER, "login", "sms", "", "receipt-1", "+1******0143")


def replying(*replies: object, last: Reference | None = REF, view: VerificationView | None = VIEW) -> FakeVerifications:
    """A store with one verification that gives these replies in their order."""
    return FakeVerifications(list(replies), last=last, views={REF: view} if view else {})


@dataclass(frozen=True)
class StartRequest:
    """A start as the endpoint hands it over."""

    to: str
    channel: str = "sms"
    purpose: str = "login"
    locale: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    client_ip: str | None = None
    autofill: str = ""
    metadata: str = "{}"


@dataclass(frozen=True)
class CheckRequest:
    """A guess as the endpoint hands it over."""

    code: str = "123456"
    verification_id: str | None = None
    to: str | None = None
    purpose: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


GUESS = CheckRequest(verification_id=REF.verification_id)
BY_NUMBER = CheckRequest(to=PERSON, purpose="pay")


def places(app: App, ip: str | None) -> list[object]:
    """One place in a limit of the app, one in a limit of the end user's address."""
    return [Place("app", app.name, Limit(5, 1_000)), Place("ip", str(ip), Limit(5, 1_000))]


def story(
    store: FakeVerifications,
    limits: FakeLimits | None = None,
    sender_health: FakeSenderHealth | None = None,
    ring: ports.Vault = RING,
    key_ids: FakeKeyIds | None = None,
    *,
    policy: Policy = POLICY,
    fictitious: bool = True,
) -> Verify:
    """The stories over this store; chance counts up."""
    chance = iter(range(1, 10_000))
    return Verify(
        store=store,
        limits=limits or FakeLimits(),
        place=places,
        sender_health=sender_health or FakeSenderHealth(),
        vault=ring,
        key_ids=key_ids or FakeKeyIds(),
        policy=policy,
        issuer="https://otp.example",
        queue_max=77,
        token_bytes=lambda n: next(chance).to_bytes(n, "big"),
        randbelow=lambda below: below - 1,
        fictitious=fictitious,
    )


def refused(answer: object) -> Refusal:
    """The answer, which is a refusal."""
    assert isinstance(answer, Refusal)
    return answer


# ---- start --------------------------------------------------------------------------------------------------------


def test_an_order_is_complete_and_seals_what_is_secret() -> None:
    """Digest and box belong to the order's own new id; neither code nor number stands in it in clear."""
    store = replying(Started(VIEW, resent=False))
    request = StartRequest(PERSON, context={"payee": "X"}, client_ip="203.0.113.7", locale="de", metadata='{"a":1}')
    sent = story(store).start("shop", request)
    assert sent == Started(VIEW, resent=False)
    (order,) = store.asked
    code = "999999"
    assert PERSON[1:] not in repr(order)
    assert code not in repr(order)
    box = json.loads(RING.open(order.box))
    assert box == {"v": order.reference.token, "to": PERSON, "code": code, "context": {"payee": "X"}}
    assert order.reference.number_hash == NUMBER
    assert order.kid == RING.active_kid
    assert order.digest == codes.digest(
        RING.peppers[order.kid],
        app="shop",
        verification_id=order.reference.verification_id,
        number_hash=NUMBER,
        context=codes.context_hash({"payee": "X"}),
        code=code,
    )
    assert (order.mask, order.metadata, order.locale, order.queue_max) == ("+1******0143", '{"a":1}', "de", 77)
    assert json.loads(order.detail) == {"purpose": "login", "channel": "sms", "client_ip": "203.0.113.7"}
    assert [sender.name for sender in order.route] == ["pool"]
    assert order.operation_ttl_ms == 60_000


def test_two_starts_have_nothing_in_common() -> None:
    """Each has an id, an operation and a box of its own; a caller's operation id is kept for a day."""
    store = replying(*[Started(VIEW, resent=True)] * 3)
    verifying = story(store)
    assert verifying.start("shop", StartRequest(PERSON)) == Started(VIEW, resent=True)
    verifying.start("shop", StartRequest(PERSON))
    verifying.start("shop", StartRequest(PERSON), operation_id="key-1")
    first, second, keyed = store.asked
    assert first.operation_id != second.operation_id
    assert first.reference != second.reference
    assert first.box != second.box
    assert (keyed.operation_id, keyed.operation_ttl_ms) == ("key-1", 24 * 3_600_000)


@pytest.mark.parametrize("to", ["", "12025550143", "+1 202 555 0143", "tel:+12025550143", "+1202555014３"])
def test_a_number_in_another_spelling_costs_nothing(to: str) -> None:
    """No limit is taken and the store is not asked."""
    store, limits = replying(), FakeLimits()
    with pytest.raises(InvalidNumber):
        story(store, limits).start("shop", StartRequest(to))
    assert (store.asked, limits.taken) == ([], 0)


@pytest.mark.parametrize(
    ("app", "request_", "code"),
    [
        ("shop", StartRequest("+4915112345678"), "country_not_allowed"),
        ("world", StartRequest(PERSON), "channel_unavailable"),
        ("shop", StartRequest(PERSON, channel=Channel.WHATSAPP), "channel_unavailable"),
        ("shop", StartRequest("+4915112345678", channel=Channel.WHATSAPP), "channel_unavailable"),
        ("shop", StartRequest("+447012345678"), "country_not_allowed"),
        ("world", StartRequest("+447012345678"), "destination_blocked"),
        ("shop", StartRequest("+19002345678"), "destination_blocked"),
        ("shop", StartRequest("+881612345678"), "destination_blocked"),
    ],
)
def test_what_cannot_be_reached_is_refused_before_the_store(app: str, request_: StartRequest, code: str) -> None:
    """The channel first, then the country, then the kind of number; what no country owns is refused by its kind."""
    store, limits = replying(), FakeLimits()
    assert refused(story(store, limits).start(app, request_)).code == code
    assert (store.asked, limits.taken) == ([], 0)


def test_a_fictitious_number_is_none_where_the_carrier_is_real() -> None:
    """Neither start nor check by number ask the store or a limit; next to 555-0100 to 0199 there are real numbers."""
    store, limits = replying(StartRefused("queue_full", 0)), FakeLimits()
    real = story(store, limits, fictitious=False)
    for number in ("+12025550100", "+12025550199", "+18765550143"):
        with pytest.raises(InvalidNumber):
            real.start("shop", StartRequest(number))
        with pytest.raises(InvalidNumber):
            real.check("shop", CheckRequest(to=number))
    assert (store.asked, limits.taken) == ([], 0)
    assert refused(real.start("shop", StartRequest("+12025550200"))).code == "queue_full"


def test_an_app_that_is_not_configured_is_not_ready() -> None:
    """A key of a removed app opens nothing."""
    with pytest.raises(NotReady):
        story(replying()).start("gone", StartRequest(PERSON))


@pytest.mark.parametrize(
    ("answer", "code", "retry_s", "fields"),
    [
        (StartRefused("opted_out", 0), "opted_out", None, {"resubscribe"}),
        (StartRefused("too_many_wrong_codes", 1_001), "too_many_wrong_codes", 2, set()),
        (StartRefused("context_conflict", 0), "context_conflict", None, set()),
        (StartRefused("resend_too_soon", 29_001, 3), "resend_too_soon", 30, {"sends_left", "resend_in"}),
        (StartRefused("resend_too_soon", 60_000, 0), "resend_too_soon", 60, {"sends_left", "resend_in"}),
        (StartRefused("rate_limited", 1), "rate_limited", 1, set()),
        (StartRefused("rate_limited", 599_001, limit="service.sends_per_number"), "rate_limited", 600, set()),
        (StartRefused("queue_full", 1_000), "queue_full", 2, set()),
    ],
)
def test_a_refused_start_says_what_to_do(
    answer: StartRefused, code: str, retry_s: int | None, fields: set[str]
) -> None:
    """Waits are whole seconds, rounded up so that obeying passes; the outer places are given back."""
    limits = FakeLimits()
    refusal = refused(story(replying(answer), limits).start("shop", StartRequest(PERSON)))
    assert (refusal.code, refusal.retry_after_s) == (code, retry_s)
    assert set(refusal.fields) == fields
    assert limits.taken == 0
    if answer.sends_left == 0:
        assert refusal.fields["resend_in"] is None
    if retry_s is not None and code != "queue_full":
        assert f" {retry_s} seconds" in refusal.detail
    assert ("This number" in refusal.detail) is bool(answer.limit)


def test_an_outer_limit_is_told_by_the_store_in_its_turn() -> None:
    """The wait goes into the order; what was not taken is not given back."""
    store, limits = replying(StartRefused("rate_limited", 700)), FakeLimits(wait_ms=700)
    assert refused(story(store, limits).start("shop", StartRequest(PERSON))).code == "rate_limited"
    assert store.asked[0].outer_wait_ms == 700
    assert limits.taken == 0


def test_a_replayed_start_is_given_as_the_store_has_it() -> None:
    """The store looks the verification up; who started first does not matter to the caller."""
    replayed = Started(VIEW, resent=False, replayed=True)
    assert story(replying(replayed)).start("shop", StartRequest(PERSON)) == replayed


PIZZAS = {"amount": "\U0001f355" * 128, "payee": "\U0001f355" * 128}
WEB = json.dumps({"web_origin": "a" * 36 + ".example"})
ANDROID = json.dumps({"android_hash": "FA+9qCX9VSu"})


@pytest.mark.parametrize(
    ("request_", "pointer", "advice"),
    [
        (StartRequest(PERSON, context=PIZZAS, autofill=WEB), "/context", "Shorten amount and payee"),
        (StartRequest(PERSON, context={"payee": "x" * 128}, autofill=ANDROID), "/context", "leave out autofill"),
        (StartRequest(PERSON, context={"payee": "€" * 40}, autofill=ANDROID), "/context", "140 bytes"),
        (StartRequest("nonsense", context=PIZZAS, autofill=WEB), "/context", "10 parts"),
    ],
)
def test_a_text_that_cannot_fit_is_refused_at_start(request_: StartRequest, pointer: str, advice: str) -> None:
    """As a malformed request, before number, limits and store; it says what to shorten and repeats no word."""
    store, limits = replying(), FakeLimits()
    with pytest.raises(InvalidRequest, match=advice) as caught:
        story(store, limits).start("shop", request_)
    assert [place for place, _ in caught.value.errors] == [pointer]
    assert "\U0001f355" not in caught.value.detail
    assert (store.asked, limits.taken) == ([], 0)


def test_a_brand_too_long_for_android_is_said() -> None:
    """Without a payment it is the form of autofill that does not fit."""
    app = replace(SHOP, brand="\U0001f355" * 40)
    with pytest.raises(InvalidRequest, match="brand") as caught:
        story(replying(), policy=Policy({"shop": app}, POLICY.senders)).start(
            "shop", StartRequest(PERSON, autofill=ANDROID)
        )
    assert [place for place, _ in caught.value.errors] == ["/autofill"]


def test_long_words_that_are_not_in_the_message_refuse_nothing() -> None:
    """Other members of the context bind the code and are not told."""
    store = replying(Started(VIEW, resent=False))
    request = StartRequest(PERSON, context={"order": "\U0001f355" * 128}, autofill=ANDROID)
    assert story(store).start("shop", request) == Started(VIEW, resent=False)


META = Sender("meta", SenderKind.WHATSAPP, "profile-c", "+18445550001", 1.0, Template("login"))
BOTH = Policy({"shop": replace(SHOP, route=(META, POOL))}, {"pool": POOL, "meta": META})


@pytest.mark.parametrize("context", [{"amount": "1"}, {"payee": "X", "order": "7"}, {"amount": ""}, PIZZAS])
def test_a_template_has_no_room_for_a_payment(context: dict[str, str]) -> None:
    """422 channel_unavailable before anything is taken; other contexts go, and stay on the channel."""
    store, limits = replying(Started(VIEW, resent=False)), FakeLimits()
    verifying = story(store, limits, policy=BOTH)
    request = StartRequest(PERSON, channel=Channel.WHATSAPP, context=context, autofill=WEB)
    assert refused(verifying.start("shop", request)).code == "channel_unavailable"
    assert (store.asked, limits.taken) == ([], 0)
    verifying.start("shop", replace(request, context={"order": "\U0001f355" * 128}))
    (order,) = store.asked
    assert [sender.name for sender in (*order.route, *order.behind)] == ["meta"]


def test_the_sms_that_may_stand_in_must_fit_too() -> None:
    """A login asked for by WhatsApp falls over to SMS: the autofill form of that text is measured."""
    request = StartRequest(PERSON, channel=Channel.WHATSAPP, autofill=ANDROID, locale="it")
    wide = Policy({"shop": replace(SHOP, brand="\U0001f355" * 40, route=(META, POOL))}, BOTH.senders)
    with pytest.raises(InvalidRequest):
        story(replying(), policy=wide).start("shop", request)
    alone = Policy({"shop": replace(wide.apps["shop"], route=(META,))}, BOTH.senders)
    store = replying(Started(VIEW, resent=False))
    assert story(store, policy=alone).start("shop", request) == Started(VIEW, resent=False)


@pytest.mark.parametrize(
    ("locale", "kept"), [("de_DE", "de"), ("en-US-u-fw-mon-mu-celsius", "en"), ("x" * 9_999, "en")]
)
def test_only_the_language_of_a_locale_is_kept(locale: str, kept: str) -> None:
    """Nothing long and nothing foreign goes into the store."""
    store = replying(Started(VIEW, resent=False))
    story(store).start("shop", StartRequest(PERSON, locale=locale))
    assert store.asked[0].locale == kept


# ---- check --------------------------------------------------------------------------------------------------------


def check(store: FakeVerifications) -> Approved | Refusal:
    """A guess by id."""
    return story(store).check("shop", GUESS)


def test_only_an_approval_is_one() -> None:
    """Each other answer of the store is a refusal with its code; none of them carries a receipt."""
    table: list[tuple[CheckAnswer, str]] = [
        (Wrong(3), "code_incorrect"),
        (Limited(1_500), "too_many_wrong_codes"),
        (NotFound(), "verification_not_found"),
        *[(Ended(status), code) for status, code in ENDED_CODE.items()],
    ]
    for answer, code in table:
        refusal = refused(check(replying(answer)))
        assert refusal.code == code
    assert refused(check(replying(Wrong(3)))).fields == {"checks_left": 3}
    assert refused(check(replying(Limited(1_500)))).retry_after_s == 2


def test_an_approval_carries_the_signed_receipt() -> None:
    """It names app, person, purpose and verification, and is signed by the active key."""
    approval = check(replying(APPROVED))
    assert isinstance(approval, Approved)
    assert approval.receipt not in repr(approval)
    claims = receipt.decode(approval.receipt, RING.verify)
    assert claims is not None
    assert claims["iss"] == "https://otp.example"
    assert (claims["aud"], claims["jti"], claims["purpose"]) == ("shop", "receipt-1", "login")
    assert claims["verification_id"] == REF.verification_id
    assert claims["sub"] == RING.ids.subject("shop", NUMBER)
    assert claims["iat"] == 1_790_000_000
    assert PERSON not in json.dumps(claims)
    told = (approval.mask, approval.purpose, approval.channel, approval.subject)
    assert told == ("+1******0143", "login", "sms", claims["sub"])


def test_what_is_asserted_goes_into_the_order() -> None:
    """The number as its keyed hash, the purpose as it is; the store compares both with the record."""
    store = replying(NotFound(), Wrong(4))
    verifying = story(store)
    verifying.check("shop", replace(GUESS, to=PERSON, purpose="pay"), "k")
    verifying.check("shop", GUESS)
    told, untold = store.asked
    assert (told.asserted_number, told.asserted_purpose, told.request_key) == (NUMBER, "pay", "k")
    assert (untold.asserted_number, untold.asserted_purpose, untold.request_key) == ("", "", "")
    with pytest.raises(InvalidNumber):
        verifying.check("shop", replace(GUESS, to="12025550143"))
    assert PERSON not in repr(Asserted(to=PERSON))


def test_a_repeat_of_an_approval_is_the_same_receipt() -> None:
    """The claims hang on the first approval alone, and the signature is deterministic (RFC 8032)."""
    store = replying(*[replace(APPROVED, receipt_id="first")] * 2)
    verifying = story(store)
    answers = [verifying.check("shop", GUESS, "k") for _ in range(2)]
    assert answers[0] == answers[1]
    assert isinstance(answers[0], Approved)
    assert answers[0].replayed


def test_ones_own_approval_is_no_repeat() -> None:
    """Told by the receipt's id: each order has a new one."""

    def fresh(order: CheckCommand) -> CheckAnswer:
        return replace(APPROVED, receipt_id=order.receipt_id)

    approval = check(replying(fresh))
    assert isinstance(approval, Approved)
    assert not approval.replayed


def test_a_guess_is_digested_under_every_pepper_and_never_kept() -> None:
    """The order holds digests only; the same guess makes the same digest, another operation."""
    store = replying(Wrong(4), Wrong(3))
    verifying = story(store)
    for _ in range(2):
        verifying.check("shop", replace(GUESS, context={"a": "b"}))
    first, second = store.asked
    assert first.digests == second.digests
    assert set(first.digests) == set(RING.peppers)
    assert first.operation_id != second.operation_id
    assert first.receipt_id != second.receipt_id
    assert "123456" not in repr(first)


@pytest.mark.parametrize("text", ["", "vrf_x", "dlv_x-1", REF.token, "\ud800"])
def test_an_id_that_cannot_be_ours_is_unknown(text: str) -> None:
    """The same refusal as for one that does not exist, without asking."""
    store = replying()
    assert refused(story(store).check("shop", CheckRequest(verification_id=text))).code == "verification_not_found"
    assert refused(story(store).cancel("shop", text)).code == "verification_not_found"
    assert store.asked == []


def test_by_number_the_latest_is_followed() -> None:
    """One that is overtaken while it is judged gives way to the newer; three times at most."""
    store = replying(Superseded(), APPROVED)
    answer = story(store).check("shop", BY_NUMBER)
    assert isinstance(answer, Approved)
    assert store.asked[0] == (NUMBER, "shop", "pay")
    assert store.asked[1].by_purpose == "pay"
    restless = replying(*[Superseded()] * 3)
    refusal = refused(story(restless).check("shop", BY_NUMBER))
    assert (refusal.code, refusal.retry_after_s) == ("store_unavailable", 1)
    nobody = replying(last=None)
    assert refused(story(nobody).check("shop", BY_NUMBER)).code == "verification_not_found"
    with pytest.raises(InvalidNumber):
        story(nobody).check("shop", CheckRequest(to="12025550143"))


def test_a_store_that_cannot_answer_approves_nobody() -> None:
    """The exception goes up: no code path turns it into an answer."""

    with pytest.raises(StoreUnavailable):
        check(FakeVerifications(fault=StoreUnavailable("down")))


# ---- the rest -----------------------------------------------------------------------------------------------------


def test_cancel_shows_what_became_of_it() -> None:
    """The view after the end, or why it had ended before."""

    def cancel(store: FakeVerifications) -> VerificationView | Refusal:
        return story(store).cancel("shop", REF.verification_id)

    assert cancel(replying(Canceled())) == VIEW
    assert refused(cancel(replying(Ended(Status.APPROVED)))).code == "already_approved"
    assert refused(cancel(replying(NotFound()))).code == "verification_not_found"
    assert refused(cancel(replying(Canceled(), view=None))).code == "verification_not_found"


def token(**changes: Any) -> str:
    """A receipt of ours, signed, with changed claims."""
    claims = receipt.Claims(
        iss="https://otp.example",
        aud="shop",
        sub="x",
        purpose="login",
        channel="sms",
        context_hash="",
        jti="receipt-1",
        verification_id=REF.verification_id,
        iat=1_000,
    ).payload()
    claims.update(changes)

    class Changed:
        def payload(self) -> dict[str, Any]:
            return claims

    return receipt.encode(cast("Any", Changed()), RING.active_kid, RING.sign)


NEWER = parse(rotate(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"), lambda n: b"\x05" * n, "2026-02-01"))


def late(*, comes: bool) -> LateVault:
    """A keyring that gets the newer key when somebody asks for it, or never."""
    return LateVault(RING, NEWER, comes=comes)


def judging(order: CheckCommand) -> CheckAnswer:
    """The code was made with the newer key: an order without a digest under it cannot be judged."""
    if NEWER.active_kid not in order.digests:
        raise KeyUnknown(NEWER.active_kid)
    return Wrong(4)


def test_a_code_made_with_a_key_that_came_meanwhile_is_judged() -> None:
    """The file is looked at again, and the guess is judged once, under all keys."""
    store = replying(judging, judging)
    answer = story(store, ring=late(comes=True)).check("shop", GUESS)
    assert refused(answer).code == "code_incorrect"
    assert [NEWER.active_kid in order.digests for order in store.asked] == [False, True]


def test_a_code_made_with_a_key_that_does_not_come_is_no_verdict() -> None:
    """503, and no guess is lost; another process may have the key."""
    verify = story(replying(*[judging] * 9), ring=late(comes=False))
    with pytest.raises(NotReady):
        verify.check("shop", GUESS)
    with pytest.raises(NotReady):
        verify.check("shop", CheckRequest(to=PERSON))


def test_a_receipt_of_a_key_that_only_others_have_is_no_verdict() -> None:
    """Known to some process: 503 until this one has it; known to nobody: no receipt of ours."""
    claims = receipt.Claims(
        "https://otp.example", "shop", "s", "login", "sms", "", "receipt-1", REF.verification_id, 1_000
    )
    newer = receipt.encode(claims, NEWER.active_kid, NEWER.sign)
    known = FakeKeyIds(NEWER.active_kid)
    with pytest.raises(NotReady):
        story(replying(), ring=late(comes=False), key_ids=known).redeem("shop", newer)
    assert refused(story(replying(), ring=late(comes=False)).redeem("shop", newer)).code == "receipt_invalid"
    came = story(replying(Redeemed(5_000, True, "+1******0143", "login")), ring=late(comes=True), key_ids=known)
    assert came.redeem("shop", newer) == Redemption(REF.verification_id, 5_000, "+1******0143", "login", "s")
    for nonsense in ("", ".", "a.b.c", "x" * 5_000, newer.replace(".", "")):
        assert refused(story(replying(), key_ids=known).redeem("shop", nonsense)).code == "receipt_invalid"


def test_a_receipt_is_redeemed_where_it_belongs() -> None:
    """The store is asked with what was signed; once it is spent, that is said."""
    store = replying(Redeemed(5_000, True, "+1******0143", "login"))
    assert story(store).redeem("shop", token()) == Redemption(REF.verification_id, 5_000, "+1******0143", "login", "x")
    assert store.asked == [(REF, "shop", "receipt-1", 1_120_000)]
    assert (
        refused(story(replying(Redeemed(5_000, False, "+1******0143", "login"))).redeem("shop", token())).code
        == "receipt_spent"
    )
    assert refused(story(replying(NotFound())).redeem("shop", token())).code == "receipt_invalid"


@pytest.mark.parametrize(
    "asserted",
    [
        Asserted(to="+12025550144"),
        Asserted(subject="y"),
        Asserted(subject=""),
        Asserted(purpose="pay"),
        Asserted(to=PERSON, subject="x", purpose="pay"),
        Asserted(to="+12025550144", subject="x", purpose="login"),
    ],
)
def test_a_receipt_of_somebody_else_is_not_spent(asserted: Asserted) -> None:
    """One assertion that does not fit is enough: invalid, and the store is not asked."""
    store = replying()
    assert refused(story(store).redeem("shop", token(), asserted)).code == "receipt_invalid"
    assert store.asked == []
    good = replying(Redeemed(5_000, True, "+1******0143", "login"))
    fitting = Asserted(to=PERSON, subject="x", purpose="login")
    assert isinstance(story(good).redeem("shop", token(), fitting), Redemption)
    with pytest.raises(InvalidNumber):
        story(store).redeem("shop", token(), Asserted(to="12025550143"))


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a.b.c",
        token()[:-4] + "AAAA",
        token(iss="https://evil.example"),
        token(aud="bank"),
        token(aud=["shop"]),
        token(jti=None),
        token(exp="soon"),
        token(verification_id=7),
        token(verification_id="vrf_x"),
    ],
)
def test_any_other_receipt_is_invalid_without_asking(bad: str) -> None:
    """Another issuer, app, shape or signature: one and the same refusal."""
    store = replying()
    assert refused(story(store).redeem("shop", bad)).code == "receipt_invalid"
    assert store.asked == []


def test_waits_are_whole_seconds_that_suffice() -> None:
    """Rounded up, at least one."""
    assert [seconds(ms) for ms in (-5, 0, 1, 1_000, 1_001, 59_999)] == [1, 1, 1, 1, 2, 60]


@pytest.mark.parametrize(
    ("changes", "resend", "left"),
    [
        ({}, 30, 3),
        ({"now_ms": 30_000}, 0, 3),
        ({"now_ms": 31_000}, 0, 3),
        ({"sends": 4}, None, 0),
        ({"status": Status.APPROVED}, None, 3),
    ],
)
def test_a_view_tells_when_to_send_again(changes: dict[str, Any], resend: int | None, left: int) -> None:
    """Never after the last send or the end."""
    view = replace(VIEW, **changes)
    assert view.resend_in == resend
    assert view.sends_left == left
    assert view.checks_left == 3
    assert RING.ids.read(view.reference.verification_id) == REF

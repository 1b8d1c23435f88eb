"""Starting: what is asked of the store, and what its answers become."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from types import MappingProxyType

import pytest

from otp_service.domain import codes
from otp_service.domain.addresses import KeptClientIp, kept_client_ip
from otp_service.domain.callback import Endpoint
from otp_service.domain.errors import InvalidNumber, InvalidRequest, NotReady
from otp_service.domain.policy import Channel, Policy, Sender, SenderKind, Template
from otp_service.domain.risk import RiskHook
from otp_service.domain.starting import StartCommand, Started, StartRefused, WouldSend
from otp_service.domain.view import VerificationView
from otp_service.storage.record_views import usual_detail
from otp_service.usecases import sealed_box
from otp_service.usecases.sealed_box import Box
from tests.fakes import FakeLimits, FakeVerifications, Secrets, Sent, verification_view

from .parts import (
    NUMBER,
    PERSON,
    POLICY,
    POOL,
    REF,
    RING,
    SHOP,
    CheckRequest,
    StartRequest,
    refused,
    use_cases,
)

HASHED_IP = kept_client_ip("203.0.113.7", KeptClientIp.HASHED, "shop", RING.ids.digest)


def started(answer: object) -> Started:
    """The answer, which is a start."""
    assert isinstance(answer, Started)
    return answer


def test_a_start_command_is_complete_and_seals_what_is_secret() -> None:
    """Digest and box belong to the command's own new id; neither code nor number stands in it in clear."""
    store = FakeVerifications()
    request = StartRequest(PERSON, context={"payee": "X"}, client_ip="203.0.113.7", locale="de", metadata='{"a":1}')
    sent = use_cases(store).start("shop", request)
    (command,) = store.asked
    view = store.view(command.reference, "shop")
    assert view is not None
    assert started(sent) == Started(**{one.name: getattr(view, one.name) for one in fields(view)}, resent=False)
    code = "999999"
    assert PERSON[1:] not in repr(command)
    assert code not in repr(command)
    box = sealed_box.unpack(command.reference, RING.open(command.box))
    assert box == Box(PERSON, code, {"payee": "X"})
    assert command.reference.number_hash == NUMBER
    assert command.kid == RING.active_kid
    assert command.digest == codes.digest(
        RING.peppers[command.kid],
        app="shop",
        verification_id=command.reference.verification_id,
        number_hash=NUMBER,
        context=codes.context_hash({"payee": "X"}),
        code=code,
    )
    assert (command.mask, command.metadata, command.locale, command.queue_max) == ("+1******0143", '{"a":1}', "de", 77)
    assert json.loads(command.detail) == {"purpose": "login", "channel": "sms", "client_ip": HASHED_IP}
    assert [sender.name for sender in command.route] == ["pool"]
    assert command.operation_ttl_ms == 60_000


def test_the_usual_detail_is_what_the_store_need_not_keep() -> None:
    """The record says it anyway, in the same words."""
    store = FakeVerifications()
    use_cases(store).start("shop", StartRequest(PERSON))
    (command,) = store.asked
    assert command.detail == usual_detail(command.purpose, command.channel)


def test_two_starts_have_nothing_in_common() -> None:
    """Each has an id, an operation and a box of its own; a caller's operation id is kept for a day."""
    store = FakeVerifications()
    verifying = use_cases(store)
    assert not started(verifying.start("shop", StartRequest(PERSON))).resent
    store.now_ms += 30_000
    assert started(verifying.start("shop", StartRequest(PERSON))).resent
    verifying.start("shop", StartRequest(PERSON), operation_id="key-1")
    first, second, keyed = store.asked
    assert first.operation_id != second.operation_id
    assert first.reference != second.reference
    assert first.box != second.box
    assert (keyed.operation_id, keyed.operation_ttl_ms) == ("key-1", 24 * 3_600_000)


@pytest.mark.parametrize("to", ["", "12025550143", "+1 202 555 0143", "tel:+12025550143", "+1202555014３"])
def test_a_number_in_another_spelling_costs_nothing(to: str) -> None:
    """No limit is taken and the store is not asked."""
    store, limits = FakeVerifications(), FakeLimits()
    with pytest.raises(InvalidNumber):
        use_cases(store, limits).start("shop", StartRequest(to))
    assert (store.asked, limits.taken) == ([], 0)


@pytest.mark.parametrize(
    ("app", "request_", "code"),
    [
        ("shop", StartRequest("+4915112345678"), "country_not_allowed"),
        ("abroad", StartRequest(PERSON), "channel_unavailable"),
        ("shop", StartRequest(PERSON, channel=Channel.WHATSAPP), "channel_unavailable"),
        ("shop", StartRequest("+4915112345678", channel=Channel.WHATSAPP), "channel_unavailable"),
        ("shop", StartRequest("+447012345678"), "country_not_allowed"),
        ("abroad", StartRequest("+447012345678"), "destination_blocked"),
        ("shop", StartRequest("+19002345678"), "destination_blocked"),
        ("shop", StartRequest("+881612345678"), "destination_blocked"),
    ],
)
def test_what_cannot_be_reached_is_refused_before_the_store(app: str, request_: StartRequest, code: str) -> None:
    """The channel first, then the country, then the kind of number; what no country owns is refused by its kind."""
    store, limits = FakeVerifications(), FakeLimits()
    assert refused(use_cases(store, limits).start(app, request_)).code == code
    assert (store.asked, limits.taken) == ([], 0)


def test_a_fictitious_number_is_none_where_the_carrier_is_real() -> None:
    """Neither start nor check by number ask the store or a limit; next to 555-0100 to 0199 there are real numbers."""
    store, limits = FakeVerifications(), FakeLimits()
    real = use_cases(store, limits, fictitious=False, queue_max=0)
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
        use_cases().start("gone", StartRequest(PERSON))


def pending(store: FakeVerifications, **changes: object) -> VerificationView:
    """A verification that was started 999 ms ago; one of its waits is over in whole seconds and one millisecond."""
    at_ms = store.now_ms - 999
    store.views[REF] = verification_view(REF, created_ms=at_ms, **changes)
    store.secrets[REF] = Secrets()
    store.sends = [Sent(at_ms, (NUMBER, "shop", "login"))]
    return store.views[REF]


def opted_out(store: FakeVerifications) -> None:
    """The person wrote STOP to the only sender that reaches them."""
    store.opted_out.add((NUMBER, POOL.messaging_profile_id))


def guessed(store: FakeVerifications) -> None:
    """The number's wrong codes of this day are used up for another 1001 ms."""
    store.wrong[NUMBER, "shop"] = [store.now_ms - 86_400_000 + 1_001] * 20


def bound(store: FakeVerifications) -> None:
    """Another context is pending."""
    pending(store)
    store.secrets[REF] = Secrets(context_hash="another")


def sent_too_often(store: FakeVerifications) -> None:
    """As often as a code may be; it has a minute left."""
    pending(store, sends=4, expires_ms=store.now_ms + 60_000)


def flooded(store: FakeVerifications) -> None:
    """Other apps have sent as much as this number may get in ten minutes, 999 ms ago."""
    store.sends = [Sent(store.now_ms - 999, (NUMBER, "bank", "login"))] * 5


@pytest.mark.parametrize(
    ("arrange", "code", "retry_s", "fields"),
    [
        (opted_out, "opted_out", None, {"resubscribe", "alternatives"}),
        (guessed, "too_many_wrong_codes", 2, set()),
        (bound, "context_conflict", None, set()),
        (pending, "resend_too_soon", 30, {"sends_left", "resend_in"}),
        (sent_too_often, "resend_too_soon", 60, {"sends_left", "resend_in"}),
        (flooded, "rate_limited", 600, set()),
    ],
)
def test_a_refused_start_says_what_to_do(
    arrange: Callable[[FakeVerifications], object], code: str, retry_s: int | None, fields: set[str]
) -> None:
    """Waits are whole seconds, rounded up so that obeying passes; the outer slots are given back."""
    store, limits = FakeVerifications(), FakeLimits()
    arrange(store)
    refusal = refused(use_cases(store, limits).start("shop", StartRequest(PERSON)))
    assert (refusal.code, refusal.retry_after_s) == (code, retry_s)
    assert set(refusal.fields) == fields
    assert limits.taken == 0
    if arrange is sent_too_often:
        assert refusal.fields["resend_in"] is None
    if retry_s is not None:
        assert f" {retry_s} seconds" in refusal.detail
    assert ("This number" in refusal.detail) is (arrange is flooded)


def test_a_full_queue_is_waited_for() -> None:
    """Two seconds; the outer slots are given back."""
    limits = FakeLimits()
    refusal = refused(use_cases(limits=limits, queue_max=0).start("shop", StartRequest(PERSON)))
    assert (refusal.code, refusal.retry_after_s, limits.taken) == ("queue_full", 2, 0)


@pytest.mark.parametrize(("wait_ms", "retry_s"), [(700, 1), (1, 1), (1_001, 2)])
def test_an_outer_limit_is_reported_by_the_store_in_order(wait_ms: int, retry_s: int) -> None:
    """The wait goes into the command; what was not taken is not given back. It is no limit of this number."""
    store, limits = FakeVerifications(), FakeLimits(wait_ms=wait_ms)
    refusal = refused(use_cases(store, limits).start("shop", StartRequest(PERSON)))
    assert (refusal.code, refusal.retry_after_s) == ("rate_limited", retry_s)
    assert f" {retry_s} seconds" in refusal.detail
    assert "This number" not in refusal.detail
    assert store.asked[0].outer_wait_ms == wait_ms
    assert limits.taken == 0


def test_a_replayed_start_is_given_as_the_store_has_it() -> None:
    """The store looks the verification up; a caller gets the same as the first time."""
    verifying = use_cases()
    first = started(verifying.start("shop", StartRequest(PERSON), operation_id="key-1"))
    assert verifying.start("shop", StartRequest(PERSON), operation_id="key-1") == replace(first, replayed=True)


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
    """As a malformed request, before number, limits and store; the error names what to shorten and repeats no word."""
    store, limits = FakeVerifications(), FakeLimits()
    with pytest.raises(InvalidRequest, match=advice) as caught:
        use_cases(store, limits).start("shop", request_)
    assert [place for place, _ in caught.value.errors] == [pointer]
    assert "\U0001f355" not in caught.value.detail
    assert (store.asked, limits.taken) == ([], 0)


def test_a_brand_too_long_for_android_is_refused() -> None:
    """Without a payment it is the form of autofill that does not fit."""
    app = replace(SHOP, brand="\U0001f355" * 40)
    with pytest.raises(InvalidRequest, match="brand") as caught:
        use_cases(policy=Policy({"shop": app}, POLICY.senders)).start("shop", StartRequest(PERSON, autofill=ANDROID))
    assert [place for place, _ in caught.value.errors] == ["/autofill"]


def test_long_words_that_are_not_in_the_message_refuse_nothing() -> None:
    """Other members of the context bind the code and are not in the message."""
    request = StartRequest(PERSON, context={"order": "\U0001f355" * 128}, autofill=ANDROID)
    started(use_cases().start("shop", request))


META = Sender("meta", SenderKind.WHATSAPP, "profile-c", "+18445550001", 1.0, Template("login"))
BOTH = Policy({"shop": replace(SHOP, route=(META, POOL))}, {"pool": POOL, "meta": META})


@pytest.mark.parametrize("context", [{"amount": "1"}, {"payee": "X", "order": "7"}, {"amount": ""}, PIZZAS])
def test_a_template_has_no_room_for_a_payment(context: dict[str, str]) -> None:
    """422 channel_unavailable before anything is taken; other contexts go, and stay on the channel."""
    store, limits = FakeVerifications(), FakeLimits()
    verifying = use_cases(store, limits, policy=BOTH)
    request = StartRequest(PERSON, channel=Channel.WHATSAPP, context=context, autofill=WEB)
    assert refused(verifying.start("shop", request)).code == "channel_unavailable"
    assert (store.asked, limits.taken) == ([], 0)
    verifying.start("shop", replace(request, context={"order": "\U0001f355" * 128}))
    (command,) = store.asked
    assert [sender.name for sender in (*command.route, *command.failover_route)] == ["meta"]


def test_the_sms_that_failover_may_send_must_fit_too() -> None:
    """A login asked for by WhatsApp may fail over to SMS: the autofill form of that text is measured."""
    request = StartRequest(PERSON, channel=Channel.WHATSAPP, autofill=ANDROID, locale="it")
    wide = Policy({"shop": replace(SHOP, brand="\U0001f355" * 40, route=(META, POOL))}, BOTH.senders)
    with pytest.raises(InvalidRequest):
        use_cases(policy=wide).start("shop", request)
    alone = Policy({"shop": replace(wide.apps["shop"], route=(META,))}, BOTH.senders)
    started(use_cases(policy=alone).start("shop", request))


@pytest.mark.parametrize(
    ("locale", "kept"), [("de_DE", "de"), ("en-US-u-fw-mon-mu-celsius", "en"), ("x" * 9_999, "en")]
)
def test_only_the_language_of_a_locale_is_kept(locale: str, kept: str) -> None:
    """Nothing long and nothing foreign goes into the store."""
    store = FakeVerifications()
    use_cases(store).start("shop", StartRequest(PERSON, locale=locale))
    assert store.asked[0].locale == kept


class Passing(FakeVerifications):
    """Time passes between a look and the step, so that the step would let the start through."""

    def would_start(self, command: StartCommand) -> WouldSend | StartRefused:
        """Judge it, and be late."""
        looked = super().would_start(command)
        self.now_ms += 30_000
        return looked


def test_a_start_that_was_refused_before_its_question_says_why() -> None:
    """Nobody was asked, so nothing is sent; and the queue, which is empty, is not what the caller is told of."""
    store, risky = Passing(), replace(SHOP, risk=RiskHook(Endpoint("http://127.0.0.1/risk", ("secret",), True)))
    use_cases(store).start("shop", StartRequest(PERSON))
    verify = use_cases(store, policy=replace(POLICY, apps=MappingProxyType({"shop": risky})))
    refusal = refused(verify.start("shop", StartRequest(PERSON), "second"))
    assert (refusal.code, refusal.retry_after_s) == ("resend_too_soon", 30)
    assert len(store.sends) == 1
    full = use_cases(store, queue_max=0, policy=replace(POLICY, apps=MappingProxyType({"shop": risky})))
    assert refused(full.start("shop", StartRequest("+12025550144"), "third")).code == "queue_full"

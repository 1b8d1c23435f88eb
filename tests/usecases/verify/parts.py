"""What the tests of starting, checking, canceling and redeeming share: one person, two apps, a scripted store."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from otp_service.domain.checking import Approval, Approved
from otp_service.domain.errors import Refusal
from otp_service.domain.ids import Reference
from otp_service.domain.policy import App, Limit, Policy, Sender, SenderKind, Slot
from otp_service.domain.starting import Started
from otp_service.domain.view import VerificationView
from otp_service.keyring import create, parse, rotate
from otp_service.usecases import ports
from otp_service.usecases.verify import Verify
from tests.fakes import FakeKeyIds, FakeLimits, FakeSenderHealth, FakeVerifications, LateVault, verification_view

RING = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
PERSON = "+12025550143"
NUMBER = RING.ids.number_hash(PERSON)
REF = RING.ids.new(NUMBER, bytes(10))
POOL = Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 1.0)
NAME = Sender("name", SenderKind.ALPHANUMERIC, "profile-b", "ACME", 1.0)
SHOP = App("shop", "Acme", (POOL, NAME))
ABROAD = App("abroad", "Abroad", (NAME,), countries=frozenset({"*"}))
POLICY = Policy(MappingProxyType({"shop": SHOP, "abroad": ABROAD}), MappingProxyType({"pool": POOL, "name": NAME}))
VIEW = verification_view(REF, subject=RING.ids.subject("shop", NUMBER))


def approved(receipt_id: str = "receipt-1", *, replayed: bool = False) -> Approved:
    """What the store answers to the right code: everything but the signed receipt."""
    moment, subject = "2026-09-21T14:13:20.999Z", RING.ids.subject("shop", NUMBER)
    approval = Approval(REF.verification_id, "approved", moment, "+1******0143", "login", "sms", subject, receipt="")
    return Approved(approval, 1_790_000_000_999, "", receipt_id, replayed)


def started(*, resent: bool, replayed: bool = False) -> Started:
    """What the store answers to a start: the view and what was done."""
    return Started(
        **{field.name: getattr(VIEW, field.name) for field in fields(VIEW)}, resent=resent, replayed=replayed
    )


@dataclass(frozen=True)
class StartRequest:
    """A start as the endpoint passes it on."""

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
    """A guess as the endpoint passes it on."""

    code: str = "123456"
    verification_id: str | None = None
    to: str | None = None
    purpose: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


GUESS = CheckRequest(verification_id=REF.verification_id)
BY_NUMBER = CheckRequest(to=PERSON, purpose="pay")


def replying(*replies: object, last: Reference | None = REF, view: VerificationView | None = VIEW) -> FakeVerifications:
    """A store with one verification that gives these replies in their order."""
    return FakeVerifications(list(replies), last=last, views={REF: view} if view else {})


def slots(app: App, ip: str | None) -> list[Slot]:
    """One slot in a limit of the app, one in a limit of the end user's address."""
    return [Slot("app", app.name, Limit(5, 1_000)), Slot("ip", str(ip), Limit(5, 1_000))]


def use_cases(
    store: FakeVerifications,
    limits: FakeLimits | None = None,
    sender_health: FakeSenderHealth | None = None,
    ring: ports.Vault = RING,
    key_ids: FakeKeyIds | None = None,
    *,
    policy: Policy = POLICY,
    fictitious: bool = True,
) -> Verify:
    """The use cases over this store; random bytes count up."""
    chance = iter(range(1, 10_000))
    return Verify(
        store=store,
        limits=limits or FakeLimits(),
        limit_slots=slots,
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


NEWER = parse(rotate(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"), lambda n: b"\x05" * n, "2026-02-01"))


def late(*, comes: bool) -> LateVault:
    """A keyring that gets the newer key when somebody asks for it, or never."""
    return LateVault(RING, NEWER, comes=comes)

"""What the tests of starting, checking, canceling and redeeming share: one person, two apps, a store in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import cast

from otp_service.domain.errors import Refusal
from otp_service.domain.ids import Reference
from otp_service.domain.phone import Phone
from otp_service.domain.policy import App, Limit, Policy, Sender, SenderKind, Slot
from otp_service.domain.starting import StartCommand, Started
from otp_service.keyring import create, parse, rotate
from otp_service.keyring_reload import ReloadedKeyring
from otp_service.usecases import ports
from otp_service.usecases.verify import AskRisk, StartLimits, Verify, start_request
from tests.fakes import FakeKeyIds, FakeLimits, FakeSenderHealth, FakeVerifications

RAW = create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z")
NEWER_RAW = rotate(RAW, lambda n: b"\x05" * n, "2026-02-01T00:00:00Z")
RING, NEWER = parse(RAW), parse(NEWER_RAW)
PERSON = "+12025550143"
NUMBER = RING.ids.number_hash(PERSON)
REF = RING.ids.new(NUMBER, bytes(10))
POOL = Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 1.0)
NAME = Sender("name", SenderKind.ALPHANUMERIC, "profile-b", "ACME", 1.0)
SHOP = App("shop", "Acme", (POOL, NAME))
ABROAD = App("abroad", "Abroad", (NAME,), countries=frozenset({"*"}))
POLICY = Policy(MappingProxyType({"shop": SHOP, "abroad": ABROAD}), MappingProxyType({"pool": POOL, "name": NAME}))
NO_FACTORS = cast("ports.FactorStore", None)
"""Nobody names a subject here: factors are tried over the API."""

NO_HOOKS = AskRisk(
    receivers=cast("ports.RiskReceivers", None),
    refused=cast("ports.RefusedStarts", None),
    vault=RING,
    token_bytes=bytes,
    request_id=str,
    count=print,
    alert=print,
    monotonic=float,
)
"""No app here has a risk hook: they are tried over the API."""

RIGHT = "999999"
"""The code of every verification here, see `use_cases`."""


@dataclass(frozen=True)
class StartRequest:
    """A start as the endpoint passes it on."""

    to: str
    channel: str = "sms"
    purpose: str = "login"
    locale: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    client_ip: str | None = None
    known_user: bool = False
    device_id: str | None = None
    limit_keys: Mapping[str, str] = field(default_factory=dict)
    autofill: str = ""
    metadata: str = "{}"
    code_challenge: str = ""
    subject: str | None = None
    proof: str | None = None


@dataclass(frozen=True)
class CheckRequest:
    """A guess as the endpoint passes it on."""

    code: str = "123456"
    verification_id: str | None = None
    to: str | None = None
    subject: str | None = None
    purpose: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    code_verifier: str | None = None
    client_ip: str | None = None
    device_id: str | None = None
    limit_keys: Mapping[str, str] = field(default_factory=dict)


def guess(ref: Reference, code: str = "123456") -> CheckRequest:
    """A guess by id."""
    return CheckRequest(code, ref.verification_id)


def begun(verify: Verify, request: StartRequest | None = None) -> Reference:
    """A verification of the app `shop` that was started now."""
    started = verify.start("shop", request or StartRequest(PERSON))
    assert isinstance(started, Started)
    return started.reference


def slots(command: StartCommand, request: start_request.StartRequest, _: Phone) -> list[Slot]:
    """One slot in a limit of the app, one in a limit of the end user's address."""
    app, address = command.app.name, str(request.client_ip)
    return [Slot("app", app, Limit(5, 1_000)), Slot("ip", address, Limit(5, 1_000))]


def use_cases(
    store: FakeVerifications | None = None,
    limits: FakeLimits | None = None,
    sender_health: FakeSenderHealth | None = None,
    ring: ports.Vault = RING,
    key_ids: FakeKeyIds | None = None,
    *,
    policy: Policy = POLICY,
    fictitious: bool = True,
    queue_max: int = 77,
) -> Verify:
    """The use cases over this store; random bytes count up, and every code is the greatest."""
    chance = iter(range(1, 10_000))
    return Verify(
        store=store or FakeVerifications(),
        outer=limits or FakeLimits(),
        parts=[StartLimits(slots, lambda *_: None)],
        exceeded=lambda *_: None,
        sender_health=sender_health or FakeSenderHealth(),
        vault=ring,
        key_ids=key_ids or FakeKeyIds(),
        policy=policy,
        issuer="https://otp.example",
        queue_max=queue_max,
        token_bytes=lambda n: next(chance).to_bytes(n, "big"),
        randbelow=lambda below: below - 1,
        factor_store=NO_FACTORS,
        ask_risk=NO_HOOKS,
        fictitious=fictitious,
    )


def refused(answer: object) -> Refusal:
    """The answer, which is a refusal."""
    assert isinstance(answer, Refusal)
    return answer


class LateKeyringFile(ReloadedKeyring):
    """The keyring of a running process; its file has the newer key when somebody asks for a key, or never."""

    def __init__(self, directory: Path, *, comes: bool) -> None:
        self._file, self._comes, self._seconds = directory / "keyring", comes, 0.0
        self._file.write_bytes(RAW)
        super().__init__(
            self._file,
            lambda: parse(self._file.read_bytes()),
            monotonic=lambda: self._seconds,
            now_ms=lambda: 1_790_000_000_000,
        )

    def knows(self, kid: str) -> bool:
        """The file is looked at again."""
        self._seconds += 10
        if self._comes:
            self._file.write_bytes(NEWER_RAW)
        return super().knows(kid)


def late(directory: Path, *, comes: bool) -> ports.Vault:
    """That keyring, whose file is in this folder."""
    return LateKeyringFile(directory, comes=comes)

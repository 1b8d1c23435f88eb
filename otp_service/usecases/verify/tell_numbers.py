"""Telling a person at the numbers that they have that the numbers of their account have changed.

A message goes by the app's own route, under the number's opt-outs, limits and caps. Whether one was queued is an event.
The change has been made by then: nothing that goes wrong here takes it back.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ...domain.errors import Refusal, ServiceError
from ...domain.factors import Factor, FactorKind, Factors, Subject
from ...domain.ids import Reference
from ...domain.notices import BoundNumber, Notice, unpack_number
from ...domain.phone import Phone
from ...domain.policy import App, Channel
from ...domain.starting import KEYED_OPERATION_TTL_MS, StartCommand, Started
from .. import ports, sealed_box
from ..sealed_box import Box
from .start_request import StartRequest

UNKNOWN = "number_unknown"
"""The number was bound by a version that did not keep it."""

_log = logging.getLogger("otp.factors")


@dataclass(frozen=True, slots=True)
class NoticeRequest:
    """A start without a code, as `StartVerification` takes it."""

    to: str = field(repr=False)
    purpose: str
    locale: str
    channel: str = Channel.SMS
    context: Mapping[str, str] = field(default_factory=dict)
    client_ip: str | None = None
    known_user: bool = True
    autofill: str = ""
    metadata: str = "{}"
    code_challenge: str = ""
    subject: str | None = None
    proof: str | None = None
    device_id: str | None = None
    limit_keys: Mapping[str, str] = field(default_factory=dict)


class Start(Protocol):
    """What of `StartVerification` makes and queues a message."""

    def prepare(self, app_name: str, request: StartRequest) -> tuple[StartCommand, Phone] | Refusal:
        """The command for the store, and its number."""
        ...

    def run(self, command: StartCommand, request: StartRequest, to: Phone) -> Started | Refusal:
        """Take what it wants apart from its number, and run the step."""
        ...


class TellNumbers:
    """Tells numbers of subjects. `start` makes and queues messages."""

    def __init__(
        self,
        *,
        store: ports.FactorStore,
        vault: ports.Vault,
        token_bytes: Callable[[int], bytes],
        start: Callable[[], Start],
    ) -> None:
        self._store = store
        self._vault = vault
        self._token_bytes = token_bytes
        self._start = start

    def added(self, app: App, subject: Subject, by: Reference, others: Sequence[Reference]) -> None:
        """Another number was bound by this verification. A repeat tells nobody twice."""
        try:
            known = [one for one in self._store.read(subject).all if one.reference in others]
            told = [self._tell(app, subject, factor, Notice.ADDED, by) for factor in known]
            if all(told):
                self._store.told_all(subject, by)
        except ServiceError as error:
            _log.warning("numbers could not be told", extra={"app": app.name, "code": error.code})

    def finish(self, app: App, subject: Subject, factors: Factors) -> None:
        """Tell what a process that died did not: whoever uses the subject next goes on."""
        by = self._vault.ids.read_token(factors.untold) if factors.untold else None
        if by is not None:
            others = [one for one in factors.of_kind(FactorKind.SMS) if one.bound_by != by.token]
            self.added(app, subject, by, [one.reference for one in others])

    def removed(self, app: App, subject: Subject, factor: Factor) -> None:
        """This number was taken away."""
        if factor.kind is FactorKind.SMS:
            self._tell(app, subject, factor, Notice.REMOVED, factor.reference)

    def _tell(self, app: App, subject: Subject, factor: Factor, notice: Notice, by: Reference) -> bool:
        """Whether all is done that can be."""
        try:
            number = self._number(subject, factor)
            refused_by = UNKNOWN if number is None else self._queue(app, number, factor, notice, by)
            if refused_by is not None:
                self._store.note_told(subject, factor, notice, refused_by)
        except ServiceError as error:
            _log.warning("a number could not be told", extra={"app": app.name, "code": error.code})
            return False
        return True

    def _number(self, subject: Subject, factor: Factor) -> BoundNumber | None:
        if factor.sealed_number is None:
            return None
        return unpack_number(subject.hash, self._vault.open(factor.sealed_number))

    def _queue(self, app: App, number: BoundNumber, factor: Factor, notice: Notice, by: Reference) -> str | None:
        """The code of the refusal, "" if a message was queued, None if that had been done before."""
        start, request = self._start(), NoticeRequest(number.to, notice, number.language)
        prepared = start.prepare(app.name, request)
        if isinstance(prepared, Refusal):
            return prepared.code
        command, to = prepared
        outcome = start.run(self._without_code(command, number, factor, notice, by), request, to)
        if isinstance(outcome, Refusal):
            return outcome.code
        return None if outcome.replayed else ""

    def _without_code(
        self, command: StartCommand, number: BoundNumber, factor: Factor, notice: Notice, by: Reference
    ) -> StartCommand:
        """The command with the notice in place of the code. The digest is of nothing that can be typed."""
        box = sealed_box.pack(command.reference, Box(number.to, "", notice=notice))
        named = f"{notice}\0{by.token}\0{factor.reference.token}"
        return replace(
            command,
            operation_id=self._vault.ids.digest(b"notice\0" + named.encode())[:8].hex(),
            operation_ttl_ms=KEYED_OPERATION_TTL_MS,
            digest=self._token_bytes(32).hex(),
            digest_by_number=self._token_bytes(32).hex(),
            box=self._vault.seal(box),
            failover_route=(),
            notice=True,
            guard_place=None,
        )

"""Starting a verification, or sending the code of the pending one again (a resend)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from ...domain import codes, message_text, routing
from ...domain.addresses import kept_client_ip
from ...domain.errors import Refusal
from ...domain.ids import NUMBER_HASH_BYTES, Reference
from ...domain.phone import Phone
from ...domain.policy import App, Channel, Policy, Sender
from ...domain.starting import KEYED_OPERATION_TTL_MS, OPERATION_TTL_MS, StartCommand, Started
from .. import ports, sealed_box
from ..guard import Guard
from ..sealed_box import Box
from ..sender_health import SenderHealth
from .admission import Admission
from .apps import configured_app
from .digests import code_digest
from .people import People, with_test
from .reachability import counts_for_nothing, no_room_for_payment, unreachable
from .risk import AskRisk
from .start_refusals import NO_ROOM, refusal_of
from .start_request import StartRequest
from .start_subjects import Named, StartSubjects, with_alternatives
from .text_length import require_fit


class StartVerification:
    """Queues codes. The store decides in one step whether a code is new, sent again or refused."""

    def __init__(
        self,
        *,
        admission: Admission,
        sender_health: SenderHealth,
        vault: ports.Vault,
        people: People,
        policy: Policy,
        queue_max: int,
        audit_is_full: Callable[[], bool],
        token_bytes: Callable[[int], bytes],
        randbelow: Callable[[int], int],
        subjects: StartSubjects,
        ask_risk: AskRisk,
        harden: Callable[[App], App],
        guard: Guard | None = None,
    ) -> None:
        self._admission = admission
        self._sender_health = sender_health
        self._vault = vault
        self._people = people
        self._policy = policy
        self._queue_max = queue_max
        self._audit_is_full = audit_is_full
        self._token_bytes = token_bytes
        self._randbelow = randbelow
        self._subjects = subjects
        self._guard = guard
        self._ask_risk = ask_risk
        self._harden = harden

    def __call__(self, app_name: str, request: StartRequest, operation_id: str | None = None) -> Started | Refusal:
        """Queue a code for the number. `operation_id` makes a repeat of the same request find the first's result.

        Raises InvalidRequest for a text that would not fit, InvalidNumber, NotReady and StoreUnavailable.
        """
        app = self._harden(configured_app(self._policy, app_name))
        require_fit(app, request)
        to = self._people.phone(request.to, app)
        named = self._subjects.named(app, request, to.e164)
        command = self._prepared(app, to, request, operation_id)
        outcome = self._start(self._asked(command, named, request, to), named, request, to)
        if isinstance(outcome, Started):
            return outcome
        refusal = with_alternatives(outcome, app, named, request.purpose)
        return with_test(refusal) if to.e164 in app.test_codes else refusal

    def prepare(self, app_name: str, request: StartRequest) -> tuple[StartCommand, Phone] | Refusal:
        """The command for the store and its number, or what refuses before the store is asked.

        A proof is not spent. Raises as a start.
        """
        app = self._harden(configured_app(self._policy, app_name))
        require_fit(app, request)
        to = self._people.phone(request.to, app)
        named = self._subjects.named(app, request, to.e164)
        command = self._prepared(app, to, request, None)
        if isinstance(command, Refusal):
            return command
        if named is None:
            return command, to
        refusal = self._subjects.objection(named, command.reference.number_hash, request)
        return refusal or (replace(command, subject=named.subject.hash), to)

    def _asked(
        self, command: StartCommand | Refusal, named: Named | None, request: StartRequest, to: Phone
    ) -> StartCommand | Refusal:
        """What the app's risk hook says, if it has one; a number that is not the subject's is no question.

        Nothing is sent to a test number, so nobody is asked about one.
        """
        if isinstance(command, Refusal) or command.app.risk is None or to.e164 in command.app.test_codes:
            return command
        if named is None:
            return self._ask_risk(command, request, to, self._admission)
        objection = self._subjects.objection(named, command.reference.number_hash, request)
        return objection or self._ask_risk(command, request, to, self._admission, named.subject.hash)

    def _start(
        self, command: StartCommand | Refusal, named: Named | None, request: StartRequest, to: Phone
    ) -> Started | Refusal:
        if isinstance(command, Refusal):
            return command
        return self.run(command, request, to) if named is None else self._run_for(named, command, request, to)

    def _prepared(self, app: App, to: Phone, request: StartRequest, operation_id: str | None) -> StartCommand | Refusal:
        channel, test = Channel(request.channel), to.e164 in app.test_codes
        # Nothing is sent to a test number: whoever serves the channel stands for the one who would.
        senders = routing.of_channel(app, channel) if test else routing.candidates(app, channel, to)
        refusal = counts_for_nothing(app, request.purpose) or no_room_for_payment(request)
        refusal = refusal or unreachable(app, to, channel, served=bool(senders), test=test)
        if refusal is not None:
            return refusal
        return self._command(app, to, senders, request, operation_id, channel=channel)

    def _run_for(self, named: Named, command: StartCommand, request: StartRequest, to: Phone) -> Started | Refusal:
        """Send to a subject's number, if that is bound or may be."""
        admitted = self._subjects.admit(named, command, request)
        if isinstance(admitted, Refusal):
            return admitted
        # The record says whom it was for: so two people who share a phone are seen by whoever asks about the number.
        detail = f'{command.detail[:-1]}, "sub": "{named.subject.sub}"}}'
        outcome = self.run(replace(command, subject=named.subject.hash, detail=detail), request, to)
        if isinstance(outcome, Started):
            self._subjects.sent(admitted, command, outcome.reference)
        return outcome

    def run(self, command: StartCommand, request: StartRequest, to: Phone) -> Started | Refusal:
        """Take what the start wants apart from its number, and run the step."""
        outcome = self._admission.start(command, request, to)
        if isinstance(outcome, Started):
            return outcome
        if outcome.code == "queue_full" and command.refused_before is not None:
            # That is so because of the look alone: a moment ago this start was refused for another reason.
            outcome = command.refused_before
        return refusal_of(outcome, audit_is_full=command.queue_max == NO_ROOM)

    def _command(
        self,
        app: App,
        to: Phone,
        senders: tuple[Sender, ...],
        request: StartRequest,
        operation_id: str | None,
        *,
        channel: Channel,
    ) -> StartCommand:
        number = self._vault.ids.number_hash(to.e164)
        ref = self._vault.ids.new(number, self._token_bytes(NUMBER_HASH_BYTES))
        test = app.test_codes.get(to.e164)
        code = test or codes.draw(app.code_length, self._randbelow)
        context = codes.context_hash(request.context)
        ring = self._vault.current()
        pepper = ring.peppers[ring.active_kid]
        route, healthy = self._sender_health.route(app, senders)
        return StartCommand(
            operation_id=operation_id or self._token_bytes(8).hex(),
            operation_ttl_ms=KEYED_OPERATION_TTL_MS if operation_id else OPERATION_TTL_MS,
            reference=ref,
            app=app,
            purpose=request.purpose,
            channel=channel,
            mask=to.mask,
            context_hash=context,
            kid=ring.active_kid,
            digest=code_digest(pepper, app, ref, context, code),
            digest_by_number=code_digest(pepper, app, ref, context, code, purpose=request.purpose),
            box=_sealed(ring, ref, to, code, request.context),
            metadata=request.metadata,
            locale=message_text.language(request.locale),
            autofill=request.autofill,
            route=route,
            failover_route=self._failover_route(app, to, channel, request),
            healthy=healthy,
            queue_max=NO_ROOM if self._audit_is_full() else self._queue_max,
            outer_wait_ms=0,
            detail=_audit_detail(request, self._client_ip(app, request), self._hardened(app), test=test is not None),
            per_number=self._policy.per_number,
            challenge=request.code_challenge,
            tombstone_ms=self._policy.retention.verifications_ms,
            test=test is not None,
            guard_place=self._guard.place(app, to, request) if self._guard and test is None else None,
        )

    def _client_ip(self, app: App, request: StartRequest) -> str:
        how_much, digest = self._policy.audit_client_ips, self._vault.ids.digest
        return kept_client_ip(request.client_ip, how_much, app.name, digest) if request.client_ip else ""

    def _hardened(self, app: App) -> int | None:
        """How many guesses there are, where that is not what the configuration says: so the record can tell why."""
        return app.max_checks if app.max_checks != self._policy.apps[app.name].max_checks else None

    def _failover_route(self, app: App, to: Phone, channel: Channel, request: StartRequest) -> tuple[Sender, ...]:
        # A WhatsApp template has no room for what is to be confirmed: such a code stays on the channel asked for.
        others = () if request.context else routing.other_channel_senders(app, channel, to)
        return self._sender_health.route(app, others)[0] if others else ()


def _sealed(ring: ports.Ring, ref: Reference, to: Phone, code: str, context: Mapping[str, str]) -> str:
    """Number, code and context, which only a delivery worker opens."""
    return ring.seal(sealed_box.pack(ref, Box(to.e164, code, context)))


def _audit_detail(request: StartRequest, client_ip: str, max_checks: int | None, *, test: bool) -> str:
    """The detail of the start's event, as JSON. Only the purpose may hold what JSON escapes."""
    address = f', "client_ip": "{client_ip}"' if client_ip else ""
    checks = "" if max_checks is None else f', "max_checks": {max_checks}'
    mark = ', "test": true' if test else ""
    return f'{{"purpose": {json.dumps(request.purpose)}, "channel": "{request.channel}"{address}{checks}{mark}}}'

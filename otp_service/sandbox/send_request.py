"""One request to send, from its body to its response.

In order: read the body; claim the `Idempotency-Key`; plan; choose a chaos mode for the sender; refuse (`http_500`,
`http_429`) or accept; respond, late or not at all if the mode says so. A mode applies to every kind of response,
also to refusals and replays.

Delivery starts after the response was sent. It starts before if the response is lost or late, and is finished before
with `webhooks.early`. The key of a `slow` response counts as in flight until it is sent. The response of a request
whose response is lost is stored at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import SystemRandom

from flask import Response, request

from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.chaos_settings import Behaviour, SendChaos
from otp_service.sandbox.errors import CarrierError
from otp_service.sandbox.fields import parse_object
from otp_service.sandbox.idempotency import Claim
from otp_service.sandbox.message_json import message_json
from otp_service.sandbox.response_faults import ENVIRON_KEY, FaultKind, ResponseFault
from otp_service.sandbox.responses import bytes_response, json_bytes
from otp_service.sandbox.sending import KINDS, SendPlan, requested_sender

# Telnyx documents the header for these operations and not for scheduling.
_KEYED_KINDS = frozenset(KINDS) - {"schedule"}
_FAULTS = {kind.value: kind for kind in FaultKind}
_random = SystemRandom()


@dataclass(slots=True)
class _Outcome:
    """The response before it becomes one of Flask's."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_error(cls, error: CarrierError) -> _Outcome:
        return cls(error.status, json_bytes(error.envelope()), error.headers)


class SendRequest:
    """The present request to send; `kind` is one of `sending.KINDS`."""

    def __init__(self, carrier: Carrier, kind: str) -> None:
        self._carrier = carrier
        self._kind = kind
        self._raw = request.get_data()
        self._key = request.headers.get("Idempotency-Key") if kind in _KEYED_KINDS else None
        self._claim: Claim | None = None
        self._plan: SendPlan | None = None
        self._sender: str | None = None
        self._outcome: _Outcome | None = None

    def run(self) -> Response:
        """Carry it out and respond."""
        try:
            self._validate()
            behaviour = self._carrier.chaos.for_sender(self._sender)
            mode = _choose_mode(behaviour.send)
            if mode in {"http_500", "http_429"}:
                raise _not_accepted(mode)
            if self._plan is not None:
                self._accept(self._plan, behaviour)
            return self._respond(behaviour, mode)
        except CarrierError as error:
            return _response(_Outcome.from_error(error))
        finally:
            self._release_key()

    def _validate(self) -> None:
        """Set `_plan`, or `_outcome` if the request is refused or is a replay."""
        try:
            fields = parse_object(self._raw)
            self._sender = requested_sender(fields)
            if self._key is not None and self._is_replay(self._key):
                return
            self._plan = self._carrier.sending.plan(self._kind, fields)
            self._sender = self._plan.message.sender
        except CarrierError as error:
            self._outcome = _Outcome.from_error(error)

    def _is_replay(self, key: str) -> bool:
        """Claim the key, or take the response that is stored for it."""
        claim = self._carrier.idempotency.claim(request.method, request.path, key, request.query_string, self._raw)
        if claim.response is None:
            self._claim = claim
            return False
        self._sender = claim.sender
        self._outcome = _Outcome(200, claim.response, {"Idempotent-Replayed": "true"})
        return True

    def _accept(self, plan: SendPlan, behaviour: Behaviour) -> None:
        try:
            self._carrier.sending.accept(plan, behaviour)
        except CarrierError as error:
            self._outcome, self._plan = _Outcome.from_error(error), None
            return
        self._outcome = _Outcome(200, json_bytes({"data": message_json(plan.message)}))

    def _respond(self, behaviour: Behaviour, mode: str) -> Response:
        outcome = self._outcome
        if outcome is None:  # pragma: no cover - every path before sets one
            raise CarrierError(500, "10007", "An unexpected error occurred.")
        start_delivery = self._start_delivery(behaviour, before_response=mode != "ok")
        if mode == "slow":
            self._carrier.pause(behaviour.send.latency_ms / 1000)
        self._store_response(outcome)
        if mode in _FAULTS:
            return self._fail_response(outcome, _FAULTS[mode])
        response = _response(outcome)
        if start_delivery is not None:
            response.call_on_close(start_delivery)
        return response

    def _start_delivery(self, behaviour: Behaviour, *, before_response: bool) -> Callable[[], None] | None:
        """Start delivery, or return the action that starts it after the response was sent."""
        plan, delivery = self._plan, self._carrier.delivery
        if plan is None:
            return None

        def start() -> None:
            for message in plan.deliveries:
                delivery.start(message, behaviour)

        if plan.is_scheduled:
            delivery.schedule(plan.message)
        elif behaviour.webhooks.early:
            delivery.start_early(plan.deliveries, behaviour)
        elif before_response:
            start()
        else:
            return start
        return None

    def _fail_response(self, outcome: _Outcome, kind: FaultKind) -> Response:
        fault = request.environ.get(ENVIRON_KEY)
        if not isinstance(fault, ResponseFault):
            detail = "The response was lost (there is no socket to break)."
            return _response(_Outcome.from_error(CarrierError(504, "10008", detail)))
        fault.kind, fault.interrupted = kind, self._carrier.interruption
        return _response(outcome)

    def _store_response(self, outcome: _Outcome) -> None:
        if self._claim is not None and outcome.status == 200:
            self._carrier.idempotency.store(self._claim, outcome.body, self._sender)
            self._claim = None

    def _release_key(self) -> None:
        if self._claim is not None and self._key is not None:
            self._carrier.idempotency.release(request.method, request.path, self._key, self._claim)


def _response(outcome: _Outcome) -> Response:
    return bytes_response(outcome.body, outcome.status, outcome.headers)


def _choose_mode(chaos: SendChaos) -> str:
    """The mode for this request: the one set, for the share `rate` of the requests."""
    hit = chaos.rate >= 1 or (chaos.rate > 0 and _random.random() < chaos.rate)
    return chaos.mode if hit else "ok"


def _not_accepted(mode: str) -> CarrierError:
    if mode == "http_500":
        return CarrierError(500, "10007", "An unexpected error occurred.")
    return CarrierError(
        429,
        "10011",
        "You have exceeded the maximum number of allowed requests.",
        headers={
            "Retry-After": "1",
            "x-ratelimit-limit": "1",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": "1",
        },
    )

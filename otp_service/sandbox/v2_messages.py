"""`/v2/messages…`: send in every way, schedule, cancel, look up.

One send, in order: read the body; claim the `Idempotency-Key`; plan; draw the chaos of the chosen sender; refuse
(`http_500`, `http_429`) or accept; answer, late or into the void if so drawn. Chaos hits every kind of answer,
refusals and replays included.

A message takes its course when its answer has left; at once if the answer is lost or late; before it is answered
with `webhooks.early`. The key of a `slow` answer counts as in flight until it is answered; the stored answer of
a lost one is there at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import SystemRandom
from uuid import UUID

from flask import Blueprint, Response, request

from otp_service.sandbox.answers import bytes_answer, json_answer, json_bytes
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.chaos import Behaviour, SendChaos
from otp_service.sandbox.errors import CarrierError, not_found
from otp_service.sandbox.fields import parse_object
from otp_service.sandbox.idempotency import Claim
from otp_service.sandbox.sending import KINDS, Plan, sender_hint
from otp_service.sandbox.wire import ENVIRON_KEY, Mishap, Wire

# The carrier declares the header for these and not for scheduling.
_KEYED_KINDS = frozenset(KINDS) - {"schedule"}
_LOST = {mishap.value: mishap for mishap in Mishap}
_chance = SystemRandom()


def blueprint(carrier: Carrier) -> Blueprint:
    """The routes under `/v2/messages`."""
    routes = Blueprint("v2_messages", __name__)

    def sender_of(kind: str) -> Callable[[], Response]:
        return lambda: _Send(carrier, kind).run()

    for kind in KINDS:
        path = "/v2/messages" if kind == "generic" else f"/v2/messages/{kind}"
        routes.add_url_rule(path, f"send_{kind}", sender_of(kind), methods=["POST"])

    @routes.get("/v2/messages/<message_id>")
    def show(message_id: str) -> Response:
        message = carrier.messages.get(_uuid(message_id))
        if message is None:
            raise not_found("The message was not found.")
        with carrier.messages.lock:
            return json_answer({"data": message.to_json()})

    @routes.delete("/v2/messages/<message_id>")
    def cancel(message_id: str) -> Response:
        message = carrier.sending.cancel(_uuid(message_id))
        with carrier.messages.lock:
            # Bare, without "data": the one operation that answers so.
            return json_answer(message.to_json())

    return routes


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise not_found("The message was not found.") from None


@dataclass(slots=True)
class _Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, refusal: CarrierError) -> _Answer:
        return cls(refusal.status, json_bytes(refusal.envelope()), refusal.headers)


class _Send:
    """One request to send, from reading to answering."""

    def __init__(self, carrier: Carrier, kind: str) -> None:
        self._carrier = carrier
        self._kind = kind
        self._raw = request.get_data()
        self._key = request.headers.get("Idempotency-Key") if kind in _KEYED_KINDS else None
        self._claim: Claim | None = None
        self._plan: Plan | None = None
        self._sender: str | None = None
        self._answer: _Answer | None = None

    def run(self) -> Response:
        try:
            self._prepare()
            behaviour = self._carrier.chaos.of(self._sender)
            mode = _draw(behaviour.send)
            if mode in {"http_500", "http_429"}:
                raise _not_accepted(mode)
            if self._plan is not None:
                self._accept(self._plan, behaviour)
            return self._respond(behaviour, mode)
        except CarrierError as refusal:
            return self._response(_Answer.of(refusal))
        finally:
            self._free()

    def _prepare(self) -> None:
        """Find out what is asked, without doing it."""
        try:
            fields = parse_object(self._raw)
            self._sender = sender_hint(fields)
            if self._key is not None:
                claim = self._carrier.idempotency.claim(
                    request.method, request.path, self._key, request.query_string, self._raw
                )
                if claim.answer is not None:
                    self._sender = claim.sender
                    self._answer = _Answer(200, claim.answer, {"Idempotent-Replayed": "true"})
                    return
                self._claim = claim
            self._plan = self._carrier.sending.plan(self._kind, fields)
            self._sender = self._plan.message.sender
        except CarrierError as refusal:
            self._answer = _Answer.of(refusal)

    def _accept(self, plan: Plan, behaviour: Behaviour) -> None:
        try:
            self._carrier.sending.accept(plan, behaviour)
        except CarrierError as refusal:
            self._answer, self._plan = _Answer.of(refusal), None
            return
        self._answer = _Answer(200, json_bytes({"data": plan.message.to_json()}))

    def _respond(self, behaviour: Behaviour, mode: str) -> Response:
        answer = self._answer
        if answer is None:  # pragma: no cover - every path before sets one
            raise CarrierError(500, "10007", "An unexpected error occurred.")
        after = self._begin(behaviour, lost_or_late=mode != "ok")
        if mode == "slow":
            self._carrier.pause(behaviour.send.latency_ms / 1000)
        self._keep(answer)
        if mode in _LOST:
            return self._lose(answer, _LOST[mode])
        response = self._response(answer)
        if after is not None:
            response.call_on_close(after)
        return response

    def _begin(self, behaviour: Behaviour, *, lost_or_late: bool) -> Callable[[], None] | None:
        """Put accepted messages on their way, now or (as the returned action) when the answer has left."""
        plan, delivery = self._plan, self._carrier.delivery
        if plan is None:
            return None
        if plan.scheduled:
            delivery.schedule(plan.message)
            return None

        def start() -> None:
            for course in plan.courses:
                delivery.start(course, behaviour)

        if behaviour.webhooks.early:
            delivery.start_early(plan.courses, behaviour)
            return None
        if lost_or_late:
            start()
            return None
        return start

    def _lose(self, answer: _Answer, mishap: Mishap) -> Response:
        wire = request.environ.get(ENVIRON_KEY)
        if not isinstance(wire, Wire):
            return self._response(
                _Answer.of(CarrierError(504, "10008", "The answer was lost (there is no socket to break)."))
            )
        wire.mishap, wire.released = mishap, self._carrier.interruption
        return self._response(answer)

    def _response(self, answer: _Answer) -> Response:
        return bytes_answer(answer.body, answer.status, answer.headers)

    def _keep(self, answer: _Answer) -> None:
        if self._claim is not None and answer.status == 200:
            self._carrier.idempotency.keep(self._claim, answer.body, self._sender)
            self._claim = None

    def _free(self) -> None:
        if self._claim is not None and self._key is not None:
            self._carrier.idempotency.free(request.method, request.path, self._key, self._claim)


def _draw(chaos: SendChaos) -> str:
    """The mode that this request meets."""
    hit = chaos.rate >= 1 or (chaos.rate > 0 and _chance.random() < chaos.rate)
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

"""Asking the risk hook of an app before a code is sent, whether it is new or sent again.

It is asked after all that refuses without it: the receiver may pay for each answer, and need not know of numbers that
get nothing. Before its answer nothing is queued, counted or spent. So no limit bounds the questions of a caller whom it
refuses, and what it refused is kept for a while (`risk_verdicts`).
"""

import logging
from collections.abc import Callable
from dataclasses import replace

import msgspec

from ...domain.addresses import KeptClientIp, kept_client_ip
from ...domain.errors import Refusal
from ...domain.phone import Phone
from ...domain.risk import RiskAnswer, RiskHook, RiskQuestion, SentNumber, detail_of, refusal_of
from ...domain.starting import StartCommand, StartRefused
from .. import ports
from .admission import Admission
from .risk_verdicts import RiskVerdicts
from .start_request import StartRequest

_log = logging.getLogger("otp.risk")


class AskRisk:
    """Asks the risk hooks. Safe for many threads.

    `request_id` names the request that is answered now, `count` counts answers by app and word, and `alert` tells the
    people on call that an app's receiver is left alone.
    """

    def __init__(
        self,
        *,
        receivers: ports.RiskReceivers,
        refused: ports.RefusedStarts,
        vault: ports.Vault,
        token_bytes: Callable[[int], bytes],
        request_id: Callable[[], str],
        count: Callable[[str, str], None],
        alert: Callable[[str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._receivers = receivers
        self._refused = refused
        self._vault = vault
        self._token_bytes = token_bytes
        self._request_id = request_id
        self._count = count
        self._alert = alert
        self._verdicts = RiskVerdicts(monotonic)

    def __call__(
        self, command: StartCommand, request: StartRequest, to: Phone, admission: Admission, subject: str = ""
    ) -> StartCommand | Refusal:
        """The command to go on with, or what refuses. `subject`: the keyed hash of the person, or empty.

        For an app that has a hook. Raises StoreUnavailable.
        """
        looked = admission.would_start(replace(command, subject=subject), request, to)
        if isinstance(looked, StartRefused):
            # The step refuses it, too, and records that. Were it to pass meanwhile, there would be no room for it: it
            # would be sent unasked.
            return replace(command, queue_max=min(command.queue_max, 0), refused_before=looked)
        hook = command.app.risk
        assert hook is not None
        return self._judged(command, hook, self._ask(command, hook, request, to))

    def _judged(self, command: StartCommand, hook: RiskHook, answer: RiskAnswer) -> StartCommand | Refusal:
        answered = answer.decision is not None
        refusal = refusal_of(answer.decision or hook.on_failure, answered=answered, reason=answer.reason)
        if refusal is None:
            return replace(command, detail=detail_of(command.detail, answer))
        told = {name: word for name, word in refusal.fields.items() if isinstance(word, str)}
        self._refused.record(command, {"code": refusal.code, **told, "risk": answer.word})
        return refusal

    def _ask(self, command: StartCommand, hook: RiskHook, request: StartRequest, to: Phone) -> RiskAnswer:
        question = self._question(command, hook, request, to)
        # The same for another request that asks the same.
        known_by = self._vault.ids.digest(msgspec.json.encode(msgspec.structs.replace(question, request_id=None)))
        answer = self._verdicts.find(known_by)
        if answer is None:
            answer = self._asked(command.app.name, question)
            self._verdicts.keep(known_by, answer)
        return answer

    def _asked(self, app: str, question: RiskQuestion) -> RiskAnswer:
        question_id = f"risk_{self._token_bytes(16).hex()}"
        answer = self._receivers.ask(app, question_id, msgspec.json.encode(question))
        self._count(app, answer.word)
        if answer.is_news:
            facts = {"app": app, "reason": answer.word}
            _log.error("a risk hook does not answer and is left alone for a while", extra=facts)
            self._alert(app)
        return answer

    def _question(self, command: StartCommand, hook: RiskHook, request: StartRequest, to: Phone) -> RiskQuestion:
        app, ids = command.app.name, self._vault.ids
        return RiskQuestion(
            request_id=self._request_id() or None,
            app=app,
            purpose=command.purpose,
            channel=command.channel,
            to=to.e164 if hook.number is SentNumber.FULL else to.mask,
            person=ids.subject(app, command.reference.number_hash),
            country=to.region,
            number_type=to.kind,
            client_ip=_client_ip(request.client_ip, hook.client_ip, app, ids.digest),
        )


def _client_ip(address: str | None, kept: KeptClientIp, app: str, digest: Callable[[bytes], bytes]) -> str | None:
    return kept_client_ip(address, kept, app, digest) or None if address else None

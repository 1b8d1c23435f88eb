"""What a start would do: whether it would be refused, who would send, and which text. Nothing is queued or counted."""

from dataclasses import dataclass

from ...domain import message_text
from ...domain.errors import InvalidNumber, Refusal
from ...domain.policy import Channel, Sender
from ...domain.sms_segments import Segments, segments
from ...domain.starting import StartCommand, StartRefused
from .admission import Admission
from .start import StartVerification
from .start_refusals import NO_ROOM, refusal_of
from .start_request import StartRequest


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen. `refusal` None: the code would be sent.

    `sender` is who would send, or would have been asked first; `text` is that of an SMS with a star for each digit.
    `test`: a test number, to which nothing would be sent.
    """

    refusal: Refusal | None = None
    sender: Sender | None = None
    text: str | None = None
    test: bool = False

    @property
    def size(self) -> Segments | None:
        """Encoding and parts of the text."""
        return None if self.text is None else segments(self.text)


class PreviewStart:
    """Previews starts. Safe for many threads."""

    def __init__(self, start: StartVerification, admission: Admission) -> None:
        self._start = start
        self._admission = admission

    def __call__(self, app_name: str, request: StartRequest) -> Preview:
        """Judge a start. Raises InvalidRequest for a text that would not fit, NotReady and StoreUnavailable."""
        try:
            prepared = self._start.prepare(app_name, request)
        except InvalidNumber as error:
            return Preview(Refusal(error.code, error.detail))
        if isinstance(prepared, Refusal):
            return Preview(prepared)
        command, to = prepared
        answer = self._admission.would_start(command, request, to)
        if isinstance(answer, StartRefused):
            first = None if answer.code == "opted_out" else command.route[0]
            refusal = refusal_of(answer, audit_is_full=command.queue_max == NO_ROOM)
            return Preview(refusal, first, _text(command, first, request), command.test)
        sender = _named(command, answer.sender)
        return Preview(sender=sender, text=_text(command, sender, request), test=command.test)


def _named(command: StartCommand, name: str) -> Sender:
    return next(sender for sender in (*command.route, *command.failover_route) if sender.name == name)


def _text(command: StartCommand, sender: Sender | None, request: StartRequest) -> str | None:
    if sender is None or sender.channel is not Channel.SMS or command.test:
        return None
    return message_text.render(
        code="*" * command.app.code_length,
        brand=command.app.brand,
        lifetime_s=command.app.code_ttl_ms // 1000,
        locale=command.locale,
        context=request.context,
        autofill=message_text.read_autofill(request.autofill),
        replies=sender.two_way,
        denials=message_text.heard(command.app.denial_words),
    )

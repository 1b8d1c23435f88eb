"""Sending messages.

`send` is the one that brings codes. It gives a value and never raises about the carrier or the network, because its
caller must know exactly which of four things happened:

* `Accepted`  the carrier has the message and gave it an id;
* `Refused`   it refused, and nothing was sent;
* `NotSent`   nothing reached it (or it asked us to come back): the same request may be tried again;
* `Unknown`   the request may have arrived, the answer did not: only the same bytes with the same key may follow.

An answer is believed only if it is about what was asked: this recipient, this delivery. Any other belongs to another
request, and its connection is closed, since each later answer on it would too.

All other operations return typed values and raise the tree of `exceptions`.
"""

import logging
import re
from collections.abc import Sequence
from datetime import datetime

from ..domain.delivery import Accepted, NotSent, SendOutcome, Unknown
from . import errors, json, requests, responses
from .calls import Calls, data, segment, success, typed
from .exceptions import NotSentError, UnknownOutcomeError
from .requests import SendRequest
from .responses import OutboundMessage
from .transport import Answer

# The narrower of the carrier's two descriptions; the other one allows a colon as well.
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_FOREIGN = Unknown("an answer about another message")
_log = logging.getLogger("otp.carrier")


class Sending(Calls):
    """The operations that send, schedule and cancel."""

    def send(self, request: SendRequest, *, idempotency_key: str, within_s: float | None = None) -> SendOutcome:
        """Send once, and say what is known of it. The key must be the same for every attempt of this request.

        What cannot leave `within_s` seconds is not sent.

        Raises ValueError for a key of another form than 1 to 255 of `[A-Za-z0-9_-]` or a path that takes none.
        """
        _check_key(request, idempotency_key)
        try:
            answer = self._transport.request(
                "POST", request.path, body=request.body, idempotency_key=idempotency_key, within_s=within_s
            )
        except NotSentError as error:
            return NotSent(error.reason)
        except UnknownOutcomeError as error:
            return Unknown(error.reason)
        outcome = _outcome(answer, request)
        if outcome == _FOREIGN:
            _log.error("the carrier answered about another message")
            self._transport.hang_up()
        return outcome

    def submit(self, request: SendRequest, *, idempotency_key: str | None = None) -> OutboundMessage:
        """Send once and return the carrier's message, or raise: for people at a shell and for alerts.

        Serves generic, long code, number pool, short code, WhatsApp, group MMS and scheduled sends: build the
        request with `requests.build_send`, `build_group_mms` or `build_schedule`. Scheduling takes no key.
        """
        if idempotency_key is not None:
            _check_key(request, idempotency_key)
        answer = self._transport.request("POST", request.path, body=request.body, idempotency_key=idempotency_key)
        document = success(answer)
        if errors.read_errors(json.mapping(document).get("errors")):
            raise UnknownOutcomeError("a success with errors")
        message = typed(OutboundMessage.read, data(document))
        self._require(responses.is_about(message, request.body), "an answer about another message")
        return message

    def send_group_mms(
        self,
        *,
        sender: str,
        to: Sequence[str],
        text: str,
        media_urls: Sequence[str] = (),
        subject: str | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> OutboundMessage:
        """Write to a group of up to eight people at once."""
        request = requests.build_group_mms(
            sender=sender, to=to, text=text, media_urls=media_urls, subject=subject, webhook_url=webhook_url
        )
        return self.submit(request, idempotency_key=idempotency_key)

    def schedule(
        self,
        *,
        to: str,
        text: str,
        send_at: datetime,
        sender: str | None = None,
        messaging_profile_id: str | None = None,
        webhook_url: str | None = None,
    ) -> OutboundMessage:
        """Have a message sent later. The carrier takes no key here: after an unknown outcome there may be two."""
        request = requests.build_schedule(
            to=to,
            text=text,
            send_at=send_at,
            sender=sender,
            messaging_profile_id=messaging_profile_id,
            webhook_url=webhook_url,
        )
        return self.submit(request)

    def cancel_scheduled(self, message_id: str) -> OutboundMessage:
        """Withdraw a scheduled message. Refused from one minute before its time on, and once it was sent."""
        document = success(self._transport.request("DELETE", f"/messages/{segment(message_id)}"))
        # This operation alone answers without the `data` around its message.
        return typed(OutboundMessage.read, document if "id" in json.mapping(document) else data(document))


def _outcome(answer: Answer, request: SendRequest) -> SendOutcome:
    if not answer.succeeded:
        return errors.classify(answer.status, answer.document, answer.headers)
    members = json.mapping(answer.document)
    message = responses.TakenMessage.read(members.get("data"))
    if message is None:
        return Unknown(f"HTTP {answer.status} without a message")
    if json.items(members.get("errors")):
        return Unknown(f"HTTP {answer.status} with errors")
    if not responses.is_about(message, request.body):
        return _FOREIGN
    # Delivery errors *inside* the message do not change this: the carrier has it and will report its end. Calling
    # it unknown would forget its id and send again.
    return Accepted(message.id, message.to[0].status if message.to else None, message.wait_s)


def _check_key(request: SendRequest, key: str) -> None:
    if request.path not in requests.KEYED_PATHS:
        raise ValueError("The carrier takes no idempotency key for this operation.")
    if not _KEY.fullmatch(key):
        raise ValueError("An idempotency key is 1 to 255 letters, digits, hyphens and underscores.")

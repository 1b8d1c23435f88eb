"""The carrier's operations. Safe for use by many threads.

`send` is the one that brings codes: it answers with a value and never raises about the carrier or the way to it,
because its caller must know exactly which of four things happened:

* `Accepted`  the carrier has the message and gave it an id;
* `Refused`   it said no, and nothing was sent;
* `NotSent`   nothing reached it (or it asked us to come back): the same request may be tried again;
* `Unknown`   the request may have arrived, the answer did not: only the same bytes with the same key may follow.

An answer is believed only if it speaks of what was asked: of this recipient, this delivery, this message. Any other
belongs to another request, and its connection is closed, since each later answer on it would too.

All other operations return typed values and raise the tree of `exceptions`. A list is a lazy generator over all its
pages; it raises rather than end early, so that what looks complete is complete.

Nothing here retries. Ids come from outside and are percent-encoded in paths, `+` too.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from ..domain.delivery import Accepted, DeliveryReport, NotSent, Refused, SendOutcome, Unknown
from . import errors, json, requests, responses
from .exceptions import NotFoundError, NotSentError, RefusedError, UnknownOutcomeError
from .requests import SendRequest
from .responses import BulkUpdate, InboundMessage, Number, OptOut, OutboundMessage, PageMeta
from .transport import DEFAULT_TIMEOUTS, Answer, Timeouts, Transport

BASE_URL = "https://api.telnyx.com/v2"
LARGEST_PAGE = 250

# The narrower of the carrier's two descriptions; the other one allows a colon as well.
_KEY = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_BULK = "/messaging_numbers_bulk_updates"
_OPT_OUTS = "/messaging_optouts"

_FOREIGN = Unknown("an answer about another message")
_log = logging.getLogger("otp.carrier")

T = TypeVar("T")
Reader = Callable[[object], T | None]


class TelnyxClient:
    """Everything the service asks of the carrier. `close` it, or use it in a `with`.

    `api_key` is the bearer key, `base_url` ends in the version (`/v2`). `transport` replaces the network, e.g. an
    `httpx.WSGITransport` around a carrier in the same process. Raises ValueError for a key or URL that cannot be.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = BASE_URL,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(api_key, base_url, timeouts, transport)

    def __repr__(self) -> str:
        return f"TelnyxClient({self._transport!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads; further calls raise RuntimeError."""
        self._transport.close()

    # --- sending ----------------------------------------------------------------------------------------------

    def send(self, request: SendRequest, *, idempotency_key: str, within_s: float | None = None) -> SendOutcome:
        """Send once, and say what is known of it. The key must be the same for every try of this request.

        What cannot leave `within_s` seconds is not sent.

        Raises ValueError for a key of another form than 1 to 255 of `[A-Za-z0-9_-]` or a path that takes none.
        """
        _check_key(request, idempotency_key)
        try:
            answer = self._transport.ask(
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
        request with `wire.build_send`, `build_group_mms` or `build_schedule`. Scheduling takes no key.
        """
        if idempotency_key is not None:
            _check_key(request, idempotency_key)
        answer = self._transport.ask("POST", request.path, body=request.body, idempotency_key=idempotency_key)
        document = _success(answer)
        if errors.read_errors(json.mapping(document).get("errors")):
            raise UnknownOutcomeError("a success with errors")
        message = _typed(OutboundMessage.read, _data(document))
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
        document = _success(self._transport.ask("DELETE", f"/messages/{_segment(message_id)}"))
        # This operation alone answers without the `data` around its message.
        return _typed(OutboundMessage.read, document if "id" in json.mapping(document) else _data(document))

    # --- looking up messages ----------------------------------------------------------------------------------

    def retrieve(self, message_id: str) -> DeliveryReport | None:
        """What the carrier knows of a message of ours now; None if it knows none (or it is over ten days old)."""
        try:
            message = self.show_message(message_id)
        except NotFoundError:
            return None
        self._require(message.id.lower() == message_id.lower(), "an answer about another message")
        if isinstance(message, InboundMessage):
            raise UnknownOutcomeError("a message to us, not of ours")
        latest = max(message.received_ms, message.sent_ms, message.completed_ms)
        found = responses.reports(message.raw, latest)
        if not found:
            raise UnknownOutcomeError("a message without a recipient's status")
        return found[0]

    def show_message(self, message_id: str) -> OutboundMessage | InboundMessage:
        """One message of either direction, at most ten days old."""
        message = responses.read_message(
            _data(_success(self._transport.ask("GET", f"/messages/{_segment(message_id)}")))
        )
        if message is None:
            raise UnknownOutcomeError("an answer without a message")
        return message

    # --- opt-outs ---------------------------------------------------------------------------------------------

    def list_opt_outs(
        self,
        *,
        messaging_profile_id: str | None = None,
        sender: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        redacted: bool = False,
        page_size: int = LARGEST_PAGE,
    ) -> Iterator[OptOut]:
        """Every block, or those of a profile, a sender of ours, a time (bounds included; they need a zone).

        `redacted` has the carrier mask the persons' numbers.
        """
        filters = {
            "filter[messaging_profile_id]": messaging_profile_id,
            "filter[from]": sender,
            "created_at[gte]": requests.instant(since) if since else None,
            "created_at[lte]": requests.instant(until) if until else None,
            "redaction_enabled": "true" if redacted else None,
        }
        return self._list(_OPT_OUTS, OptOut.read, filters, page_size)

    def opt_out_page(
        self, page: int, *, messaging_profile_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[list[OptOut], PageMeta]:
        """One page of a profile's blocks, of the largest size: for who must be able to go on where they stopped.

        Whether it is the page that was asked for, `page_number` says.
        """
        params = {"filter[messaging_profile_id]": messaging_profile_id, "page[size]": str(LARGEST_PAGE)}
        if since is not None:
            params["created_at[gte]"] = requests.instant(since)
        if until is not None:
            params["created_at[lte]"] = requests.instant(until)
        return self._page(_OPT_OUTS, OptOut.read, params, page)

    # --- our numbers ------------------------------------------------------------------------------------------

    def list_numbers(
        self,
        *,
        messaging_profile_id: str | None = None,
        phone_numbers: Sequence[str] = (),
        containing: str | None = None,
        type: str | None = None,  # noqa: A002 - the carrier's word, and the field's
        sort: str | None = None,
        page_size: int = LARGEST_PAGE,
    ) -> Iterator[Number]:
        """Our numbers with their messaging settings.

        `phone_numbers` asks for exactly these, `containing` for a part of one, `type` is `tollfree`, `longcode` or
        `shortcode`, `sort` is `asc` or `desc` by number.
        """
        filters = {
            "filter[messaging_profile_id]": messaging_profile_id,
            "filter[phone_number]": ",".join(phone_numbers) or None,
            "filter[phone_number][contains]": containing,
            "filter[type]": type,
            "sort[phone_number]": sort,
        }
        return self._list("/phone_numbers/messaging", Number.read, filters, page_size)

    def show_number(self, number_id: str) -> Number:
        """One number by the carrier's id (or in E.164)."""
        return self._get(f"/phone_numbers/{_segment(number_id)}/messaging", Number.read)

    def update_number(
        self,
        number_id: str,
        *,
        messaging_profile_id: str | None = None,
        messaging_product: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Number:
        """Change a number's settings. None keeps one as it is; an empty profile takes the number out of its own."""
        body = requests.encode(
            {
                "messaging_profile_id": messaging_profile_id,
                "messaging_product": messaging_product,
                "tags": None if tags is None else list(tags),
            }
        )
        answer = self._transport.ask("PATCH", f"/phone_numbers/{_segment(number_id)}/messaging", body=body)
        return _typed(Number.read, _data(_success(answer)))

    def list_mobile_numbers(self, *, page_size: int = LARGEST_PAGE) -> Iterator[Number]:
        """Our mobile numbers with their messaging settings."""
        return self._list("/mobile_phone_numbers/messaging", Number.read, {}, page_size)

    def show_mobile_number(self, number_id: str) -> Number:
        """One mobile number by the carrier's id (or in E.164)."""
        return self._get(f"/mobile_phone_numbers/{_segment(number_id)}/messaging", Number.read)

    def create_bulk_update(
        self, *, messaging_profile_id: str, numbers: Sequence[str], assign_only: bool = False
    ) -> BulkUpdate:
        """Order that `numbers` (E.164) be put into a profile; an empty profile takes them out of theirs.

        `assign_only` leaves their other settings alone. The order is carried out over time: `show_bulk_update`.
        """
        body = requests.encode(
            {
                "messaging_profile_id": messaging_profile_id,
                "numbers": list(numbers),
                "assign_only": assign_only or None,
            }
        )
        return _typed(BulkUpdate.read, _data(_success(self._transport.ask("POST", _BULK, body=body))))

    def show_bulk_update(self, order_id: str) -> BulkUpdate:
        """How far an order has come."""
        return self._get(f"{_BULK}/{_segment(order_id)}", BulkUpdate.read)

    def _require(self, believed: bool, reason: str) -> None:
        if not believed:
            _log.error("the carrier answered about another message")
            self._transport.hang_up()
            raise UnknownOutcomeError(reason)

    # --- how ----------------------------------------------------------------------------------------------------

    def _get(self, path: str, read: Reader[T]) -> T:
        return _typed(read, _data(_success(self._transport.ask("GET", path))))

    def _list(self, path: str, read: Reader[T], filters: dict[str, str | None], page_size: int) -> Iterator[T]:
        if not 1 <= page_size <= LARGEST_PAGE:
            raise ValueError(f"A page has 1 to {LARGEST_PAGE} entries.")
        params = {name: value for name, value in filters.items() if value is not None}
        return self._pages(path, read, params | {"page[size]": str(page_size)})

    def _pages(self, path: str, read: Reader[T], params: dict[str, str]) -> Iterator[T]:
        entries, meta = self._page(path, read, params, 1)
        # Where the first page already calls itself another one, as in a static mock, the numbers mean nothing.
        numbered = meta.page_number == 1
        yield from entries
        for page in count(2):
            if page > meta.total_pages:
                return
            before = entries
            entries, meta = self._page(path, read, params, page)
            # A list that silently ends early would pass for complete, and one that repeats a page for endless.
            if numbered and meta.page_number != page:
                raise UnknownOutcomeError("a page that cannot be placed")
            if not numbered and entries == before:
                return
            yield from entries

    def _page(self, path: str, read: Reader[T], params: dict[str, str], page: int) -> tuple[list[T], PageMeta]:
        answer = self._transport.ask("GET", path, params=params | {"page[number]": str(page)})
        document = json.mapping(_success(answer))
        entries, meta = document.get("data"), PageMeta.read(document.get("meta"))
        if not isinstance(entries, list) or meta is None:
            raise UnknownOutcomeError("a page that cannot be placed")
        return [_typed(read, entry) for entry in entries], meta


def _outcome(answer: Answer, request: SendRequest) -> SendOutcome:
    if not answer.succeeded:
        return errors.classify(answer.status, answer.document, answer.headers)
    members = json.mapping(answer.document)
    message = OutboundMessage.read(members.get("data"))
    if message is None:
        return Unknown(f"HTTP {answer.status} without a message")
    if json.items(members.get("errors")):
        return Unknown(f"HTTP {answer.status} with errors")
    if not responses.is_about(message, request.body):
        return _FOREIGN
    # Delivery errors *inside* the message do not change this: the carrier has it and will report its end. Calling
    # it unknown would forget its id and send again.
    return Accepted(message.id, message.to[0].status if message.to else None, message.wait_s)


def _success(answer: Answer) -> object:
    """The decoded body of a success; raises what anything else means."""
    if answer.succeeded:
        if answer.document is None:
            raise UnknownOutcomeError(f"HTTP {answer.status} without JSON")
        return answer.document
    outcome = errors.classify(answer.status, answer.document, answer.headers)
    if isinstance(outcome, NotSent):
        raise NotSentError(outcome.reason, outcome.retry_after_s)
    if isinstance(outcome, Unknown):
        raise UnknownOutcomeError(outcome.reason)
    raise _refused(outcome, answer.status)


def _refused(outcome: Refused, status: int) -> RefusedError:
    kind = NotFoundError if status == 404 or outcome.code in errors.NOT_FOUND else RefusedError
    return kind(outcome.code, outcome.title, status, outcome.action, opted_out=outcome.opted_out)


def _data(document: object) -> Any:
    return json.mapping(document).get("data")


def _typed(read: Reader[T], value: object) -> T:
    found = read(value)
    if found is None:
        raise UnknownOutcomeError("an answer without what was asked for")
    return found


def _check_key(request: SendRequest, key: str) -> None:
    if request.path not in requests.KEYED_PATHS:
        raise ValueError("The carrier takes no idempotency key for this operation.")
    if not _KEY.fullmatch(key):
        raise ValueError("An idempotency key is 1 to 255 letters, digits, hyphens and underscores.")


def _segment(identifier: str) -> str:
    """One path segment. Dots are refused: `..` would be resolved away and ask for something else."""
    if identifier.strip(".") == "":
        raise ValueError("An id for the carrier must not be empty.")
    return quote(identifier, safe="")

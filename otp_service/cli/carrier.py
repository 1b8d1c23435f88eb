"""The carrier's client for commands, built from TELNYX_BASE_URL and TELNYX_API_KEY alone, and how messages are shown.

Every refusal is one sentence. People's numbers are masked in tables; `--json` prints the carrier's data unchanged.
Tables never show the text of a message, because it may hold a code.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping

from .. import config
from ..clock import rfc3339
from ..domain import phone
from ..domain.delivery import Action
from ..domain.errors import InvalidNumber, ServiceError
from ..telnyx import errors
from ..telnyx.client import TelnyxClient
from ..telnyx.exceptions import NotFoundError, NotSentError, RefusedError, UnknownOutcomeError
from ..telnyx.responses import InboundMessage, OutboundMessage
from .output import print_facts, print_json
from .parser import UsageError

READ_AGAIN = "nothing was changed, so it may be run again"
_REQUEST_CODES = re.compile(r"10\d\d\d", re.ASCII)


class CarrierFailed(ServiceError):
    """The carrier refused, cannot be reached, or its response was lost. The detail has what to do."""

    code = "carrier_error"


@contextlib.contextmanager
def carrier(hints: Mapping[str, str] | None = None, *, lost: str = READ_AGAIN) -> Iterator[TelnyxClient]:
    """The carrier for one command.

    `hints` explain refusals for this command, by the carrier's code; "missing" explains a 404. `lost` is what to do if
    the response to a request that changes something was lost.
    """
    access = config.load_carrier(config.environment())
    try:
        with TelnyxClient(access.api_key, access.base_url) as client:
            yield client
    except RefusedError as error:
        raise CarrierFailed(_refused(error, hints or {})) from error
    except NotSentError as error:
        raise CarrierFailed(_not_sent(error)) from error
    except UnknownOutcomeError as error:
        raise CarrierFailed(f"the carrier's response is lost or unreadable ({error.reason}): {lost}") from error
    except ValueError as error:
        # The client refuses the request before it is sent; its message contains no number and no key.
        raise UsageError(str(error)) from error


def _not_sent(error: NotSentError) -> str:
    if error.retry_after_s is not None:
        return f"the carrier is busy ({error.reason}): try again in {max(1, round(error.retry_after_s))} s"
    if error.reason.startswith("no connection"):
        return f"the carrier cannot be reached ({error.reason}): check TELNYX_BASE_URL and the network"
    return f"the carrier did not take the request ({error.reason}): try again shortly"


def _refused(error: RefusedError, hints: Mapping[str, str]) -> str:
    if error.code.startswith("http_") and error.status != 401:
        # Not an error of the carrier's form: most likely another server answered.
        return f"HTTP {error.status} without an error of the carrier's form: check TELNYX_BASE_URL, which ends in /v2"
    return f"the carrier refuses ({error.title}, code {error.code}): {_advice(error, hints)}"


def _advice(error: RefusedError, hints: Mapping[str, str]) -> str:
    if error.status == 401 or (error.action is Action.STOP_ALL and error.code.startswith("200")):
        return "check TELNYX_API_KEY and the account behind it"
    if error.code in hints:
        return hints[error.code]
    if isinstance(error, NotFoundError) and "missing" in hints:
        return hints["missing"]
    meaning = errors.MEANINGS.get(error.code)
    return f"{meaning.phrase}; {_what_to_do(error)}" if meaning else _what_to_do(error)


def _what_to_do(error: RefusedError) -> str:
    if error.opted_out:
        return "only their own START lifts that"
    if _REQUEST_CODES.fullmatch(error.code) and error.action is not Action.STOP_ALL:
        return "check what you typed (see --help)"
    return _ADVICE[error.action]


_ADVICE = {
    Action.RETRY: "try again later",
    Action.NEXT_SENDER: "try another sender (--kind, --from or --profile), or later",
    Action.STOP_PERSON: "check --to",
    Action.BAD_REQUEST: "check what you typed (see --help)",
    Action.STOP_SENDER: "check --from and --profile, and both in the carrier's portal",
    Action.STOP_PROFILE: "check --profile in the carrier's portal",
    Action.STOP_ALL: "check the account in the carrier's portal",
}


# ---- what people read ------------------------------------------------------------------------------------------------


def masked(number: str) -> str:
    """A person's number, masked."""
    try:
        return phone.parse(number).mask
    except InvalidNumber:
        return number[:2] + "*" * max(0, len(number) - 4) + number[-2:] if len(number) > 4 else "*" * len(number)


def clock(ms: int) -> str:
    """Unix milliseconds in RFC 3339, `-` if unknown."""
    return rfc3339(ms, "seconds") if ms > 0 else "-"


def show_message(message: OutboundMessage | InboundMessage, *, as_json: bool) -> None:
    """One message, as JSON or as facts."""
    if as_json:
        print_json(dict(message.raw))
    elif isinstance(message, InboundMessage):
        print_facts(_inbound_facts(message))
    else:
        print_facts(_outbound_facts(message))


def _outbound_facts(message: OutboundMessage) -> list[tuple[str, str]]:
    facts = [("id", message.id), ("type", message.type or "-"), ("from", message.sender or "-")]
    facts += [("to", f"{masked(one.number)}  {one.status or '-'}") for one in message.to]
    facts += [("profile", message.messaging_profile_id or "-"), ("parts", str(message.parts or "-"))]
    times = (("received", message.received_ms), ("sent", message.sent_ms), ("completed", message.completed_ms))
    facts += [(name, clock(ms)) for name, ms in times if ms > 0]
    send_at = message.raw.get("send_at")
    if isinstance(send_at, str):
        facts.append(("due", send_at))
    if message.wait_s:
        facts.append(("held", f"{message.wait_s:g} s before it is sent"))
    if message.cost:
        facts.append(("cost", message.cost))
    facts += [("error", f"{error.title} (code {error.code})") for error in message.errors]
    return facts


def _inbound_facts(message: InboundMessage) -> list[tuple[str, str]]:
    return [
        ("id", message.id),
        ("type", message.type or "-"),
        ("from", masked(message.sender)),
        ("to", message.to or "-"),
        ("profile", message.messaging_profile_id or "-"),
        ("answered", message.autoresponse_type or "-"),
        ("received", clock(message.received_ms)),
    ]

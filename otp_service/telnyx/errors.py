"""What the carrier's refusals mean to a sender of one-time codes.

Guarantees: `classify` and `delivery_error` never raise, whatever the carrier sends; the carrier's own code decides
before the HTTP status, because one code arrives under several statuses (the opt-out block 40300 has been seen as
400, 403, 409 and 422, and the spend limit 40333 comes as a 429 that no waiting cures).

The same code can mean two things. In an answer to a request nothing has been sent yet, so "the same again" is
possible; in a delivery report the message is spent, and repeating it under its key would only replay the stored
answer. `delivery_error` therefore never says `RETRY`. Nor does it say `STOP_ALL`: the account was well enough to have
the message accepted, and what it is now the next request shows.

An answer without the carrier's envelope (a page of a proxy or of a web application firewall, a redirect, an empty or
cut body) may be about this one body: it is `foreign`, passes this delivery on, and stops nothing else by itself.

Not here: exceptions (`exceptions`), and what is done about an action (the use cases).
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from ..domain.delivery import IN_PROGRESS, LIMITED, Action, NotSent, Refused, Unknown
from . import json

OPTED_OUT = "40300"
SPENT = "40333"
TOO_MANY_REQUESTS = "10011"
KEY_IN_PROGRESS = "10036"
NOT_FOUND = frozenset({"40303", "10005"})
OUTCOME_UNKNOWN = frozenset({"10007", "10008", "10037"})


class Meaning(NamedTuple):
    """What to do about a code, and why in a few words."""

    action: Action
    phrase: str


_RETRY, _NEXT = Action.RETRY, Action.NEXT_SENDER
_PERSON, _REQUEST = Action.STOP_PERSON, Action.BAD_REQUEST
_SENDER, _PROFILE, _ALL = Action.STOP_SENDER, Action.STOP_PROFILE, Action.STOP_ALL

MEANINGS: Mapping[str, Meaning] = {
    # The person: no sender of ours would fare better.
    OPTED_OUT: Meaning(_PERSON, "the person has opted out of this profile"),
    "40310": Meaning(_PERSON, "not a valid recipient"),
    "40012": Meaning(_PERSON, "their carrier does not know the recipient"),
    "10002": Meaning(_PERSON, "not a phone number"),
    "10016": Meaning(_PERSON, "the number is not in E.164"),
    "40001": Meaning(_PERSON, "a landline, or unreachable by SMS"),
    "40309": Meaning(_PERSON, "the country is not allowed for this profile"),
    "10039": Meaning(_PERSON, "this account may reach verified numbers only"),
    # The message or the moment: another sender may get through.
    "40301": Meaning(_NEXT, "the recipient takes no messages of this type"),
    "40319": Meaning(_NEXT, "sender and recipient do not fit this type"),
    "40315": Meaning(_NEXT, "the sender is unhealthy"),
    "40318": Meaning(_NEXT, "the sender's queue is full"),
    "40320": Meaning(_NEXT, "the sender is unusable for now"),
    "40321": Meaning(_NEXT, "no usable number in the pool"),
    "40002": Meaning(_NEXT, "held as spam, for now"),
    "40004": Meaning(_NEXT, "rejected for an unknown reason"),
    "40005": Meaning(_NEXT, "expired on its way"),
    "40009": Meaning(_NEXT, "the text cannot be carried"),
    "40011": Meaning(_NEXT, "the next carrier limits the rate"),
    "40014": Meaning(_NEXT, "expired while it was queued"),
    "40015": Meaning(_NEXT, "held by Telnyx's spam filter"),
    "40016": Meaning(_NEXT, "T-Mobile limits the campaign"),
    "40017": Meaning(_NEXT, "AT&T takes it for spam"),
    "40018": Meaning(_NEXT, "AT&T limits the campaign"),
    "40322": Meaning(_NEXT, "the content is not allowed"),
    "41000": Meaning(_NEXT, "WhatsApp refused it"),
    # The other end stumbled: once more may do.
    "40006": Meaning(_RETRY, "the recipient's carrier is down"),
    "40008": Meaning(_RETRY, "undeliverable"),
    # The sender: others first where several numbers met it, alert the operator.
    "40003": Meaning(_SENDER, "the sender is blocked as a spammer"),
    "40010": Meaning(_SENDER, "the sender is not registered for 10DLC"),
    "40013": Meaning(_SENDER, "a carrier rejects the sender"),
    "40019": Meaning(_SENDER, "the 10DLC campaign is wrong"),
    "40020": Meaning(_SENDER, "blocked for a day: traffic looks inflated"),
    "40100": Meaning(_SENDER, "the sender cannot send messages"),
    "40305": Meaning(_SENDER, "the sender is not on the profile"),
    "40306": Meaning(_SENDER, "the profile has no alphanumeric sender"),
    "40307": Meaning(_SENDER, "the sender does not match the profile"),
    "40308": Meaning(_REQUEST, "the sender cannot send MMS"),
    "40311": Meaning(_PROFILE, "the profile's secret is wrong"),
    "40312": Meaning(_PROFILE, "the profile is disabled"),
    "40313": Meaning(_PROFILE, "the profile's secret is missing"),
    "40325": Meaning(_SENDER, "the sender's name is invalid"),
    "40329": Meaning(_SENDER, "the toll-free number is not verified"),
    "40330": Meaning(_SENDER, "the sender is not provisioned"),
    "40331": Meaning(_PROFILE, "the profile allows no country"),
    "10010": Meaning(_SENDER, "the key may not do this"),
    "10038": Meaning(_SENDER, "the account may not do this"),
    SPENT: Meaning(_PROFILE, "the profile's spending limit is reached"),
    # Our request: a bug that the operator must see; a sender of another kind may still serve the person.
    "40302": Meaning(_REQUEST, "the message is too large"),
    "40303": Meaning(_REQUEST, "no such message"),
    "40304": Meaning(_REQUEST, "text and media do not mix here"),
    "40316": Meaning(_REQUEST, "the message is empty"),
    "40317": Meaning(_REQUEST, "the media are unusable"),
    "40328": Meaning(_REQUEST, "the message is oversize"),
    "10004": Meaning(_REQUEST, "a parameter is missing"),
    "10005": Meaning(_REQUEST, "no such resource"),
    "10015": Meaning(_REQUEST, "a bad request"),
    "10023": Meaning(_REQUEST, "not JSON"),
    "10026": Meaning(_REQUEST, "a value of the wrong type"),
    "10027": Meaning(_REQUEST, "cannot be processed, or the key was used with another body"),
    "10032": Meaning(_REQUEST, "a value that is none of the choices"),
    "10033": Meaning(_REQUEST, "a value out of range"),
    # The account: somebody has to get up.
    "10009": Meaning(_ALL, "authentication failed"),
    "20001": Meaning(_ALL, "the key is missing or invalid"),
    "20002": Meaning(_ALL, "the key is invalid"),
    "20003": Meaning(_ALL, "the key is revoked"),
    "20004": Meaning(_ALL, "the key is not usable"),
    "20005": Meaning(_ALL, "the key is not usable"),
    "20006": Meaning(_ALL, "the key is not usable"),
    "20007": Meaning(_ALL, "the key is not usable"),
    "20008": Meaning(_ALL, "the key is not usable here"),
    "20012": Meaning(_ALL, "the account is inactive"),
    "20013": Meaning(_ALL, "the account is blocked"),
    "20014": Meaning(_ALL, "the account is not verified"),
    "20016": Meaning(_ALL, "the account's level is too low"),
    "20017": Meaning(_ALL, "the account's level is too low"),
    "20100": Meaning(_ALL, "the account has no money"),
    "40314": Meaning(_ALL, "messaging is disabled on the account"),
}

_BY_STATUS: Mapping[int, str] = {
    401: "authentication failed",
    402: "the account has no money",
    403: "forbidden",
    404: "nothing at this address: is the base URL right?",
    405: "wrong method: is the base URL right?",
    410: "the address is gone",
}

_MOST_ERRORS = 20
_LONGEST_TITLE = 120
_LONGEST_WAIT_S = 86_400.0
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,40}", re.ASCII)
_LONG_DIGITS = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]", re.ASCII)
_UNPRINTABLE = re.compile(r"[^ -~]+")
_WAIT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_STOP_WORD = re.compile(r"\bSTOP\b|opt(ed|ing)?[ -]?out|block rule", re.IGNORECASE)


class CarrierError(NamedTuple):
    """One error as the carrier words it. `title` is cleaned: printable, short and without phone numbers."""

    code: str
    title: str
    detail: str
    pointer: str


def read_errors(document: object) -> list[CarrierError]:
    """The errors of an answer: `{"errors": [...]}`, a bare error object, a bare list; empty for anything else."""
    if isinstance(document, dict) and "errors" in document:
        document = document["errors"]
    return [error for item in json.items(document)[:_MOST_ERRORS] if (error := _read_error(item))]


def _read_error(item: Any) -> CarrierError | None:
    if not isinstance(item, dict):
        return None
    raw = item.get("code")
    code = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return None
    pointer = json.string(json.mapping(item.get("source")).get("pointer")) or ""
    known = MEANINGS.get(code)
    title = _clean(item.get("title")) or (known.phrase if known else "no reason given")
    return CarrierError(code, title, json.string(item.get("detail")) or "", pointer)


def _clean(title: object) -> str:
    """A title fit for logs and for callers: numbers of people stand in `detail`, but nobody promised it."""
    if not isinstance(title, str):
        return ""
    return _LONG_DIGITS.sub("…", _UNPRINTABLE.sub(" ", title[:1000])).strip()[:_LONGEST_TITLE]


def classify(status_code: int, errors_json_or_none: object, headers: Mapping[str, str]) -> Refused | NotSent | Unknown:
    """Sort an answer that is not a success by what is known: refused, not sent, or nothing is known.

    `errors_json_or_none` is the decoded body, or None if it was not JSON. Any value is accepted.
    """
    if 200 <= status_code < 300:
        return Unknown(f"HTTP {status_code} with errors")
    error = _decisive(read_errors(errors_json_or_none))
    if error is not None:
        if error.code == TOO_MANY_REQUESTS:
            return NotSent(LIMITED, retry_after_s(headers))
        if error.code == KEY_IN_PROGRESS:
            return Unknown(IN_PROGRESS)
        if error.code in OUTCOME_UNKNOWN:
            return Unknown(f"carrier error {error.code}")
        if error.code in MEANINGS:
            action = MEANINGS[error.code].action
            return Refused(error.code, error.title, action, error.code == OPTED_OUT, error.code == SPENT)
    return _by_status(status_code, error, headers)


def _decisive(errors: list[CarrierError]) -> CarrierError | None:
    """Of several errors the opt-out block counts first (it must never be overlooked), then the first known code."""
    known = [e for e in errors if e.code in MEANINGS or e.code in _SPECIAL]
    for error in known:
        if error.code == OPTED_OUT:
            return error
    return next(iter(known or errors), None)


_SPECIAL = {TOO_MANY_REQUESTS, KEY_IN_PROGRESS, *OUTCOME_UNKNOWN}


def _by_status(status: int, error: CarrierError | None, headers: Mapping[str, str]) -> Refused | NotSent | Unknown:
    if status == 429:
        return NotSent(LIMITED, retry_after_s(headers))
    # 408 and 5xx may come from a gateway behind which the message went out; a 409 without a code is most likely
    # the same key still in progress.
    if status in {408, 409} or not 300 <= status < 500:
        return Unknown(f"HTTP {status}")
    phrase = _BY_STATUS.get(status, f"refused with HTTP {status}")
    if status < 400:
        # A carrier's API does not redirect: the base URL is wrong, and following would hand over key and code.
        phrase = "redirected: is the base URL right?"
    if error is None or status < 400:
        return Refused(f"http_{status}", phrase, Action.BAD_REQUEST, foreign=True)
    if status in {401, 402}:
        return Refused(error.code, phrase, Action.STOP_ALL)
    # A code we do not know yet, in the carrier's own envelope: the address is right, this message is not.
    return Refused(error.code, error.title, Action.NEXT_SENDER)


def delivery_error(item: object) -> Refused | None:
    """What the error of a delivery report says; None if it cannot be read.

    The message is spent: what would be tried again in an answer goes to the next sender here, and so does what an
    answer would say of the account. 40300 is ambiguous in reports and counts as an opt-out only if its wording says
    so.
    """
    error = _read_error(item)
    if error is None:
        return None
    if error.code == OPTED_OUT:
        stopped = bool(_STOP_WORD.search(f"{error.title} {error.detail}"))
        action = Action.STOP_PERSON if stopped else Action.NEXT_SENDER
        return Refused(error.code, error.title, action, opted_out=stopped)
    known = MEANINGS.get(error.code)
    action = known.action if known else Action.NEXT_SENDER
    action = Action.NEXT_SENDER if action in (Action.RETRY, Action.STOP_ALL) else action
    return Refused(error.code, error.title, action, spent=error.code == SPENT)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds until the carrier takes requests again, at most a day; None if it does not say.

    `Retry-After` (seconds, or a date measured against the answer's own `Date`), else `x-ratelimit-reset` (seconds;
    a value beyond a day is taken for a point in time and not used).
    """
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    asked = _seconds(lowered.get("retry-after", ""))
    if asked is None:
        asked = _until(lowered.get("retry-after", ""), lowered.get("date", ""))
    if asked is not None:
        return min(asked, _LONGEST_WAIT_S)
    reset = _seconds(lowered.get("x-ratelimit-reset", ""))
    return reset if reset is not None and reset <= _LONGEST_WAIT_S else None


def _seconds(value: str) -> float | None:
    return float(value) if _WAIT.fullmatch(value) else None


def _until(then: str, now: str) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(then) - parsedate_to_datetime(now)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None

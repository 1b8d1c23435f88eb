"""One example of each problem, by the name under which answers refer to it."""

from collections.abc import Iterator, Set
from typing import Any

from ..problems import STATUS

_OTHER_STATUS = {"idempotency_conflict": (422,)}
_MORE: dict[str, dict[str, Any]] = {
    "invalid_request": {"errors": [{"pointer": "/to", "detail": "E.164 in ASCII: a plus sign and the digits 0-9"}]},
    "code_incorrect": {"checks_left": 4},
    "resend_too_soon": {"sends_left": 2, "resend_in": 25},
    "opted_out": {"resubscribe": "The person sends START to the sender of the last message."},
    "guard_refused": {"reason": "risk_step_up", "risk_reason": "sim_changed", "alternatives": [{"kind": "totp"}]},
    "not_ready": {"reasons": [{"check": "store", "detail": "does not answer"}]},
}


def problem_examples(server: str, codes: Set[str]) -> dict[str, Any]:
    """The examples of these problems, for the document's components. `server` is the public URL."""
    return {name_of(code, status): _example(server, code, status) for code, status in _all() if code in codes}


def name_of(code: str, status: int) -> str:
    """The name of a problem's example. A code that has several statuses has an example of each."""
    return code if STATUS[code][0] == status else f"{code}_{status}"


def _all() -> Iterator[tuple[str, int]]:
    for code, (status, _) in STATUS.items():
        yield from ((code, one) for one in (status, *_OTHER_STATUS.get(code, ())))


def _example(server: str, code: str, status: int) -> dict[str, Any]:
    title = STATUS[code][1]
    value = {
        "type": f"{server}/docs#{code}",
        "title": title,
        "status": status,
        "detail": f"{title}.",
        "instance": "req_1",
        "code": code,
    }
    return {"summary": title, "value": value | _MORE.get(code, {})}

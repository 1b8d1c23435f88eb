"""The judge's rules about what a code is bound to: its context, its number, its app."""

from collections.abc import Iterator

from .breaches import CONTEXT, FOREIGN, FORGED, Breach
from .case import Case
from .evidence import Call


def context_ignored(case: Case) -> Iterator[Breach]:
    """A code that was started with a context is approved with the same context only."""
    for verification in case.evidence.verifications:
        started = [call for call in case.calls_of[verification] if call.kind == "start" and call.good]
        for call in case.checks_of(verification):
            if started and call.good and call.context != started[0].context:
                yield Breach(CONTEXT, verification, f"approved with {dict(call.context)}")


def wrong_verification(case: Case) -> Iterator[Breach]:
    """A check by the number approves its latest verification, and one for another number approves none."""
    for call in case.evidence.calls:
        if call.kind != "check" or not call.good:
            continue
        if call.to not in ("", call.number):
            yield Breach(FOREIGN, call.verification_id, "the check named another number, and was approved")
        approved = str(call.body.get("verification_id", call.verification_id))
        if approved != call.verification_id and not _is_newer(case, approved, call):
            yield Breach(FOREIGN, approved, f"approved by a check of {call.verification_id}")


def _is_newer(case: Case, approved: str, call: Call) -> bool:
    """Whether a start whose response was lost made the approved one the number's latest."""
    lost = [each for each in case.evidence.calls if each.number == call.number and each.kind == "start"]
    unknown = approved not in {each.verification_id for each in lost}
    return call.by_number and unknown and any(each.status is None or each.status >= 500 for each in lost)


def foreign_app(case: Case) -> Iterator[Breach]:
    """To another app a verification does not exist."""
    for call in case.evidence.calls:
        if call.kind.startswith("foreign") and call.status not in (404, 503, None):
            yield Breach(FOREIGN, call.verification_id, f"{call.kind}: {call.status} {call.code}")


def forged_webhook(case: Case) -> Iterator[Breach]:
    """A webhook without the carrier's signature is refused."""
    for call in case.evidence.calls:
        if call.kind == "forge" and call.status not in (401, 503, None):
            yield Breach(FORGED, call.number, f"a webhook that nobody signed: {call.status}")

"""Why a person counts as opted out, or no longer."""

from .. import replies
from ..optout import Source, Wish, carrier_reading
from ..policy import NumberLimits
from .history import History
from .record import Explanation, Happened, Step, checked, taken

_BY_PERSON = frozenset({Source.INBOUND, Source.REPLY})


def explain_optout(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """From now on nothing is sent by this messaging profile."""
    before = _profile(event) in history.opted_out
    # The carrier's refusal is put down each time: it is the carrier's statement.
    changes = not before or event.detail.get("source") == Source.CARRIER
    return _told("opted out", (_read(event, Wish.STOP), checked("before", "the person had not", holds=changes)))


def explain_optin(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """The person may be sent to again."""
    # A START of somebody who never stopped is a wish as well.
    stopped = "opted out" if _profile(event) in history.opted_out else "not opted out"
    before = Step("before", "a wish changes what stood before", stopped)
    return _told("opted in", (_read(event, Wish.START), before))


def _profile(event: Happened) -> str:
    return str(event.detail.get("messaging_profile_id"))


def _read(event: Happened, wish: Wish) -> Step:
    source, keyword = event.detail.get("source"), event.detail.get("keyword")
    if source not in _BY_PERSON or not keyword:
        return taken(f"the source `{source}`", "it says so")
    found = carrier_reading(str(keyword)) or replies.read(str(keyword)).wish
    return checked(f"the reply's keyword {keyword}", f"it means {wish.upper()}", holds=found is wish)


def _told(outcome: str, steps: tuple[Step, ...]) -> Explanation:
    return Explanation(outcome, outcome if all(one.holds for one in steps) else "unchanged", steps)

"""GET /people/{number} and POST /people/{number}/lift: what stands against a person, and taking it away."""

from ...usecases.support import Support
from ..bodies import decode
from ..http import Call, Doc, Reply, Route, reply
from ..schemas.people import Lifted, LiftRequest, PersonStanding, person_standing
from .codes import BODY, CALLER, STORE

_SHOW = Doc(
    "What stands against a person",
    None,
    PersonStanding,
    200,
    (*CALLER, *STORE, "invalid_number"),
    tag="support",
    operation_id="getPerson",
    description="Opt-outs, budgets, the ladder, caps, limits that the number meets whoever asks, how the guard against "
    "SMS pumping sees it, and the latest messages, as far as they are this app's. What refuses a start or a check now "
    "stands in `blocks`. Each look is an event, `person.shown`.",
)
_LIFT = Doc(
    "Take away what stands against a person",
    LiftRequest,
    Lifted,
    200,
    (*CALLER, *BODY, *STORE, "invalid_number"),
    tag="support",
    operation_id="liftPerson",
    description="`lock` clears budget, ladder, caps and the limits that count the number, cancels a pending "
    "verification whose sends are used up, ends the row of wrong codes of its subject, and lets two sends pass the "
    "guard that refused the number. `optout` forgets the opt-outs of this app's messaging "
    "profiles: a block that the carrier holds comes back with its list, and ends by the person's START alone. Each is "
    "an event with its reason.",
)


class PeopleRoutes:
    """Shows and lifts, for the app of the key."""

    def __init__(self, support: Support) -> None:
        self._support = support

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("GET", "/people/{number}", self.show, "support", _SHOW),
            Route("POST", "/people/{number}/lift", self.lift, "support", _LIFT),
        ]

    def show(self, call: Call) -> Reply:
        """GET /people/{number}."""
        return reply(200, person_standing(self._support.explain(call.path["number"], call.app)))

    def lift(self, call: Call) -> Reply:
        """POST /people/{number}/lift."""
        wanted = decode(call.headers, call.body, LiftRequest)
        return reply(200, Lifted(self._support.lift(call.path["number"], wanted.what, wanted.reason, call.app)))

"""GET /optouts/{number}: what stands against sending to a number."""

from ...usecases.browse import Browse
from ..http import Call, Doc, Reply, Route, reply
from ..schemas.optouts import OptOuts, profile_optout
from .codes import CALLER, STORE

_DOC = Doc(
    "A number's opt-outs",
    None,
    OptOuts,
    200,
    (*CALLER, *STORE, "invalid_number"),
    tag="opt-outs",
    operation_id="getOptOuts",
    description="What each messaging profile holds against sending to the number.",
)


class OptOutRoutes:
    """Shows opt-outs."""

    def __init__(self, browse: Browse) -> None:
        self._browse = browse

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("GET", "/optouts/{number}", self.show, "optouts:read", _DOC)]

    def show(self, call: Call) -> Reply:
        """GET /optouts/{number}."""
        mask, entries = self._browse.optouts(call.app, call.path["number"])
        return reply(200, OptOuts(mask, [profile_optout(entry) for entry in entries]))

"""GET /verify/{verification_id}: a verification and its timeline, now or as soon as something changes."""

import time
from collections.abc import Sequence

import msgspec
from msgspec import UnsetType

from ...domain.verification import Status
from ...domain.view import TimelineEntry, VerificationView
from ...domain.watch_tokens import WatchTokens
from ...usecases.browse import Browse
from ...usecases.verify import NOT_FOUND
from ...usecases.watch import News, Watch
from ..auth import bearer
from ..http import Call, Doc, Reply, Route, TokenAccess, reply
from ..problems import Problems
from ..queries import decode_query
from ..schemas.queries import WatchQuery
from ..schemas.verification import VerificationWithTimeline, redacted, shown_as, timeline_events
from .codes import CALLER, STORE

TOKEN_SHARE = 16
"""How many of a process's waits one verification's watch token may have: anybody may have got hold of it."""

_AFTER_EXPIRY_S = 0.05
_DOC = Doc(
    "A verification and its timeline, now or when something changes",
    None,
    VerificationWithTimeline,
    200,
    (*CALLER, *STORE, "invalid_request", "verification_not_found"),
    query=WatchQuery,
    operation_id="getVerification",
    description="With `wait` the answer comes when the verification changes. The verification's `watch_token` opens "
    "it in place of an API key, for a code screen in a browser.",
    may_retry=True,
)


class VerificationRoutes:
    """Shows verifications, to API keys and to holders of the verification's watch token."""

    def __init__(self, browse: Browse, watch: Watch, tokens: WatchTokens, problems: Problems) -> None:
        self._browse = browse
        self._watch = watch
        self._tokens = tokens
        self._problems = problems

    def routes(self) -> list[Route]:
        """The route of this resource."""
        access = TokenAccess(self._has_token, self.show_with_token)
        template = "/verify/{verification_id}"
        return [Route("GET", template, self.show, "verify", _DOC, token_access=access, cross_origin=True)]

    def show(self, call: Call) -> Reply:
        """GET /verify/{verification_id} with an API key: everything that the app may see."""
        return self._show(call, call.app, token_access=False)

    def show_with_token(self, call: Call) -> Reply:
        """GET /verify/{verification_id} with the verification's watch token, which was proven before."""
        return self._show(call, None, token_access=True)

    def _has_token(self, call: Call) -> bool:
        token = bearer(call.headers) or ""
        return self._tokens.is_valid(call.path["verification_id"], token)

    def _show(self, call: Call, app: str | None, *, token_access: bool) -> Reply:
        wanted = decode_query(call.query, WatchQuery)
        found, news, waited_s = self._browse.verification(app, call.path["verification_id"]), None, 0.0
        if found is not None and not isinstance(wanted.wait, UnsetType) and _knows(wanted, found[0]):
            began = time.perf_counter()
            news = self._wait(found[0], wanted.after, wanted.wait, TOKEN_SHARE if token_access else None)
            waited_s = time.perf_counter() - began
            found = self._browse.verification(app, call.path["verification_id"])
        if found is None:
            return self._problems.refusal(NOT_FOUND, call.request_id)
        answer = self._reply(*found, news, token_access=token_access)
        waited: Reply = msgspec.structs.replace(answer, waited_s=waited_s)
        return waited

    def _wait(self, view: VerificationView, after: int | UnsetType, wait_s: float, share: int | None) -> News:
        version = view.version if isinstance(after, UnsetType) else after
        return self._watch.wait(view.reference, version, _patience_s(view, wait_s), view.app, share)

    def _reply(
        self, view: VerificationView, timeline: Sequence[TimelineEntry], news: News | None, *, token_access: bool
    ) -> Reply:
        shown = shown_as(VerificationWithTimeline, view, timeline=timeline_events(timeline))
        # A caller that could not wait must not come back at once.
        headers = {"Retry_After": "1"} if news in (News.FULL, News.ENDING) else {}
        return reply(200, redacted(shown) if token_access else shown, **headers)


def _knows(wanted: WatchQuery, view: VerificationView) -> bool:
    return isinstance(wanted.after, UnsetType) or view.version <= wanted.after


def _patience_s(view: VerificationView, wait_s: float) -> float:
    # The expiry of a code is a change, too, and comes before any event of it.
    if view.status is not Status.PENDING:
        return wait_s
    return min(wait_s, (view.expires_ms - view.now_ms) / 1000 + _AFTER_EXPIRY_S)

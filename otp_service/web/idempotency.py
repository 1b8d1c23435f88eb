"""The header Idempotency-Key: one request runs under a key at a time, and its reply is given again for 24 hours.

Endpoints use this for requests that have the header. A request without it never comes here.
"""

import re
from collections.abc import Callable

from ..domain import codes
from ..domain.errors import InvalidRequest
from ..domain.ids import Ids
from ..storage.idempotency import Idempotency, Replay
from .bodies import canonical
from .http import Call, Reply
from .problems import Problems
from .schemas.forms import IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_FORM

HEADER = "idempotency-key"
REPLAYED = {"Idempotent_Replayed": "true"}
_KEY = re.compile(IDEMPOTENCY_KEY, re.ASCII)

Work = Callable[[], tuple[Reply, str | None]]
"""Does the work: the reply, and what to store of it. None frees the key, as every refusal does."""


def has_key(call: Call) -> bool:
    """Whether the request has the header at all."""
    return HEADER in call.headers


class IdempotencyKeys:
    """The keys of one endpoint. `kind` keeps them apart: a login may be started and checked under one key."""

    def __init__(self, kind: str, store: Idempotency, ids: Ids, problems: Problems) -> None:
        self._kind = kind
        self._store = store
        self._ids = ids
        self._problems = problems

    def look(self, call: Call) -> Replay | Reply | None:
        """What an earlier request with this key got: its stored reply or a conflict; None if there was none.

        Also None for a key without the right form: the endpoint refuses it in its turn.
        """
        if not self._well_formed(call):
            return None
        return self._conflict(self._store.look(self.digest(call), self.fingerprint(call)), call)

    def reserve(self, call: Call, digest: str) -> Replay | Reply | None:
        """Take the key for this request: None if that worked, otherwise as `look`."""
        return self._conflict(self._store.reserve(digest, self.fingerprint(call), call.request_id), call)

    def run(self, call: Call, digest: str, work: Work) -> Reply:
        """Do the work under the reserved key, and store what it returns, or free the key."""
        reply, kept = None, None
        try:
            reply, kept = work()
            return reply
        finally:
            if reply is not None and kept is not None:
                self._store.complete(digest, call.request_id, reply.status, kept)
            else:
                self._store.release(digest, call.request_id)

    def digest(self, call: Call) -> str:
        """A keyed hash of app and key. Raises InvalidRequest for a key without the right form."""
        if not self._well_formed(call):
            raise InvalidRequest(f"Idempotency-Key: {IDEMPOTENCY_KEY_FORM}")
        return self._ids.digest(codes.length_prefixed(self._kind, call.app, call.headers[HEADER]))[:16].hex()

    def fingerprint(self, call: Call) -> str:
        """A keyed hash of the body, and of what the path names: the same for bodies that mean the same."""
        path = codes.length_prefixed(*(call.path[name] for name in sorted(call.path)))
        return self._ids.digest(b"body\0" + path + canonical(call.body)).hex()

    def _well_formed(self, call: Call) -> bool:
        return _KEY.fullmatch(call.headers.get(HEADER, "")) is not None

    def _conflict(self, found: Replay | str, call: Call) -> Replay | Reply | None:
        if found == "conflict":
            detail = "This Idempotency-Key was used with another body. Use a new key for a new request."
            return self._problems.of("idempotency_conflict", detail, call.request_id, status=422)
        if found == "running":
            detail = "The first request with this Idempotency-Key is still running. Try again in a second."
            headers = {"Retry-After": "1"}
            return self._problems.of("idempotency_conflict", detail, call.request_id, headers=headers)
        return found if isinstance(found, Replay) else None

"""Requests whose success is kept under an Idempotency-Key, sealed, and given again: a lost reply costs nobody a code.

Refusals are not kept. Whoever judges gets a name of the request, the same for a repeat: so what was approved is found
again also where the kept reply is lost.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from ..domain.errors import KeyUnknown, SealBroken
from ..storage.idempotency import Replay
from .http import JSON, NO_STORE, Call, Reply
from .idempotency import IdempotencyKeys, has_key

Request = TypeVar("Request")


class _Kept(msgspec.Struct):
    """What of a kept reply the log names."""

    verification_id: str | None = None


class KeptReplies:
    """The kept replies of one endpoint."""

    def __init__(self, keys: IdempotencyKeys, *, seal: Callable[[bytes], str], unseal: Callable[[str], bytes]) -> None:
        self._keys = keys
        self._seal = seal
        self._unseal = unseal

    def replay(self, call: Call) -> Reply | None:
        """What an earlier request with this Idempotency-Key got; None if there was none. Answers before scopes."""
        return self._known(self._keys.look(call))

    def answer(self, call: Call, read: Callable[[], Request], judge: Callable[[Request, str], Reply]) -> Reply:
        """Judge what was read. With a key the judge gets the request's name, without one an empty text."""
        if not has_key(call):
            return judge(read(), "")
        digest = self._keys.digest(call)
        request = read()
        found = self._keys.reserve(call, digest)
        known = self._known(found)
        if known is not None:
            return known
        # Of key and body: another body can never get this approval.
        name = f"{digest}:{self._keys.fingerprint(call)}"
        if isinstance(found, Replay):
            return judge(request, name)
        return self._keys.run(call, digest, lambda: self._kept(judge(request, name)))

    def _kept(self, reply: Reply) -> tuple[Reply, str | None]:
        return reply, self._seal(reply.body) if reply.status < 300 else None

    def _known(self, found: Replay | Reply | None) -> Reply | None:
        if not isinstance(found, Replay):
            return found
        try:
            first = self._unseal(found.body)
        except (KeyUnknown, SealBroken):
            # Its key is no longer in the keyring. The record has what was approved, too.
            return None
        named = {"Content-Type": JSON, **NO_STORE, "Idempotent-Replayed": "true"}
        verification_id = msgspec.json.decode(first, type=_Kept).verification_id
        return Reply(found.status, named, first, verification_id=verification_id)

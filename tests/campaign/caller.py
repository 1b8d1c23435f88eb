"""One caller: the steps that login flows consist of.

A caller has a number of its own, reads the code from the phone, repeats requests without a response (with the same
Idempotency-Key, if it uses one), and uses the other API process if one refuses the connection.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .client import ApiClient
from .evidence import Call, code_in, moment

REPEAT_TIMEOUT_S = 15.0
"""How long a start without a response is repeated: three times the lease of a key whose request was killed."""

PHONE_TIMEOUT_S = 18.0
"""How long a caller waits for the SMS: a little less than the code's lifetime."""

RESEND_S = (3, 5)
"""The configured waits before the second and third send."""

_TRY_AGAIN = (500, 502, 503, 504)


@dataclass
class Caller:
    """One person with one number. Random choices come from `rng`, so that a seed repeats them."""

    api: ApiClient
    number: str
    name: str
    rng: random.Random
    verification_id: str = ""
    expires_at: float = 0.0
    resend_s: Sequence[int] = RESEND_S
    context: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    """The person by the app's own id; empty for none."""

    sender: str = ""
    """Who sent the message that was read last."""

    def random_api(self) -> str:
        """The name of one of the API processes."""
        return self.rng.choice(sorted(self.api.endpoints.apis))

    async def start(self, key: str = "") -> Call:
        """Start, and with a key repeat until there is a response. Without one a repeat would be a second start."""
        deadline = time.monotonic() + REPEAT_TIMEOUT_S
        while True:
            call = await self.api.call("start", self.number, self._start_body(), self.random_api(), key=key)
            self._note(call)
            repeat = key and (call.status is None or call.status in _TRY_AGAIN or call.code == "idempotency_conflict")
            if call.good or not repeat or time.monotonic() > deadline:
                return call
            await asyncio.sleep(0.2 + 0.3 * self.rng.random())

    def _start_body(self) -> dict[str, Any]:
        named = {"subject": self.subject} if self.subject else {}
        return {"to": self.number} | named | ({"context": dict(self.context)} if self.context else {})

    async def begin(self) -> bool:
        """Start, in 70 % with a key. Whether it was accepted."""
        return (await self.start(f"{self.name}-1" if self.rng.random() < 0.7 else "")).good

    async def read(self, but: str = "") -> str:
        """Wait for a code on the phone other than `but`; empty if it does not arrive."""
        deadline, pause = time.monotonic() + PHONE_TIMEOUT_S, 0.15
        while time.monotonic() < deadline:
            for message in await self.api.inbox(self.number):
                if (code := code_in(message["text"])) and code != but:
                    self.sender = message["from"]
                    return code
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        return ""

    async def guess(self, code: str, api: str = "", **other: Any) -> Call:
        """Send one check by the verification's id. `other` members of the body may be given."""
        body = {"verification_id": self.verification_id, "code": code} | self._context() | other
        return await self._call("check", body, api)

    async def guess_by_number(self, code: str) -> Call:
        """Send one check by the number alone."""
        return await self._call("check", {"to": self.number, "code": code} | self._context())

    async def guess_by_subject(self, code: str) -> Call:
        """Send one check by the subject alone."""
        return await self._call("check", {"subject": self.subject, "code": code})

    def _context(self) -> dict[str, Any]:
        return {"context": dict(self.context)} if self.context else {}

    async def reply(self, text: str) -> None:
        """Write to the sender of the message that was read."""
        await self.api.reply(self.number, self.sender, text)

    async def look_as_another_app(self, code: str) -> None:
        """Read the verification and check its code with another app's key."""
        await self._call("foreign read", None)
        await self._call("foreign check", {"verification_id": self.verification_id, "code": code})

    async def log_in(self, code: str) -> Call:
        """Check the right code, with repeats until there is a response, and redeem the receipt."""
        for _ in range(6):
            call = await self.guess(code)
            if call.status is not None and call.status not in _TRY_AGAIN:
                break
            await asyncio.sleep(0.3)
        if call.good:
            await self.redeem(str(call.body["receipt"]), self.rng.choice((1, 1, 3)))
        return call

    async def redeem(self, receipt: str, times: int) -> None:
        """Redeem the receipt, `times` at the same time. Only one may succeed."""
        body = {"receipt": receipt}
        await asyncio.gather(*(self._call("redeem", body) for _ in range(times)))

    def wrong(self, right: str) -> str:
        """A random code other than the right one."""
        return f"{(int(right or 0) + self.rng.randrange(1, 10**6)) % 10**6:06d}"

    async def start_once(self, api: str, key: str) -> None:
        """Start at one process, without repeats."""
        self._note(await self.api.call("start", self.number, self._start_body(), api, key=key))

    def _note(self, call: Call) -> None:
        if call.good:
            self.verification_id = call.verification_id
            self.expires_at = moment(str(call.body["expires_at"]))

    async def cancel(self) -> None:
        """Cancel the verification."""
        await self._call("cancel", None)

    async def _call(self, kind: str, body: Mapping[str, Any] | None, api: str = "") -> Call:
        used = api or self.random_api()
        return await self.api.call(kind, self.number, body, used, verification_id=self.verification_id)

"""What people do with authenticator apps and recovery codes, and what guessers do, while things fail."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyotp

from .caller import Caller
from .evidence import Call

STEP_S = 30
AT_ONCE = 4
TRIES = 4


@dataclass(frozen=True, slots=True)
class App:
    """An authenticator app on a phone, whose clock is the machine's."""

    factor_id: str
    totp: pyotp.TOTP

    def shows(self, steps: int = 0) -> str:
        """The code of the step now, or of one that is so many steps away."""
        return self.totp.at(int(time.time()) + steps * STEP_S)

    def never_shows(self, turn: int) -> str:
        """A code of none of the steps around now, another one for each turn."""
        near = {self.shows(steps) for steps in range(-4, 5)}
        return next(code for number in range(turn, turn + 12) if (code := f"{number * 7919 % 10**6:06d}") not in near)


@dataclass(frozen=True, slots=True)
class Person:
    """A caller's person, by a subject of their own."""

    caller: Caller
    subject: str

    async def app(self) -> App | None:
        """An active authenticator app; None if it could not be had. The step before this one confirms it."""
        for _ in range(TRIES):
            made = await self._call("factor enroll", {"subject": self.subject})
            if made.good:
                factor_id = str(made.body["factor_id"])
                app = App(factor_id, pyotp.TOTP(str(made.body["secret"])))
                return app if await self._is_confirmed(app) else None
            await asyncio.sleep(0.3)
        return None

    async def _is_confirmed(self, app: App) -> bool:
        for _ in range(TRIES):
            call = await self._call("factor confirm", {"code": app.shows(-1)}, factor_id=app.factor_id)
            if call.status is not None and call.status < 500:
                # It is active already where the first reply was lost.
                return call.good or call.code == "code_used"
            await asyncio.sleep(0.3)
        return False

    async def codes(self) -> Sequence[str]:
        """New recovery codes; none if they could not be had."""
        for _ in range(TRIES):
            call = await self._call("factor codes", {"subject": self.subject})
            if call.good:
                found: Sequence[str] = call.body["codes"]
                return found
            await asyncio.sleep(0.3)
        return ()

    async def check(self, code: str, key: str = "") -> Call:
        """By the one door."""
        return await self._call("factor check", {"subject": self.subject, "code": code}, key=key)

    async def check_one(self, app: App, code: str) -> Call:
        """By the factor's id."""
        return await self._call("one factor check", {"code": code}, factor_id=app.factor_id)

    async def _call(self, kind: str, body: dict[str, Any], **named: str) -> Call:
        api = self.caller.random_api()
        return await self.caller.api.call(kind, self.caller.number, body, api, subject=self.subject, **named)


def person_of(caller: Caller) -> Person:
    """The caller's own subject."""
    return Person(caller, f"subject-{caller.name}")


async def use_an_app(caller: Caller) -> None:
    """Type each code several times at once at all processes, and once more: one may succeed."""
    person = person_of(caller)
    app = await person.app()
    if app is None:
        return
    for code in (app.shows(), app.shows(1)):
        await asyncio.gather(*(person.check(code) for _ in range(AT_ONCE)), person.check_one(app, code))
        await person.check(code)
    await person.check(app.shows(-1))


async def repeat_an_approval(caller: Caller) -> None:
    """Check with an Idempotency-Key again and again: one approval, whichever reply is lost."""
    person = person_of(caller)
    app = await person.app()
    if app is None:
        return
    code = app.shows()
    await asyncio.gather(*(person.check(code, f"{caller.name}-f") for _ in range(2)))
    for _ in range(3):
        await person.check(code, f"{caller.name}-f")
    await person.check(code, f"{caller.name}-g")


async def use_recovery_codes(caller: Caller) -> None:
    """Type one several times at once and once more; one that was replaced opens nothing."""
    person = person_of(caller)
    codes = await person.codes()
    if not codes:
        return
    await asyncio.gather(*(person.check(codes[0]) for _ in range(AT_ONCE)))
    for code in (codes[0], codes[1]):
        await person.check(code)
    new = await person.codes()
    await person.check(codes[2])
    if new:
        await person.check(new[0])


async def guess_at_a_subject(caller: Caller) -> None:
    """Wrong codes of all forms at once, by the door and by the factor's id: five are judged, then none is right."""
    person, other = person_of(caller), Person(caller, f"other-{caller.name}")
    app, own, foreign = await person.app(), await person.codes(), await other.codes()
    if app is None or not own or not foreign:
        return
    guesses = [
        guess
        for turn in range(AT_ONCE)
        for guess in (
            person.check(app.never_shows(turn)),
            person.check_one(app, app.never_shows(turn + 50)),
            person.check(foreign[turn]),
        )
    ]
    await asyncio.gather(*guesses)
    await person.check(own[0])


async def log_in_by_subject(caller: Caller) -> None:
    """Start for a subject and check by it alone: the first approval binds the number."""
    caller.subject = f"subject-{caller.name}"
    if await caller.begin() and (code := await caller.read()):
        await caller.guess_by_subject(caller.wrong(code))
        call = await caller.guess_by_subject(code)
        if call.good:
            await caller.redeem(str(call.body["receipt"]), 2)


FLOWS: Sequence[tuple[int, Callable[[Caller], Awaitable[None]]]] = (
    (7, use_an_app),
    (4, repeat_an_approval),
    (7, use_recovery_codes),
    (5, guess_at_a_subject),
    (6, log_in_by_subject),
)
"""Each flow with its weight beside those of `scenarios`."""

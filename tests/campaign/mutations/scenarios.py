"""Short scenarios for broken services, beside those of the campaign."""

import asyncio

from ..caller import Caller

HANG_S = 6.0
"""Longer than a refusal may take."""


async def check_again(caller: Caller) -> None:
    """Check the right code twice, one after the other, and redeem each receipt twice."""
    if await caller.begin() and (code := await caller.read()):
        for _ in range(2):
            call = await caller.guess(code)
            if call.good:
                await caller.redeem(str(call.body["receipt"]), 2)


async def guess_often(caller: Caller) -> None:
    """Check more wrong codes than are allowed, one after the other."""
    if await caller.begin() and (code := await caller.read()):
        for _ in range(8):
            await caller.guess(caller.wrong(code))


async def guess_after_a_resend(caller: Caller) -> None:
    """Check wrong codes, have the code sent again, and go on."""
    if await caller.begin() and (code := await caller.read()):
        for _ in range(4):
            await caller.guess(caller.wrong(code))
        await asyncio.sleep(caller.resend_s[0] + 0.2)
        await caller.start()
        for _ in range(4):
            await caller.guess(caller.wrong(code))


async def log_in_after_four_wrong_codes(caller: Caller) -> None:
    """The last try is the right one."""
    if await caller.begin() and (code := await caller.read()):
        for _ in range(4):
            await caller.guess(caller.wrong(code))
        await caller.log_in(code)


async def resend_once(caller: Caller) -> None:
    """Start again after the wait."""
    if await caller.begin():
        await asyncio.sleep(caller.resend_s[0] + 0.2)
        await caller.start()


async def resend_at_once(caller: Caller) -> None:
    """Start again before the wait is over."""
    if await caller.begin():
        await caller.start()


async def log_in_while_the_store_hangs(caller: Caller) -> None:
    """Start and check again and again. `Run` makes the store hang meanwhile."""
    await caller.start()
    for _ in range(12):
        await asyncio.gather(caller.start(), caller.guess_by_number("000000"))
        await asyncio.sleep(0.3)

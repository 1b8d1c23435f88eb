"""Short scenarios for broken services, beside those of the campaign."""

import asyncio
import time
from dataclasses import replace

from ..caller import Caller
from ..load import number_of

HANG_S = 6.0
"""Longer than a refusal may take."""

TOLD_S = 6.0
"""For so long a webhook of the carrier may take. A code lives longer."""

SHARD_DOWN_S = 4.0
PEOPLE = 24
"""Of whom two thirds have their data on the shards that live."""


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


async def deny_and_check(caller: Caller) -> None:
    """Reply that it was not them, and check the code when the service must have been told, on a busy machine too."""
    if await caller.begin() and (code := await caller.read()):
        await caller.reply("NO")
        await asyncio.sleep(TOLD_S)
        await caller.guess(code)


async def opt_out_and_ask(caller: Caller) -> None:
    """Reply STOP, let somebody post what nobody signed, and ask for codes for longer than a webhook takes."""
    if not (await caller.begin() and await caller.read()):
        return
    await caller.reply("STOP")
    await caller.api.forge(caller.number, caller.random_api())
    ends = time.monotonic() + TOLD_S
    while time.monotonic() < ends:
        await asyncio.sleep(caller.resend_s[0] / 2)
        await caller.start()


async def resend_once(caller: Caller) -> None:
    """Start again after the wait."""
    if await caller.begin():
        await asyncio.sleep(caller.resend_s[0] + 0.2)
        await caller.start()


async def resend_at_once(caller: Caller) -> None:
    """Start again before the wait is over."""
    if await caller.begin():
        await caller.start()


async def log_in_while_a_shard_is_down(caller: Caller) -> None:
    """Many people start and check again and again. `Run` kills a shard meanwhile."""
    others = [replace(caller, number=number_of(turn), name=f"{caller.name}-{turn}") for turn in range(PEOPLE)]
    for _ in range(8):
        await asyncio.gather(*(each.start_once(each.random_api(), "") for each in others))
        await asyncio.gather(*(each.guess_by_number("000000") for each in others))
        await asyncio.sleep(0.5)


async def log_in_while_the_store_hangs(caller: Caller) -> None:
    """Start and check again and again. `Run` makes the store hang meanwhile."""
    await caller.start()
    for _ in range(12):
        await asyncio.gather(caller.start(), caller.guess_by_number("000000"))
        await asyncio.sleep(0.3)

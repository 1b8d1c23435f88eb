"""The login flows of a run. Some callers are normal; others are impatient, late or hostile."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from .caller import Caller
from .factor_flows import FLOWS

MAX_CHECKS = 5
WRONG_CODES_PER_NUMBER = 8
"""The configured budgets: of a verification, and of a number over all of them."""


async def log_in(caller: Caller) -> None:
    """Start, read the code, check it, redeem the receipt."""
    if await caller.begin() and (code := await caller.read()):
        await caller.log_in(code)


async def log_in_after_wrong_codes(caller: Caller) -> None:
    """Check one to three wrong codes first."""
    if await caller.begin() and (code := await caller.read()):
        for _ in range(caller.rng.randint(1, 3)):
            await caller.guess(caller.wrong(code))
        await caller.log_in(code)


async def abandon(caller: Caller) -> None:
    """Start, and do nothing more."""
    await caller.begin()


async def check_after_expiry(caller: Caller) -> None:
    """Check the right code at both API processes just after it expired."""
    if await caller.begin() and (code := await caller.read()):
        await asyncio.sleep(max(0.0, caller.expires_at - time.time()) + caller.rng.uniform(0.02, 1.0))
        await asyncio.gather(*(caller.guess(code, api) for api in caller.api.endpoints.apis))


async def check_around_expiry(caller: Caller) -> None:
    """Check the right code repeatedly around its expiry: none may succeed after it."""
    if await caller.begin() and (code := await caller.read()):
        await asyncio.sleep(max(0.0, caller.expires_at - time.time() - 0.15))
        for _ in range(6):
            await caller.guess(code)
            await asyncio.sleep(0.05)


async def resend(caller: Caller) -> None:
    """Have the code sent again once or twice, then log in."""
    if not await caller.begin():
        return
    for turn in range(caller.rng.randint(1, 2)):
        await asyncio.sleep(caller.resend_s[turn] + 0.1 + caller.rng.random())
        await caller.start(f"{caller.name}-{turn + 2}" if caller.rng.random() < 0.7 else "")
    if code := await caller.read():
        await asyncio.sleep(caller.rng.uniform(0, 2))
        await caller.log_in(code)


async def double_click(caller: Caller) -> None:
    """Start at both API processes at the same time, without a key: one of them must refuse."""
    await asyncio.gather(*(caller.start_once(api, "") for api in caller.api.endpoints.apis))
    if caller.verification_id and (code := await caller.read()):
        await caller.log_in(code)


async def repeat_with_key(caller: Caller) -> None:
    """Start three times at once and once later with one key: one verification, one SMS."""
    key = f"{caller.name}-k"
    await asyncio.gather(*(caller.start_once(caller.random_api(), key) for _ in range(3)))
    if not (await caller.start(key)).good:
        return
    if code := await caller.read():
        await caller.start(key)
        await caller.log_in(code)


async def guess_many(caller: Caller) -> None:
    """Check a dozen wrong codes at once at both processes; the right one is then refused."""
    if await caller.begin() and (code := await caller.read()):
        apis = sorted(caller.api.endpoints.apis)
        await asyncio.gather(*(caller.guess(caller.wrong(code), apis[turn % len(apis)]) for turn in range(12)))
        await caller.guess(code)


async def guess_with_the_right_code(caller: Caller) -> None:
    """Check the right code among wrong ones, all at the same time."""
    if await caller.begin() and (code := await caller.read()):
        codes = [code, code, *(caller.wrong(code) for _ in range(8))]
        caller.rng.shuffle(codes)
        await asyncio.gather(*(caller.guess(each) for each in codes))


async def check_twice_at_once(caller: Caller) -> None:
    """Check the right code at both processes at the same time: one may succeed."""
    if await caller.begin() and (code := await caller.read()):
        calls = await asyncio.gather(*(caller.guess(code, api) for api in caller.api.endpoints.apis))
        for call in calls:
            if call.good:
                await caller.redeem(str(call.body["receipt"]), 2)


async def check_after_cancel(caller: Caller) -> None:
    """Cancel, then check the right code: it is refused."""
    if await caller.begin() and (code := await caller.read()):
        await caller.cancel()
        await caller.guess(code)


async def log_in_by_number(caller: Caller) -> None:
    """Check by the number alone, and for another person's login: only the first may succeed."""
    if await caller.begin() and (code := await caller.read()):
        await caller.guess(code, to=f"{caller.number[:-1]}{(int(caller.number[-1]) + 1) % 10}")
        call = await caller.guess_by_number(code)
        if call.good:
            await caller.redeem(str(call.body["receipt"]), 1)


async def log_in_with_context(caller: Caller) -> None:
    """Bind the code to an order: checks that name another order, or none, are refused."""
    caller.context = {"order": caller.name}
    if await caller.begin() and (code := await caller.read()):
        await caller.guess(code, context={"order": "another"})
        await caller.guess(code, context={})
        await caller.log_in(code)


async def look_from_another_app(caller: Caller) -> None:
    """Read the verification and check its code with another app's key, then log in."""
    if await caller.begin() and (code := await caller.read()):
        await caller.look_as_another_app(code)
        await caller.log_in(code)


async def opt_out_and_in(caller: Caller) -> None:
    """Reply STOP, ask for codes, reply START, and ask again until one is sent."""
    if not (await caller.begin() and await caller.read()):
        return
    await caller.reply("STOP")
    await caller.api.forge(caller.number, caller.random_api())
    for _ in range(2):
        await asyncio.sleep(caller.resend_s[0] / 2 + 0.1)
        await caller.start()
    await caller.reply("START")
    for _ in range(6):
        await asyncio.sleep(1.5)
        if (await caller.start()).good:
            return


async def deny(caller: Caller) -> None:
    """Reply that it was not them. The code is worth nothing then."""
    if await caller.begin() and (code := await caller.read()):
        await caller.reply("NO")
        await asyncio.sleep(1.5)
        await asyncio.gather(*(caller.guess(code, api) for api in caller.api.endpoints.apis))


async def spend_the_budget(caller: Caller) -> None:
    """Check wrong codes until the number has spent its budget: no code is right then, and none is sent."""
    if not (await caller.begin() and (code := await caller.read())):
        return
    for _ in range(MAX_CHECKS):
        await caller.guess(caller.wrong(code))
    await asyncio.sleep(caller.resend_s[0] + 0.2)
    if not (await caller.start()).good or not (code := await caller.read(but=code)):
        return
    await asyncio.gather(*(caller.guess(caller.wrong(code)) for _ in range(WRONG_CODES_PER_NUMBER - MAX_CHECKS)))
    await caller.guess(code)
    await asyncio.sleep(caller.resend_s[1] + 0.2)
    await caller.start()


SCENARIOS: Sequence[tuple[int, Callable[[Caller], Awaitable[None]]]] = (
    (30, log_in),
    (10, log_in_after_wrong_codes),
    (8, abandon),
    (6, check_after_expiry),
    (5, check_around_expiry),
    (10, resend),
    (6, double_click),
    (7, repeat_with_key),
    (7, guess_many),
    (5, guess_with_the_right_code),
    (8, check_twice_at_once),
    (4, check_after_cancel),
    (7, log_in_by_number),
    (6, log_in_with_context),
    (4, look_from_another_app),
    (6, opt_out_and_in),
    (5, deny),
    (5, spend_the_budget),
    *FLOWS,
)
"""Each scenario with its weight."""

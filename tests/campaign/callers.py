"""The people and the login flows: ten-odd starts a second, each a small story told from the caller's side.

Callers are good ones: they keep to one number each, read the code from the handset, repeat what got no answer (under
the same Idempotency-Key, if they use one) and ask the other API process when one refuses the connection. Some are
impatient, forgetful or hostile. Every request and its answer goes into the journal, which is all that the judge
knows of them. Each caller draws from a generator of its own, so that a seed gives the same callers in any weather.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from .evidence import Call, code_in, moment

PATIENCE_S = 15.0
"""How long a caller repeats a start that got no answer: three times the lease of a key whose request was killed."""

HANDSET_S = 18.0
"""How long a person looks at the phone: a little less than the code lives."""

_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=60, keepalive_expiry=2.0)
_AREAS = ("202", "212", "305", "415")
_EXCHANGES = tuple(exchange for exchange in range(500, 600) if exchange != 511)  # no exchange ends in 11
_UNANSWERED = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything answers, and what a caller must know: the API processes, the sandbox, the key."""

    apis: Mapping[str, str]
    sandbox: str
    key: str


class Face:
    """The service and the handsets as a caller reaches them. Every call of the service is written down."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.calls: list[Call] = []
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(5.0, connect=1.0, pool=5.0), limits=_LIMITS, trust_env=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(
        self, kind: str, number: str, body: Mapping[str, Any] | None, api: str, *, asks: str = "", key: str = ""
    ) -> Call:
        """One request, at the other process if the first refuses the connection. Never raises: see `status`."""
        path = f"/verify/{asks}/cancel" if kind == "cancel" else _PATHS[kind]
        headers = {"Authorization": f"Bearer {self.place.key}"} | ({"Idempotency-Key": key} if key else {})
        began = time.time()
        status: int | None = None
        answer: httpx.Response | None = None
        used = api
        for used in (api, *(other for other in self.place.apis if other != api)):
            try:
                answer = await self._client.post(self.place.apis[used] + path, json=body, headers=headers)
                status = answer.status_code
                break
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError:
                break
        found = _document(answer)
        call = Call(
            kind=kind,
            number=number,
            began=began,
            ended=time.time(),
            status=status,
            code=str(found.get("code", "")) if status is not None and status >= 400 else "",
            body={name: found[name] for name in _KEPT if name in found},
            verification_id=asks or str(found.get("verification_id", "")),
            guess=str((body or {}).get("code", "")),
            replayed=answer is not None and answer.headers.get("Idempotent-Replayed") == "true",
            api=used,
        )
        self.calls.append(call)
        return call

    async def inbox(self, number: str) -> list[str]:
        """The texts on a handset, newest first; none if the sandbox has no time just now."""
        try:
            answer = await self._client.get(f"{self.place.sandbox}/sandbox/phones/{number}/messages")
            return [str(message["text"]) for message in answer.json()["messages"]]
        except (httpx.HTTPError, ValueError):
            return []


_PATHS = {"start": "/verify/start", "check": "/verify/check", "redeem": "/receipts/redeem"}
_KEPT = ("verification_id", "expires_at", "deliveries", "approved_at", "receipt", "checks_left", "redeemed_at")


def _document(answer: httpx.Response | None) -> Mapping[str, Any]:
    try:
        found = {} if answer is None else answer.json()
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


@dataclass
class Caller:
    """One person at one login: a number, a way to draw, and what they do."""

    face: Face
    number: str
    name: str
    random: random.Random
    verification_id: str = ""
    expires_at: float = 0.0

    def _api(self) -> str:
        return self.random.choice(sorted(self.face.place.apis))

    async def start(self, key: str = "") -> Call:
        """Ask for a code. With a key, repeat until there is an answer; without one a repeat might be a second start."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            call = await self.face.call("start", self.number, {"to": self.number}, self._api(), key=key)
            if call.good:
                self.verification_id = call.verification_id
                self.expires_at = moment(str(call.body["expires_at"]))
            again = key and (call.status is None or call.status in _UNANSWERED or call.code == "idempotency_conflict")
            if call.good or not again or time.monotonic() > deadline:
                return call
            await asyncio.sleep(0.2 + 0.3 * self.random.random())

    async def begin(self) -> bool:
        """Ask for a code, with a key more often than not. Whether one was promised."""
        return (await self.start(f"{self.name}-1" if self.random.random() < 0.7 else "")).good

    async def read(self) -> str:
        """The code on the handset, once it is there; empty if it never comes."""
        deadline, pause = time.monotonic() + HANDSET_S, 0.15
        while time.monotonic() < deadline:
            for text in await self.face.inbox(self.number):
                if code := code_in(text):
                    return code
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        return ""

    async def guess(self, code: str, api: str = "") -> Call:
        """One check, answered or not."""
        body = {"verification_id": self.verification_id, "code": code}
        return await self.face.call("check", self.number, body, api or self._api(), asks=self.verification_id)

    async def log_in(self, code: str) -> Call:
        """Check the right code, again while there is no answer, and spend the receipt."""
        for _ in range(6):
            call = await self.guess(code)
            if call.status is not None and call.status not in _UNANSWERED:
                break
            await asyncio.sleep(0.3)
        if call.good:
            await self.spend(str(call.body["receipt"]), self.random.choice((1, 1, 3)))
        return call

    async def spend(self, receipt: str, times: int) -> None:
        """Redeem the receipt, several times at once if so wanted: it is good for one."""
        body = {"receipt": receipt}
        redeems = (
            self.face.call("redeem", self.number, body, self._api(), asks=self.verification_id) for _ in range(times)
        )
        await asyncio.gather(*redeems)

    def wrong(self, right: str) -> str:
        """A code that is not the right one."""
        return f"{(int(right or 0) + self.random.randrange(1, 10**6)) % 10**6:06d}"

    # ---- stories ---------------------------------------------------------------------------------------------------

    async def plain(self) -> None:
        """Start, read, check, in."""
        if await self.begin() and (code := await self.read()):
            await self.log_in(code)

    async def clumsy(self) -> None:
        """A wrong code or two first."""
        if await self.begin() and (code := await self.read()):
            for _ in range(self.random.randint(1, 3)):
                await self.guess(self.wrong(code))
            await self.log_in(code)

    async def forgetful(self) -> None:
        """Starts and goes away."""
        await self.begin()

    async def tardy(self) -> None:
        """Comes with the right code when it has run out, at both API processes."""
        if await self.begin() and (code := await self.read()):
            await asyncio.sleep(max(0.0, self.expires_at - time.time()) + self.random.uniform(0.02, 1.0))
            await asyncio.gather(*(self.guess(code, api) for api in self.face.place.apis))

    async def punctual(self) -> None:
        """Checks in the very moment the code runs out: in or not, but never after it."""
        if await self.begin() and (code := await self.read()):
            await asyncio.sleep(max(0.0, self.expires_at - time.time() - 0.15))
            for _ in range(6):
                await self.guess(code)
                await asyncio.sleep(0.05)

    async def impatient(self) -> None:
        """Has the code sent again after a while, perhaps twice, then logs in."""
        if not await self.begin():
            return
        for turn in range(self.random.randint(1, 2)):
            await asyncio.sleep(RESEND_S[turn] + 0.1 + self.random.random())
            await self.start(f"{self.name}-{turn + 2}" if self.random.random() < 0.7 else "")
        if code := await self.read():
            await asyncio.sleep(self.random.uniform(0, 2))
            await self.log_in(code)

    async def double_click(self) -> None:
        """The same start at both API processes at once, without a key: one of the two is told to wait."""
        await asyncio.gather(*(self._click(api, "") for api in self.face.place.apis))
        if self.verification_id and (code := await self.read()):
            await self.log_in(code)

    async def repeater(self) -> None:
        """The same start under one key, three at once and once more later: one verification, one SMS."""
        key = f"{self.name}-k"
        await asyncio.gather(*(self._click(self._api(), key) for _ in range(3)))
        if not (await self.start(key)).good:
            return
        if code := await self.read():
            await self.start(key)
            await self.log_in(code)

    async def _click(self, api: str, key: str) -> None:
        call = await self.face.call("start", self.number, {"to": self.number}, api, key=key)
        if call.good:
            self.verification_id = call.verification_id
            self.expires_at = moment(str(call.body["expires_at"]))

    async def attacked(self) -> None:
        """A dozen wrong codes at once over both processes, then the right one, which is too late."""
        if await self.begin() and (code := await self.read()):
            apis = sorted(self.face.place.apis)
            await asyncio.gather(*(self.guess(self.wrong(code), apis[turn % len(apis)]) for turn in range(12)))
            await self.guess(code)

    async def gambled(self) -> None:
        """The right code among wrong ones, all at once."""
        if await self.begin() and (code := await self.read()):
            codes = [code, code, *(self.wrong(code) for _ in range(8))]
            self.random.shuffle(codes)
            await asyncio.gather(*(self.guess(each) for each in codes))

    async def twins(self) -> None:
        """The right code at both processes at the same moment: one of them is let in."""
        if await self.begin() and (code := await self.read()):
            calls = await asyncio.gather(*(self.guess(code, api) for api in self.face.place.apis))
            for call in calls:
                if call.good:
                    await self.spend(str(call.body["receipt"]), 2)

    async def withdrawn(self) -> None:
        """Canceled by the login flow; the right code then opens nothing."""
        if await self.begin() and (code := await self.read()):
            await self.face.call("cancel", self.number, None, self._api(), asks=self.verification_id)
            await self.guess(code)


RESEND_S = (3, 5)
"""The configured waits before the second and third send; the campaign's TOML has the same."""

_STORIES: Sequence[tuple[int, Callable[[Caller], Awaitable[None]]]] = (
    (30, Caller.plain),
    (10, Caller.clumsy),
    (8, Caller.forgetful),
    (6, Caller.tardy),
    (5, Caller.punctual),
    (10, Caller.impatient),
    (6, Caller.double_click),
    (7, Caller.repeater),
    (7, Caller.attacked),
    (5, Caller.gambled),
    (8, Caller.twins),
    (4, Caller.withdrawn),
)


@dataclass
class Crowd:
    """All callers of a run."""

    face: Face
    seed: int
    rate_per_s: float
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    async def come(self, load_s: float) -> None:
        """Let callers arrive at the rate for so long, in whatever state the service is; then wait for the last."""
        began = time.monotonic()
        arrivals = random.Random(f"{self.seed}/arrivals")
        due = 0.0
        while (due := due + arrivals.expovariate(self.rate_per_s)) < load_s:
            await asyncio.sleep(max(0.0, began + due - time.monotonic()))
            self.tasks.append(asyncio.create_task(self._play(len(self.tasks))))
        await asyncio.gather(*self.tasks)

    async def _play(self, index: int) -> None:
        drawn = random.Random(f"{self.seed}/caller/{index}")
        story = drawn.choices([story for _, story in _STORIES], [weight for weight, _ in _STORIES])[0]
        try:
            await story(Caller(self.face, number_of(index), f"c{self.seed}-{index}", drawn))
        except Exception as error:  # noqa: BLE001 - a caller that stumbles is a defect to be told, not the run's end
            self.broken.append(f"caller: {story.__name__} of number {index}: {type(error).__name__}: {error}")

    @property
    def numbers(self) -> list[str]:
        """The phones of everybody who came."""
        return [number_of(index) for index in range(len(self.tasks))]


def number_of(index: int) -> str:
    """A phone that rings for nobody else."""
    return f"+1{_AREAS[index % 4]}{_EXCHANGES[index // 10_000 % len(_EXCHANGES)]}{index % 10_000:04d}"

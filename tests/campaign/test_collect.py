"""How long the campaign waits for callbacks."""

import asyncio
from collections.abc import Mapping

import pytest

from . import collect
from .client import Endpoints
from .collect import Collector
from .evidence import Callback, Event


def ended(seconds: float) -> Event:
    """An event of which a callback is promised."""
    return Event(f"00-{seconds}", seconds, "verification.expired", "vrf_a-b", "", {})


def callback() -> Callback:
    """Its callback."""
    return Callback("msg_1", "verification.expired", "vrf_a-b", "digest", 1.0)


class Recorded(Collector):
    """One that knows the record."""

    def __init__(self, *events: Event) -> None:
        super().__init__(Endpoints({}, "", "", ""), "")
        self._events = list(events)

    async def events(self) -> list[Event]:
        """What was given."""
        return self._events


class Received(list[Callback]):
    """What has been received, and how often somebody looked how much that is."""

    looks = 0

    def __len__(self) -> int:
        self.looks += 1
        return super().__len__()


async def waited(recorded: Recorded, comes_after_s: float | None, quiet_s: float, within_s: float) -> Mapping[str, int]:
    """How many callbacks are read, and after how many looks, if the only one comes then."""
    received = Received()

    async def post() -> None:
        if comes_after_s is not None:
            await asyncio.sleep(comes_after_s)
            received.append(callback())

    posting = asyncio.create_task(post())
    found = await recorded.callbacks(received, quiet_s, within_s)
    await posting
    await recorded.close()
    return {"found": len(found), "looks": received.looks}


def test_a_callback_that_is_recorded_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing comes for longer than the quiet that ends the wait: it is tried again much later."""
    monkeypatch.setattr(collect, "LOOK_S", 0.02)
    assert asyncio.run(waited(Recorded(ended(1.0)), 0.8, 0.1, 60.0))["found"] == 1


def test_what_never_comes_is_not_awaited_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything where all is there."""
    monkeypatch.setattr(collect, "LOOK_S", 0.02)
    assert asyncio.run(waited(Recorded(ended(1.0)), None, 0.1, 0.5))["found"] == 0
    assert asyncio.run(waited(Recorded(), None, 0.1, 10.0))["looks"] < 50

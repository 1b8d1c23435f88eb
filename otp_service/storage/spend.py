"""What the messages of apps cost, by day and country, and what they may cost in a day. All of an app is in one slot."""

import json
from collections.abc import Mapping
from typing import Any

from ..domain.admission import OuterAnswer
from ..domain.audit import EventType
from ..domain.errors import StoreUnavailable
from ..domain.prices import Cost, ExpectedCost, Settlement
from ..domain.spending import DAY_MS, CountrySpend, SpendState
from .schema import Keys
from .schema.encodings import SettledPlace, SpendPlace
from .schema.guard_fields import Spend
from .script_files import Value
from .scripts import NamedCall, Scripts
from .store import Store, fields_of


class ExpectedCosts:
    """How expected prices are taken of what an app may spend today (`outer.Kind`).

    A store that does not answer refuses: nobody knows then what has been spent.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def call(self, wanted: ExpectedCost, action: str, mark: str) -> NamedCall:
        """Take a price, look whether there is room for it, or give it back."""
        args: dict[str, Value] = {
            "action": action,
            "region": wanted.region,
            "amount": wanted.micros,
            "most": wanted.most,
            "day": mark,
        }
        return "spend/take", {"spend": self._keys.spend(wanted.app)}, args

    def answer(self, wanted: ExpectedCost, action: str, reply: Any) -> OuterAnswer:
        """What the reply says; the mark is the day. Raises StoreUnavailable."""
        if isinstance(reply, StoreUnavailable):
            raise reply
        return OuterAnswer(wanted, int(reply[0]), str(reply[1]))


class SpendTable:
    """What was spent, of one store. Methods raise StoreUnavailable."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys

    def settle(self, one: Settlement, region: str, cost: Cost, currency: str) -> None:
        """Count a cost, and correct what was expected. `currency`: that of the prices.

        It is not repeated where the answer is lost: then the expected price may stand for it.
        """
        self._scripts.call(
            "spend/settle",
            {"spend": self._keys.spend(one.app)},
            repeat=False,
            region=region,
            day=one.day,
            expected=one.expected,
            before="" if one.before is None else one.before,
            amount=cost.micros,
            currency=cost.currency,
            own_currency=currency,
        )

    def read(self, app: str) -> SpendState:
        """All that is kept of an app's messages."""
        (reply,), now_ms = self._store.read_at([("HGETALL", self._keys.spend(app))])
        return _state(app, fields_of(reply), now_ms // DAY_MS)

    def record_reached(self, app: str, day: int, percent: int, detail: Mapping[str, str]) -> bool:
        """Record that an app has spent so much of its limit; False if that is on record for this day."""
        return bool(
            self._scripts.call(
                "audit/append",
                {"audit": self._keys.audit(0), "throttle": self._keys.throttle(0, f"spend:{app}:{day}:{percent}")},
                event_type=EventType.SPEND_REACHED,
                detail=json.dumps({"percent": percent, **detail}),
                throttle_ms=DAY_MS,
                app=app,
                mask="",
                number_hash="",
            )
        )


def _state(app: str, found: Mapping[str, str], today: int) -> SpendState:
    places: dict[tuple[int, str], CountrySpend] = {}

    def place(day: str, region: str) -> CountrySpend:
        return places.setdefault((int(day), region), CountrySpend(int(day), region))

    state = SpendState(app, today)
    for name, value in found.items():
        prefix, _, rest = name.partition(":")
        match f"{prefix}:":
            case Spend.SUM:
                state.counted[int(rest)] = int(value)
            case Spend.REFUSED:
                state.refused[int(rest)] = int(value)
            case Spend.EXPECTED:
                place(*SpendPlace.parse(rest)).expected = int(value)
            case Spend.MESSAGES:
                place(*SpendPlace.parse(rest)).messages = int(value)
            case Spend.SETTLED:
                day, region, currency = SettledPlace.parse(rest)
                place(day, region).settled[currency] = int(value)
    state.places = [places[key] for key in sorted(places)]
    return state

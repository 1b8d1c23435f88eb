"""Whether an app may spend a message to a number today, for those who support its owner. Nothing is taken."""

from ..domain.guarding import NO_REGION
from ..domain.phone import Phone
from ..domain.policy import App
from ..domain.prices import ExpectedCost, Prices
from . import ports
from .verify.spending import code_parts


class SpendOfPerson:
    """Safe for many threads."""

    def __init__(self, outer: ports.OuterStore, prices: Prices) -> None:
        self._outer = outer
        self._prices = prices

    def wait_ms(self, app: App, to: Phone) -> int:
        """Milliseconds until an app may pay for one more code in English; 0 if it may.

        The price is of the most parts that its text may have, as a start takes it. Raises StoreUnavailable.
        """
        if app.spend_limit is None:
            return 0
        parts = code_parts(app)
        price = max(self._prices.expected(to.region, sender.channel, parts) for sender in app.route)
        (answer,) = self._outer.look([ExpectedCost(app.name, to.region or NO_REGION, price, app.spend_limit)])
        return answer.wait_ms

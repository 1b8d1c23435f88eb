"""Who a number belongs to, without keeping the number: its keyed hash. And which numbers are an app's test numbers."""

import msgspec

from ...domain import phone
from ...domain.errors import Refusal
from ...domain.policy import App
from .. import ports
from .refusals import NOT_FOUND, Outcome


class People:
    """Reads numbers of callers. `fictitious` allows 555-0100 … 0199, which only a sandbox carrier delivers to."""

    def __init__(self, vault: ports.Vault, *, fictitious: bool) -> None:
        self._vault = vault
        self._fictitious = fictitious

    def phone(self, to: str, app: App) -> phone.Phone:
        """The number, which can receive a code, or is one of the app's test numbers. Raises InvalidNumber."""
        return phone.parse_receiver(to, fictitious=self._fictitious or to in app.test_codes)

    def hash_of(self, to: str, app: App) -> str:
        """The keyed hash (hex) of a number. Raises InvalidNumber."""
        return self._vault.ids.number_hash(self.phone(to, app).e164)

    def marked(self, outcome: Outcome | Refusal, app: App, number_hash: str) -> Outcome | Refusal:
        """The outcome; a refusal says whether it is about a test number. One that tells nothing tells nothing more."""
        if not app.test_codes or not isinstance(outcome, Refusal) or outcome.code == NOT_FOUND.code:
            return outcome
        tests = {self._vault.ids.number_hash(number) for number in app.test_codes}
        return with_test(outcome) if number_hash in tests else outcome


def with_test(refusal: Refusal) -> Refusal:
    """The refusal, which is about a test number."""
    marked: Refusal = msgspec.structs.replace(refusal, fields={**refusal.fields, "test": True})
    return marked

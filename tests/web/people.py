"""People with authenticator apps and recovery codes, as tests of the API play them."""

from dataclasses import dataclass, field
from typing import Any

import pyotp

from .conftest import Answer, ApiHarness


@dataclass
class Person:
    """A subject of an app, and the apps on the person's phone by the factor's id."""

    api: ApiHarness
    subject: str
    app: str = "default"
    phone: dict[str, pyotp.TOTP] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """A request of the person's app."""
        return self.api.call(method, path, body, key=self.app)

    def now(self) -> int:
        """The store's clock in seconds."""
        seconds: Any = self.api.store.time()
        return int(seconds[0])

    def enroll(self, **members: object) -> dict[str, Any]:
        """Enrol an authenticator app; the reply."""
        answer = self.call("POST", "/factors/totp", {"subject": self.subject, **members})
        assert answer.status == 201, answer.body
        parsed = pyotp.parse_uri(answer.json["uri"])
        assert isinstance(parsed, pyotp.TOTP)
        self.phone[answer.json["factor_id"]] = parsed
        found: dict[str, Any] = answer.json
        return found

    def shown(self, factor_id: str, steps: int = 0) -> str:
        """What the phone shows, with its clock so many steps ahead."""
        totp = self.phone[factor_id]
        return totp.at(self.now() + steps * totp.interval)

    def confirm(self, factor_id: str, code: str) -> Answer:
        """Confirm an authenticator app."""
        return self.call("POST", f"/factors/totp/{factor_id}/confirm", {"code": code})

    def enrolled(self, **members: object) -> str:
        """An active authenticator app's factor id. It was confirmed with the code of the step before this one."""
        for _ in range(3):
            factor_id = str(self.enroll(**members)["factor_id"])
            if self.confirm(factor_id, self.shown(factor_id, -1)).status == 200:
                return factor_id
            # A new step began just then.
            self.call("DELETE", f"/factors/{factor_id}")
        raise AssertionError("no authenticator app could be confirmed")

    def check(self, code: str, **members: object) -> Answer:
        """The one door."""
        return self.call("POST", "/verify/check", {"subject": self.subject, "code": code, **members})

    def wrong(self, digits: int = 6) -> str:
        """A code that none of the phone's apps shows about now."""
        near = {totp.at(self.now() + step * totp.interval) for totp in self.phone.values() for step in range(-3, 4)}
        return next(code for number in range(10) if (code := str(number) * digits) not in near)

    def recovery_codes(self) -> list[str]:
        """Ten new recovery codes."""
        answer = self.call("POST", "/factors/recovery-codes", {"subject": self.subject})
        assert answer.status == 201, answer.body
        found: list[str] = answer.json["codes"]
        return found

    def factors(self) -> list[dict[str, Any]]:
        """GET /factors."""
        answer = self.call("GET", f"/factors?subject={self.subject}")
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["factors"]
        return found

"""Scenarios of the delivery loop: a sender pair and an app for each, and one number that goes through it.

The code's life is short where the end is waited for, and long where a busy machine must be in time.
"""

import json
import uuid
from datetime import datetime
from typing import Any

from ..service_client import ServiceClient, code_in, within

LIFE_S = 20
"""Of the codes whose end is waited for."""

LOST_MODES = ("timeout", "reset_after_request", "half_body")
PAIRS = (
    *("held", "queued", "down", "pumped", "landline", "sticky", "stopped", "unknown_quiet", "limited"),
    *("silent", "dropped", "mixed", "chatty", "backwards", "half_known"),
    *(f"lost_{mode}" for mode in LOST_MODES),
)
ALONE = ("alone_500", "alone_429", "resend", "refusing", "slow_rate", "denied")
LIVES = dict.fromkeys(("silent", "unknown_quiet", "alone_500", "alone_429"), LIFE_S)
LIVES |= {f"lost_{mode}": LIFE_S for mode in LOST_MODES} | {"held": 40}
"""Seconds. The carrier holds `held` for longer than that; every other code lives for five minutes."""

ENDS = {"delivered", "failed", "unconfirmed", "expired", "suppressed"}


def address(sender: str) -> str:
    """The number of a scenario's sender: `x`, its second `x_b`."""
    names = [*PAIRS, *(f"{pair}_b" for pair in PAIRS), *ALONE, "stopped_same_profile"]
    return f"+1312555{600 + names.index(sender):04d}"


def profile(sender: str) -> str:
    """The messaging profile of a sender; `x_same_profile` has the profile of `x`."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"loop {sender.removesuffix('_same_profile')}"))


def configuration() -> str:
    """Two senders and an app for each pair, one for each that stands alone."""

    def sender(name: str, kind: str = "long_code", rate: int = 100, more: str = "") -> str:
        return (
            f'[senders.{name}]\nkind = "{kind}"\nfrom = "{address(name)}"\nrate_per_s = {rate}\n'
            f'messaging_profile_id = "{profile(name)}"\n{more}'
        )

    def app(name: str, route: list[str], more: str) -> str:
        return (
            f'[apps.{name}]\nbrand = "Loop"\nroute = {json.dumps(route)}\ncode_ttl = "{LIVES.get(name, 300)}s"\n'
            f'sent_within = "2s"\n{more}\n'
        )

    parts = []
    for name in PAIRS:
        kind = ("whatsapp", 100, 'template = "otp_code"') if name == "chatty" else ("long_code",)
        second = sender(f"{name}_b", *kind)
        route = [name, "stopped_same_profile", f"{name}_b"] if name == "stopped" else [name, f"{name}_b"]
        waits = '["90s"]' if name == "half_known" else '["1s", "1s"]'
        parts += [sender(name), second, app(name, route, f"resend_after = {waits}")]
    parts += [sender("stopped_same_profile")]
    for name in ALONE:
        parts += [sender(name, rate=5 if name == "slow_rate" else 100)]
        more = 'denial_words = ["NO", "nicht ich"]' if name == "denied" else 'resend_after = ["2s", "2s"]'
        parts += [app(name, [name], more)]
    return "\n".join(parts)


class Scenario:
    """One number, started at a scenario's app. `chaos` sets the carrier's behaviour for its first sender."""

    def __init__(self, service_client: ServiceClient, name: str, number: str = "", **chaos: object) -> None:
        self.service_client, self.name = service_client, name
        if chaos:
            self.carrier(name, **chaos)
        self.number = number or service_client.number()
        self.id = service_client.started(self.number, name)

    def carrier(self, sender: str, **chaos: object) -> None:
        """How the carrier treats a sender from now on."""
        self.service_client.chaos(senders={address(sender): chaos})

    def deliveries(self) -> list[dict[str, Any]]:
        """The deliveries now."""
        found: list[dict[str, Any]] = self.service_client.show(self.id, self.name)["deliveries"]
        return found

    def outcomes(self) -> list[tuple[str, str, str | None]]:
        """Sender, status and reason of each."""
        return [(d["sender"], d["status"], d["error"] and d["error"]["code"]) for d in self.deliveries()]

    def comes_to(self, *wanted: tuple[str, str, str | None], timeout_s: float = 60) -> None:
        """Wait until the deliveries are these."""
        try:
            within(timeout_s, lambda: self.outcomes() == list(wanted), "the end")
        except AssertionError:
            raise AssertionError(f"{self.name}: {self.outcomes()}, not {wanted}") from None

    def ends_by(self, *senders: str) -> None:
        """Wait until one of these senders has delivered it."""
        wanted = {(sender, "delivered", None) for sender in senders}
        within(60, lambda: wanted & set(self.outcomes()), f"{self.name}: a delivery")

    def closes(self) -> None:
        """Everything has ended a minute after the code's life, and every end but a delivery has its reason."""
        over = lambda: all(d["status"] in ENDS for d in self.deliveries())  # noqa: E731
        within(LIFE_S + 180, over, f"the end of {self.name}")
        for sender, status, reason in self.outcomes():
            assert status == "delivered" or reason, (self.name, sender, status)

    def froms(self) -> list[str]:
        """The senders of all requests for this number, in order."""
        return [entry["body"]["from"] for entry in self.service_client.sends(self.number)]

    def texts(self) -> list[str]:
        """The codes on the handset."""
        return [code_in(str(message["text"])) for message in self.service_client.inbox(self.number)]

    def approves(self) -> None:
        """The code on the handset is the right one."""
        assert self.service_client.check(self.id, self.service_client.code(self.number), self.name).status_code == 200


def with_status(answer: Any, status: int) -> Any:
    return answer if answer.status_code == status else None


def polls_of(service_client: ServiceClient, message_id: str) -> list[float]:
    """When the carrier was asked about a message, as Unix times in seconds."""
    journal = service_client.sandbox("GET", "/sandbox/journal")["requests"]
    found = [e for e in journal if e["method"] == "GET" and e["path"] == f"/v2/messages/{message_id}"]
    return [datetime.fromisoformat(entry["received_at"]).timestamp() for entry in found]

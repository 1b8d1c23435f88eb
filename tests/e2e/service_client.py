"""A client of the service under test: what a caller does, what a phone receives, and the sandbox carrier.

Every scenario has a sender and a messaging profile of its own, so the carrier can misbehave for one scenario while
others run beside it.
"""

import itertools
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import redis

from otp_service import bootstrap, config
from otp_service.storage.api_keys import SCOPES
from tests.sample_numbers import sample

SHARED_PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
SCENARIOS = (
    *("http_500", "http_429", "timeout", "reset_after_request", "half_body", "slow", "wait"),
    *("quiet_timeout", "quiet_reset", "quiet_half", "short_429", "short_500", "short_timeout"),
    *("delivered", "delivery_failed", "sending_failed", "unconfirmed", "silent"),
    *("duplicate", "reorder", "early", "forge", "forge_failed", "drop", "reserve"),
)
_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=64)
_codes = re.compile(r"(?<![0-9])[0-9]{6,10}(?![0-9])")


def sender_of(scenario: str) -> str:
    """The number that a scenario sends from."""
    return f"+1312555{300 + SCENARIOS.index(scenario):04d}"


def profile_of(scenario: str) -> str:
    """The messaging profile of a scenario's sender."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, scenario))


def configuration() -> str:
    """The service's configuration: the two usual senders, and one app and sender for every scenario."""
    parts = [
        f'[senders.pool]\nkind = "number_pool"\nmessaging_profile_id = "{SHARED_PROFILE}"\nrate_per_s = 100',
        f'[senders.backup]\nkind = "long_code"\nfrom = "+18445550001"\nrate_per_s = 100\n'
        f'messaging_profile_id = "{SHARED_PROFILE}"',
        '[apps.default]\nbrand = "Acme"\nroute = ["pool", "backup"]',
        '[apps.other]\nbrand = "Other"\nroute = ["pool"]',
        '[apps.long]\nbrand = "Long"\nroute = ["pool", "backup"]\ncode_length = 10',
        '[apps.again]\nbrand = "Again"\nroute = ["pool"]\nresend_after = ["0s", "0s", "0s"]',
        '[apps.fallback]\nbrand = "Fallback"\nroute = ["backup", "reserve"]',
    ]
    for scenario in SCENARIOS:
        parts.append(
            f'[senders.{scenario}]\nkind = "long_code"\nfrom = "{sender_of(scenario)}"\nrate_per_s = 100\n'
            f'messaging_profile_id = "{profile_of(scenario)}"'
        )
        ttl = '"8s"' if scenario.startswith("short") else '"5m"'
        route = f'["{scenario}", "backup"]' if scenario in ("delivery_failed", "sending_failed") else f'["{scenario}"]'
        parts.append(f'[apps.{scenario}]\nbrand = "Scenario"\nroute = {route}\ncode_ttl = {ttl}')
    return "\n\n".join(parts) + "\n"


# One count for all clients of a run: two of them may use the same service.
_EVERYBODYS_NUMBERS = itertools.count(time.time_ns() // 1_000_000 % 3_000 * 100)


@dataclass
class ServiceClient:
    """A service under test, seen from its caller's and from the phone's side. Safe for many threads."""

    env: Mapping[str, str]
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, limits=_LIMITS, trust_env=False))
    _keys: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    _numbers: Iterator[int] = _EVERYBODYS_NUMBERS
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where the API answers."""
        return self.env["OTP_URL"]

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def number(self) -> str:
        """A number that no other test uses."""
        with self._lock:
            return sample(next(self._numbers))

    def key(self, app: str = "default", *scopes: str) -> str:
        """An API key of the app, made as the command makes it."""
        wanted = scopes or SCOPES
        with self._lock:
            if (app, wanted) not in self._keys:
                keys = bootstrap.build_api_keys(config.load(self.env))
                self._keys[app, wanted] = keys.create(app, wanted, None).key
            return self._keys[app, wanted]

    def store(self) -> "redis.Redis":
        """A client of the service's store, for looking only."""
        return redis.Redis.from_url(self.env["OTP_REDIS_URL"])

    # ---- the caller ------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: object = None, app: str = "default", **headers: str) -> httpx.Response:
        """One request with the app's key."""
        named = {"Authorization": f"Bearer {self.key(app)}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body is None:
            return self.client.request(method, self.url + path, headers=named)
        return self.client.request(method, self.url + path, headers=named, json=body)

    def start(self, to: str, app: str = "default", **members: object) -> httpx.Response:
        """POST /verify/start."""
        return self.call("POST", "/verify/start", {"to": to, **members}, app)

    def started(self, to: str, app: str = "default", **members: object) -> str:
        """The id of a verification that was started just now."""
        answer = self.start(to, app, **members)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["verification_id"])

    def check(self, verification_id: str, code: str, app: str = "default") -> httpx.Response:
        """POST /verify/check by id."""
        return self.call("POST", "/verify/check", {"verification_id": verification_id, "code": code}, app)

    def show(self, verification_id: str, app: str = "default") -> dict[str, Any]:
        """GET /verify/{id}."""
        answer = self.call("GET", f"/verify/{verification_id}", app=app)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def deliveries(self, verification_id: str, app: str = "default") -> list[str]:
        """The deliveries' statuses now."""
        return [str(delivery["status"]) for delivery in self.show(verification_id, app)["deliveries"]]

    def events(self, verification_id: str, app: str = "default") -> list[str]:
        """The timeline's events."""
        return [str(entry["event"]) for entry in self.show(verification_id, app)["timeline"]]

    # ---- the phone and the carrier ---------------------------------------------------------------------------------

    def sandbox(self, method: str, path: str, body: object = None) -> Any:
        """One request to the sandbox's own endpoints."""
        answer = self.client.request(method, self.env["SANDBOX_URL"] + path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def inbox(self, number: str) -> list[dict[str, Any]]:
        """What is on the handset, newest first."""
        found: list[dict[str, Any]] = self.sandbox("GET", f"/sandbox/phones/{number}/messages")["messages"]
        return found

    def code(self, number: str, timeout_s: float = 30.0) -> str:
        """The code of the newest SMS, once there is one."""
        return code_in(str(within(timeout_s, lambda: self.inbox(number), "an SMS")[0]["text"]))

    def reply(self, number: str, text: str, to: str = "+18445550001") -> None:
        """The person replies."""
        self.sandbox("POST", f"/sandbox/phones/{number}/messages", {"to": to, "text": text})

    def chaos(self, **parts: object) -> None:
        """Tell the carrier how to misbehave."""
        self.sandbox("PUT", "/sandbox/chaos", parts)

    def chaos_for(self, scenario: str, **parts: object) -> None:
        """The same for one scenario's sender only."""
        self.chaos(senders={sender_of(scenario): parts})

    def sends(self, number: str) -> list[dict[str, Any]]:
        """Every request to send to this number that reached the carrier."""
        found = self.sandbox("GET", "/sandbox/journal")["requests"]
        return [entry for entry in found if isinstance(entry["body"], dict) and entry["body"].get("to") == number]


def code_in(text: str) -> str:
    """The code in an SMS."""
    found = _codes.search(text)
    assert found is not None, "no code in the SMS"
    return found[0]


def within(timeout_s: float, probe: Callable[[], Any], what: str) -> Any:
    """Ask until the answer is true; fail when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"{what} did not come within {timeout_s} s"
        time.sleep(0.05)
    return answer


def at_once(*acts: Callable[[], None]) -> None:
    """Run these at the same time; all failures are reported."""
    with ThreadPoolExecutor(len(acts)) as pool:
        failures = [future.exception() for future in [pool.submit(act) for act in acts]]
    found = [failure for failure in failures if failure is not None]
    if found:
        raise AssertionError("\n".join(f"{type(one).__name__}: {one}" for one in found)) from found[0]


def one_key_one_body(sends: list[dict[str, Any]]) -> None:
    """Every try of every delivery to one number: the same Idempotency-Key and the same bytes, another one another."""
    by_key: dict[str, set[str]] = {}
    for entry in sends:
        headers = {name.lower(): value for name, value in entry["headers"].items()}
        content = f"{entry['path']} {headers['content-length']} {entry['body']}"
        by_key.setdefault(headers["idempotency-key"], set()).add(content)
    assert all(len(bodies) == 1 for bodies in by_key.values()), by_key
    assert all(key.startswith("dlv_") for key in by_key)

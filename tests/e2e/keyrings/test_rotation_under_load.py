"""Rotations while two APIs and a worker are busy: nobody's login notices."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from ...conftest import wait_until
from ..service_client import ServiceClient
from .site import Site, kids

CALLERS = 3
PATIENCE_S = 90


@dataclass
class Logins:
    """Callers that log in without a pause: started at one API, checked and redeemed at the other.

    They verify each receipt with the keys that they fetched last, as an app that caches them does.
    """

    service_client: ServiceClient
    urls: tuple[str, str]
    keys: Mapping[str, Any] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    signed: list[tuple[str, str]] = field(default_factory=list)
    """Of each login: the API that approved it, and the key of its receipt."""

    def fetch_keys(self) -> None:
        """Read the published keys of one API. They are kept until the next call."""
        found = httpx.get(f"{self.urls[0]}/.well-known/jwks.json", trust_env=False).json()["keys"]
        self.keys = {key["kid"]: jwt.PyJWK(key) for key in found}

    def post(self, url: str, path: str, body: object) -> Any:
        """A request that must be served."""
        headers = {"Authorization": f"Bearer {self.service_client.key()}"}
        answer = self.service_client.client.post(url + path, json=body, headers=headers)
        assert answer.status_code in (200, 201), (path, answer.text)
        return answer.json()

    def log_in(self, here: str, there: str) -> None:
        """One login."""
        started = self.post(here, "/verify/start", {"to": (number := self.service_client.number())})
        code = self.service_client.code(number, PATIENCE_S)
        body = {"verification_id": started["verification_id"], "code": code}
        receipt = self.post(there, "/verify/check", body)["receipt"]
        kid = jwt.get_unverified_header(receipt)["kid"]
        jwt.decode(receipt, self.keys[kid], algorithms=["EdDSA"], audience="default", leeway=5)
        self.post(here, "/receipts/redeem", {"receipt": receipt})
        self.signed.append((there, kid))

    def run(self, caller: int) -> None:
        """Log in until the end."""
        here, there = self.urls if caller % 2 else reversed(self.urls)
        while not self.stop.is_set():
            self.log_in(here, there)

    @contextmanager
    def going_on(self) -> Iterator["list[Future[None]]"]:
        """All callers; what stopped one of them is raised at the end."""
        with ThreadPoolExecutor(CALLERS) as pool:
            callers = [pool.submit(self.run, caller) for caller in range(CALLERS)]
            try:
                yield callers
            finally:
                self.stop.set()
        for caller in callers:
            caller.result()


@pytest.fixture
def urls(site: Site) -> tuple[str, str]:
    """Two APIs with the same file."""
    site.start("worker")
    return site.env["OTP_URL"], site.another_api()


def test_rotations_under_load_are_not_noticed(site: Site, service_client: ServiceClient, urls: tuple[str, str]) -> None:
    """Two of them: no code is lost, no check refused, no receipt made that fails with the keys fetched before it.

    The keys are fetched while a new one is only published, never after it became active: as `max-age` is shorter than
    the time of `--after`, a cache is always one of after the publication.
    """
    logins = Logins(service_client, urls)
    logins.fetch_keys()
    with logins.going_on() as callers:

        def until(what: str, probe: Callable[[], bool]) -> None:
            wait_until(lambda: any(caller.done() for caller in callers) or probe(), PATIENCE_S, what)
            assert not any(caller.done() for caller in callers), what

        for _ in range(2):
            new = site.rotate()["next_kid"]
            until("the published key", lambda new=new: all(new in kids(url) for url in urls))  # type: ignore[misc]
            logins.fetch_keys()
            assert new not in {kid for _, kid in logins.signed}
            _activate_now(Path(site.env["OTP_KEYRING"]))
            until("receipts of both", lambda new=new: {(url, new) for url in urls} <= set(logins.signed))  # type: ignore[misc]
    assert len({kid for _, kid in logins.signed}) == 3


def _activate_now(ring: Path) -> None:
    """Let the time of the newest key come."""
    data = json.loads(ring.read_text())
    data["keys"][-1]["active_from"] = "2026-01-01T00:00:00Z"
    other = ring.with_suffix(".new")
    other.touch(0o600)
    other.write_text(json.dumps(data))
    other.replace(ring)

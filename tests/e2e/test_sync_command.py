"""`optouts sync`: everybody on the list is in the registry, whatever happens meanwhile."""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from otp_service import config, keyring
from otp_service.sandbox.optouts import Block
from otp_service.storage.schema import Keys
from tests.conftest import wait_until

from .carrier_shell import PERSON, PROFILE, TOLL_FREE, Shell, ended, person
from .commands import data, run, sentence


@dataclass
class Installation:
    """A configuration, a keyring and a store, beside the sandbox."""

    environ: dict[str, str]
    store: "redis.Redis"
    keys: Keys
    ring: keyring.Keyring

    def synced(self) -> Any:
        """What `optouts sync --json` prints at its end."""
        return data(run("optouts", "sync", "--json", **self.environ))

    def sync(self) -> "subprocess.Popen[str]":
        """Begin `optouts sync --json` as a process of its own."""
        command = [sys.executable, "-m", "otp_service", "optouts", "sync", "--json"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environ, text=True)

    def blocked(self, number: str) -> bool:
        """Whether the registry has the person as opted out of the profile."""
        found = self.store.hget(self.keys.optouts(self.ring.ids.number_hash(number)), PROFILE)
        return str(found or "").startswith("1|")


@pytest.fixture
def installation(shell: Shell, tmp_path: Path, redis_server: object, redis_url: str) -> Iterator[Installation]:
    """An installation whose carrier is the sandbox."""
    ring = tmp_path / "keyring.json"
    raw = keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z")
    ring.touch(mode=0o600)
    ring.write_bytes(raw)
    toml = tmp_path / "otp-service.toml"
    toml.write_text(config.DEV_TOML)
    environ = shell.environ | {"OTP_CONFIG": str(toml), "OTP_KEYRING": str(ring), "OTP_REDIS_URL": redis_url}
    with redis.Redis.from_url(redis_url, decode_responses=True) as store:
        yield Installation(environ, store, Keys(config.load(environ).shards), keyring.parse(raw))


class TestSync:
    """`optouts sync` and the store's registry."""

    def test_everybody_is_in_the_registry(self, shell: Shell, installation: Installation) -> None:
        """The second time nothing is news; somebody who opts out between the two is found."""
        for n in range(600):
            shell.server.carrier.optouts.add(Block(PROFILE, person(n), TOLL_FREE, "STOP", time.time() - 86_400))
        (first,) = ended(installation.sync())
        assert (first["messaging_profile_id"], first["changed"], first["skipped"]) == (PROFILE, 600, 0)
        assert all(installation.blocked(person(n)) for n in range(600))
        shell.reply(PERSON, "STOP")
        (second,) = installation.synced()
        assert second == {"messaging_profile_id": PROFILE, "read": 1, "changed": 1, "skipped": 0, "lifted": 0}
        assert installation.blocked(PERSON)

    def test_a_start_that_never_reached_us_is_made_up_for(self, shell: Shell, installation: Installation) -> None:
        """The person is on the carrier's list no more, and nobody else is lifted."""
        for n in range(300):
            shell.server.carrier.optouts.add(Block(PROFILE, person(n), TOLL_FREE, "STOP", time.time() - 86_400))
        installation.synced()
        shell.server.carrier.optouts.remove(PROFILE, person(7))
        (done,) = installation.synced()
        assert done["lifted"] == 1
        assert [n for n in range(300) if not installation.blocked(person(n))] == [7]

    def test_a_pass_that_is_killed_goes_on_where_it_was(self, shell: Shell, installation: Installation) -> None:
        """kill -9 in the middle: the next one reads the rest, and nobody is missing."""
        people = 5_000
        for n in range(people):
            shell.server.carrier.optouts.add(Block(PROFILE, person(n), TOLL_FREE, "STOP", time.time() - 86_400))
        cursor = installation.keys.sync_cursor(PROFILE)
        process = installation.sync()
        wait_until(lambda: 0 < int(str(installation.store.hget(cursor, "page") or 0)) < 16, 30, "the middle")
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        left = int(str(installation.store.hget(cursor, "page")))
        assert 0 < left < 16
        # The dead reader's lease would end by itself within a minute.
        installation.store.delete(installation.keys.sync_lease())
        (done,) = installation.synced()
        assert done["read"] <= (left + 1) * 250 < people
        missing = [n for n in range(people) if not installation.blocked(person(n))]
        assert missing == []

    def test_a_failure_of_the_carrier_is_reported(self, shell: Shell, installation: Installation) -> None:
        """The sentence is the carrier's problem, not a stack of ours."""
        installation.environ["TELNYX_API_KEY"] = "WRONG"
        assert "10009" in sentence(run("optouts", "sync", "--json", **installation.environ))

"""`doctor` beside real processes: none, all alike, one that differs in everything, and a worker that was stopped."""

import base64
import re
import secrets
import signal
from pathlib import Path

from otp_service import config, keyring
from otp_service.diagnosis.result import CheckResult
from otp_service.doctor import diagnose

from ...conftest import wait_until
from .site import Site

PUBLIC_KEY = base64.b64encode(bytes(range(32))).decode()


def findings(site: Site) -> dict[str, CheckResult]:
    """What the doctor says of processes."""
    found = {one.name: one for one in diagnose(config.load(site.env))}
    return {name: one for name, one in found.items() if "process" in name or name == "webhook signatures"}


def failures(site: Site) -> set[str]:
    """The names of what it does not like."""
    return {name for name, one in findings(site).items() if not one.ok}


def test_the_doctor_knows_who_runs(site: Site) -> None:
    """Each mistake has a line of its own that names the processes and what to do."""
    wait_until(lambda: failures(site) == {"worker processes"}, 60, "the API's record")
    assert "run: otp-service worker" in findings(site)["worker processes"].detail
    site.start("worker")
    wait_until(lambda: not failures(site), 60, "the worker's record")
    site.end("worker", signal.SIGTERM)
    # It may not have been able to say that it ended; then it is known for half a minute.
    wait_until(lambda: failures(site) == {"worker processes"}, 90, "the end of the worker's record")

    other = site.directory / "other.toml"
    other.write_text(Path(site.env["OTP_CONFIG"]).read_text() + '\n[apps.more]\nbrand = "M"\nroute = ["pool"]\n')
    ring = site.copy_of_the_ring()
    ring.write_bytes(keyring.rotate(ring.read_bytes(), secrets.token_bytes, "2026-02-01T00:00:00Z"))
    site.another_api(OTP_CONFIG=str(other), OTP_KEYRING=str(ring), TELNYX_PUBLIC_KEY=PUBLIC_KEY)
    wanted = {f"processes: {subject}" for subject in ("configuration", "keys", "webhook key")}
    wanted |= {"worker processes"}
    wait_until(lambda: failures(site) == wanted, 60, "the other API's record")
    said = findings(site)
    assert said["processes: configuration"].detail.startswith("apps: not the same everywhere")
    assert all("this command" in said[name].detail for name in wanted - {"worker processes"})
    every = list(diagnose(config.load(site.env)))
    assert PUBLIC_KEY not in str(every)
    assert site.env["TELNYX_API_KEY"] not in str(every)
    shown = [one.detail for one in every if one.name.startswith("api ") and " on " in one.name]
    assert len(shown) == 2
    assert all(fact in one for one in shown for fact in ("version", "configuration", "keyring"))
    assert all(re.search(r"clock [+-]\d\.\d s", one) for one in shown)

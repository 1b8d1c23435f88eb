"""The commands `sandbox`, `audit` and `doctor`."""

import base64
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import Dev, clean_environ

from .commands import beside, data, run, run_process, sentence

CHECKS = {
    *("configuration", "keyring", "webhook key", "public URL", "carrier's address", "store", "durability", "restarts"),
    *("keyring and store", "clock", "api processes", "worker processes", "processes", "webhook signatures", "memory"),
    *("circuits", "carrier", "sender pool", "sender backup"),
}
"""What the doctor looks at in every installation; the senders are those of dev."""


class TestSandbox:
    """The carrier alone."""

    def test_it_prints_its_address_and_public_key(self, tmp_path: Path) -> None:
        """The printed lines are the service's settings; the key belongs to the given seed; SIGTERM is exit 0."""
        seed = base64.b64encode(bytes(range(32))).decode()
        process = subprocess.Popen(
            [sys.executable, "-m", "otp_service", "sandbox", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environ(TELNYX_WEBHOOK_SIGNING_SEED=seed, TELNYX_API_KEY="KEYmine"),
            cwd=tmp_path,
        )
        assert process.stdout is not None
        printed = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
        assert printed["TELNYX_PUBLIC_KEY"] == "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
        request = urllib.request.Request(printed["TELNYX_BASE_URL"] + "/messages/none")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        refused.value.close()
        assert refused.value.code == 401
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0

    def test_what_it_cannot_start_with(self, dev: Dev) -> None:
        """A seed that is none, a port that is taken: one sentence each."""
        seed = "TELNYX_WEBHOOK_SIGNING_SEED"
        assert seed in sentence(run("sandbox", "--port", "0", **{seed: "short"}))
        assert f"{seed}_FILE" in sentence(run("sandbox", "--port", "0", **{f"{seed}_FILE": "/nonexistent"}))
        port = dev.sandbox_url.rpartition(":")[2]
        assert port in sentence(run("sandbox", "--port", port))


class TestAudit:
    """The audit log from a shell."""

    def test_tail_shows_what_happened(self, dev: Dev) -> None:
        """One JSON object a line, in order of time; people see the same events."""
        made = data(beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--json"))
        done = run_process("audit", "tail", "--json", "--since", "5m", **dev.env)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0
        assert [event["at"] for event in events] == sorted(event["at"] for event in events)
        assert any(event["detail"].get("key_id") == made["id"] for event in events)
        assert made["key"] not in done.stdout
        assert f"key_id={made['id']}" in beside(dev, "audit", "tail").stdout

    def test_follow_goes_on_until_ctrl_c(self, dev: Dev) -> None:
        """An event that comes after the first lines appears within seconds; Ctrl-C is exit 0."""
        create = ("keys", "create", "--app", "default", "--scope", "verify", "--json")
        before = data(beside(dev, *create))
        process = subprocess.Popen(
            [sys.executable, "-m", "otp_service", "audit", "tail", "--follow", "--json", "--since", "5m"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environ(**dev.env),
        )
        assert process.stdout is not None
        end = threading.Timer(90, process.kill)
        end.start()
        shown = (json.loads(line)["detail"].get("key_id") for line in process.stdout)
        assert before["id"] in shown
        made = data(beside(dev, *create))
        assert made["id"] in shown
        end.cancel()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")

    def test_a_duration_that_is_none(self, dev: Dev) -> None:
        """One sentence that names the option."""
        assert "--since" in sentence(beside(dev, "audit", "tail", "--since", "yesterday"))


class TestDoctor:
    """Is everything as it has to be?"""

    def test_it_is_content_beside_a_running_dev(self, dev: Dev) -> None:
        """Every check is made and passes, exit 0."""
        findings = data(run_process("doctor", "--json", **dev.env))
        assert all(finding["ok"] for finding in findings), findings
        assert {finding["name"] for finding in findings} >= CHECKS

    def test_it_says_what_is_wrong(self) -> None:
        """Without any setting: one line for each check, exit 1, no traceback."""
        done = run("doctor", OTP_REDIS_URL="redis://127.0.0.1:1/0")
        assert done.returncode == 1
        assert "FAIL  store" in done.stdout
        assert "Traceback" not in done.stderr

    def test_a_configuration_that_cannot_be_read_is_a_finding(self) -> None:
        """For programs too: JSON on stdout, not a sentence on stderr alone."""
        done = run("doctor", "--json", OTP_PUBLIC_URL="nowhere", OTP_SHARDS="none")
        (finding,) = json.loads(done.stdout)
        assert (done.returncode, finding["name"], finding["ok"]) == (1, "configuration", False)
        assert "OTP_PUBLIC_URL" in finding["detail"]
        assert "OTP_SHARDS" in finding["detail"]

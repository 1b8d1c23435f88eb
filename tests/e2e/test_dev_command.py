"""`otp-service dev` while it runs: a code reaches a phone, and only this user can read its secrets."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Dev, wait_until
from tests.documents.shell import install_curl

from .dev_command import PERSON, call, code_on_phone, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class TestWhileItRuns:
    """What a newcomer does with it."""

    def test_a_code_reaches_the_phone_and_approves(self, dev: Dev) -> None:
        """The main job works over real processes: started, read from the handset, approved, delivered."""
        begun = start(dev)
        code = code_on_phone(dev)
        status, answer = call(f"{dev.url}/verify/check", dev.env["OTP_API_KEY"], {"to": PERSON, "code": code})
        assert (status, answer["status"]) == (200, "approved")

        def delivered() -> bool:
            _, seen = call(f"{dev.url}/verify/{begun['verification_id']}", dev.env["OTP_API_KEY"])
            return bool(seen["deliveries"][0]["status"] == "delivered")

        wait_until(delivered, 60, "delivery through the signed webhook")

    def test_env_is_for_this_user_only_and_complete(self, dev: Dev) -> None:
        """DIR/env has mode 0600 and every name that the contract lists."""
        path = dev.directory / "env"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        names = {"OTP_URL", "OTP_API_KEY", "OTP_REDIS_URL", "SANDBOX_URL", "TELNYX_BASE_URL", "TELNYX_API_KEY"}
        names |= {"TELNYX_PUBLIC_KEY", "TELNYX_WEBHOOK_SIGNING_SEED"}
        assert names <= set(dev.env)
        assert dev.env["TELNYX_BASE_URL"] == dev.sandbox_url + "/v2"

    def test_a_shell_reads_env_as_a_program_does(self, dev: Dev) -> None:
        """Sourcing DIR/env gives the same values as splitting its lines at the first equals sign."""
        script = f'. "{dev.directory}/env"; for n in "$@"; do eval "printf \'%s\\n\' \\"\\$$n\\""; done'
        done = subprocess.run(["sh", "-c", script, "sh", *dev.env], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == list(dev.env.values())

    def test_the_printed_curl_works_as_pasted(self, own: Dev, tmp_path: Path) -> None:
        """The example of the welcome starts a verification. Nobody has to wait after DIR/env has appeared."""
        assert call(f"{own.url}/readyz")[0] == 200
        assert own.process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].rstrip().endswith("}'")):
            lines.append(own.process.stdout.readline())
        pasted = "".join(lines).partition("  . ")[2]
        environ = os.environ | {"PATH": f"{install_curl(tmp_path)}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-c", f". {pasted}"], capture_output=True, text=True, timeout=90, check=True, env=environ
        )
        assert json.loads(done.stdout)["status"] == "pending"

    def test_the_store_listens_on_no_port(self, dev: Dev) -> None:
        """The embedded store is reached through a socket in a directory that only this user can enter."""
        path = Path(dev.env["OTP_REDIS_URL"].removeprefix("unix://"))
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o700

    def test_the_logs_hold_neither_code_nor_key_nor_number_nor_traceback(self, own: Dev) -> None:
        """What is written down cannot be used by whoever reads it."""
        start(own)
        code = code_on_phone(own)
        call(f"{own.url}/verify/check", own.env["OTP_API_KEY"], {"to": PERSON, "code": code})
        call(f"{own.url}/verify/{PERSON}", own.env["OTP_API_KEY"])
        time.sleep(0.3)
        logs = own.logs
        secrets = ("OTP_API_KEY", "TELNYX_API_KEY", "TELNYX_WEBHOOK_SIGNING_SEED")
        assert logs
        for word in (PERSON, PERSON[1:], "Traceback", *(own.env[name] for name in secrets)):
            assert word not in logs
        assert not re.search(rf"\b{code}\b", logs)

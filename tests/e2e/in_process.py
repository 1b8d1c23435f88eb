"""Commands in this process, which is quicker than a process of their own."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from otp_service.cli import main


@dataclass
class Commands:
    """Runs commands and reads what they print."""

    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command: exit status, stdout, stderr."""
        self.capsys.readouterr()
        try:
            status = main.main(words)
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = self.capsys.readouterr()
        return status, out, err

    def shows(self, *words: str) -> str:
        """What a command that succeeds prints for people."""
        status, out, err = self.run(*words)
        assert (status, err) == (0, ""), err
        return out

    def data(self, *words: str) -> Any:
        """What a command that succeeds prints for programs."""
        return json.loads(self.shows(*words, "--json"))

    def refused(self, *words: str, status: int = 1) -> str:
        """The one sentence of a command that fails."""
        ended, out, err = self.run(*words)
        assert (ended, out) == (status, ""), (out, err)
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        return err

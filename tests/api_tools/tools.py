"""How each tool is run. All are given a file and say by their exit code whether they accept it."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

QUIET = {"NO_UPDATE_NOTIFIER": "1", "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
TIMEOUT_S = 120


@dataclass(frozen=True)
class Tools:
    """Where the tools are: a directory with `node_modules`, and a Python environment."""

    node: Path
    python: Path

    def commands(self, document: Path, out: Path) -> Mapping[str, list[list[str | Path]]]:
        """The commands of each tool on a file; `out` takes what they generate."""
        node, python = self.node / "node_modules" / ".bin", self.python / "bin"
        types, client = out / "types.d.ts", out / "client"
        return {
            "spectral": [[node / "spectral", "lint", document, "-r", self.node / "spectral.yaml", "-F", "warn"]],
            "redocly": [[node / "redocly", "lint", document, "--config", self.node / "redocly.yaml"]],
            "ajv": [["node", self.node / "ajv.mjs", document], [node / "validate-api", document]],
            "openapi-typescript": [
                [node / "openapi-typescript", document, "-o", types],
                [node / "tsc", "--strict", "--noEmit", "--lib", "es2022", types],
            ],
            "openapi-python-client": [
                [
                    *(python / "openapi-python-client", "generate", "--path", document, "--output-path", client),
                    *("--meta", "none", "--fail-on-warning", "--overwrite"),
                ],
                [python / "python", "-m", "compileall", "-q", client],
            ],
        }


def refusal(
    commands: list[list[str | Path]], environment: Mapping[str, str], directory: Path | None = None
) -> str | None:
    """What the first of the commands that fails has said; None if none does. They run in the directory."""
    for command in commands:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            cwd=directory,
            env={**environment, **QUIET},
        )
        if done.returncode:
            return f"{Path(command[0]).name}: {done.stdout}{done.stderr}"
    return None


def environment(tools: Tools) -> dict[str, str]:
    """Ours, with the tools' own Python first: its generator formats with the ruff beside it."""
    return {**os.environ, "PATH": f"{tools.python / 'bin'}{os.pathsep}{os.environ['PATH']}"}

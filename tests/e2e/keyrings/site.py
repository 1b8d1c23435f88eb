"""A cluster with further processes that have another keyring file or configuration."""

import json
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from otp_service.runtime import ports

from ...conftest import clean_environ, wait_until
from ..cluster import Cluster
from ..commands import run
from ..service_client import ServiceClient


class Site(Cluster):
    """The cluster, with further processes that have another keyring file or configuration."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.others: list[subprocess.Popen[str]] = []

    def command(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return run(*arguments, **{**self.env, **environ})

    def another(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start one more process."""
        with (self.directory / f"other-{len(self.others)}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "otp_service", *arguments],
                stdout=log,
                stderr=log,
                text=True,
                env=clean_environ(**{**self.env, **environ}),
            )
        self.others.append(process)
        return process

    def another_api(self, **environ: str) -> str:
        """One more API; its address, once it answers."""
        port = ports.free_port()
        self.another("serve", "--port", str(port), "--workers", "1", "--drain", "0s", **environ)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/healthz"), 60, "the other API")
        return url

    def copy_of_the_ring(self) -> Path:
        """A keyring file as another machine has it."""
        path = self.directory / f"ring-{secrets.token_hex(4)}.json"
        shutil.copy(self.env["OTP_KEYRING"], path)
        return path

    def rotate(self, *options: str) -> dict[str, Any]:
        """`keyring rotate` of the cluster's own file."""
        done = self.command("keyring", "rotate", self.env["OTP_KEYRING"], "--json", *options)
        assert done.returncode == 0, done.stderr
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    def close(self) -> None:
        """End everything."""
        for process in self.others:
            process.terminate()
        for process in self.others:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        super().close()


def answers(url: str) -> bool:
    """Whether it is 200."""
    try:
        return httpx.get(url, timeout=10, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def working(site: Site, service_client: ServiceClient) -> None:
    """Start a worker and see it work."""
    site.start("worker")
    service_client.started(number := service_client.number())
    assert service_client.code(number, 20)


def kids(url: str) -> list[str]:
    """The published keys."""
    answer = httpx.get(f"{url}/.well-known/jwks.json", timeout=30, trust_env=False)
    assert "max-age=300" in answer.headers["cache-control"]
    return [key["kid"] for key in answer.json()["keys"]]

"""Makes what must be secret, once: run by the `init` job of compose.yaml, before everything else.

Three directories, because three containers read them: SERVICE (the keyring, the store's URL with its password, the
sandbox's API key and public key), STORE (the store's password), SANDBOX (its API key, and what it signs webhooks with).
What exists is left as it is, so the job may run at every start.
"""

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path

from nacl.signing import SigningKey

SERVICE_USER = 10001
STORE_USER = 999  # `redis` in the official image


def write(path: Path, text: str, owner: int) -> None:
    """Write a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    give(path, owner)


def give(path: Path, owner: int) -> None:
    """Make the user its owner. Only root can do that; for others the owner is right already."""
    if os.geteuid() == 0:
        os.chown(path, owner, owner)


def make_sandbox_keys(service: Path, sandbox: Path) -> None:
    """One pair for both sides; only the sandbox can sign."""
    key, api_key = SigningKey.generate(), "KEY" + secrets.token_hex(24)
    for directory in (service, sandbox):
        for path in directory.glob("sandbox_*"):
            path.unlink()
        write(directory / "sandbox_api_key", api_key, SERVICE_USER)
    write(service / "sandbox_public_key", base64.b64encode(bytes(key.verify_key)).decode(), SERVICE_USER)
    write(sandbox / "sandbox_seed", base64.b64encode(bytes(key)).decode(), SERVICE_USER)


def main(service: Path, store: Path, sandbox: Path) -> None:
    """Fill the directories."""
    if not (service / "redis_url").exists():
        password = secrets.token_urlsafe(32)
        (store / "auth.conf").unlink(missing_ok=True)
        write(store / "auth.conf", f"requirepass {password}", STORE_USER)
        write(service / "redis_url", f"redis://:{password}@redis:6379/0", SERVICE_USER)
    if not (sandbox / "sandbox_seed").exists() or not (service / "sandbox_public_key").exists():
        make_sandbox_keys(service, sandbox)
    keyring = service / "keyring.json"
    if not keyring.exists():
        command = [sys.executable, "-m", "otp_service", "keyring", "create", str(keyring)]
        subprocess.run(command, check=True)
    give(keyring, SERVICE_USER)
    for directory, owner in ((service, SERVICE_USER), (store, STORE_USER), (sandbox, SERVICE_USER)):
        give(directory, owner)
        directory.chmod(0o700)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))

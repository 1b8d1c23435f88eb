"""Makes what must be secret, once: run by the `init` job of compose.yaml, before everything else.

Two directories, because two users read them: SERVICE (the keyring, the store's URL with its password, the sandbox's
keys) and STORE (the store's password). What exists is left as it is, so the job may run at every start.
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


def main(service: Path, store: Path) -> None:
    """Fill both directories."""
    if not (service / "redis_url").exists():
        password = secrets.token_urlsafe(32)
        (store / "auth.conf").unlink(missing_ok=True)
        write(store / "auth.conf", f"requirepass {password}", STORE_USER)
        write(service / "redis_url", f"redis://:{password}@redis:6379/0", SERVICE_USER)
    if not (service / "sandbox_public_key").exists():
        key = SigningKey.generate()
        for name in ("sandbox_api_key", "sandbox_seed"):
            (service / name).unlink(missing_ok=True)
        write(service / "sandbox_api_key", "KEY" + secrets.token_hex(24), SERVICE_USER)
        write(service / "sandbox_seed", base64.b64encode(bytes(key)).decode(), SERVICE_USER)
        write(service / "sandbox_public_key", base64.b64encode(bytes(key.verify_key)).decode(), SERVICE_USER)
    keyring = service / "keyring.json"
    if not keyring.exists():
        command = [sys.executable, "-m", "otp_service", "keyring", "create", str(keyring)]
        subprocess.run(command, check=True)
    give(keyring, SERVICE_USER)
    for directory, owner in ((service, SERVICE_USER), (store, STORE_USER)):
        give(directory, owner)
        directory.chmod(0o700)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

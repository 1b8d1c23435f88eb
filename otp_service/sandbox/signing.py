"""The signature of webhooks: Ed25519 over `timestamp|body`. A second, unpublished key signs forged webhooks."""

from __future__ import annotations

import base64
import time

from nacl.signing import SigningKey


class WebhookSigner:
    """Signs webhook bodies with the account's key, or with an unpublished key if forged."""

    def __init__(self, seed: bytes | None = None) -> None:
        if seed is not None and len(seed) != 32:
            raise ValueError(f"the signing seed must be 32 bytes, not {len(seed)}")
        self._key = SigningKey(seed) if seed is not None else SigningKey.generate()
        self._forger_key = SigningKey.generate()

    @property
    def seed_b64(self) -> str:
        """The private seed, base64. A test can sign webhooks with it."""
        return base64.b64encode(bytes(self._key)).decode()

    @property
    def public_key_b64(self) -> str:
        """The public key, base64, as Telnyx's portal shows it."""
        return base64.b64encode(bytes(self._key.verify_key)).decode()

    def headers(self, body: bytes, *, forged: bool = False) -> dict[str, str]:
        """The two signature headers for `body`, with the present time in seconds."""
        timestamp = str(int(time.time()))
        key = self._forger_key if forged else self._key
        signature = key.sign(timestamp.encode() + b"|" + body).signature
        return {
            "telnyx-timestamp": timestamp,
            "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
        }

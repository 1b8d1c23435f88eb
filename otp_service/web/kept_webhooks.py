"""Keeping what the carrier signed: with the record that a webhook causes goes the webhook itself, sealed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..domain.signed_webhook import SALT_BYTES, SIGNED_MAX, SignedWebhook
from ..storage.callers import caused_by
from ..telnyx.signatures import decode_signature, is_by


class KeepWebhooks:
    """Seals accepted webhooks. `seal` is for whoever has the keyring, `token_bytes` as in `secrets`."""

    def __init__(
        self, public_keys: Sequence[bytes], seal: Callable[[bytes], str], token_bytes: Callable[[int], bytes]
    ) -> None:
        self._public_keys = public_keys
        self._seal = seal
        self._token_bytes = token_bytes

    @contextmanager
    def keeping(self, timestamp: str, signature: str, body: bytes) -> Iterator[None]:
        """What is recorded within was caused by this webhook, whose signature is good."""
        webhook = self._read(signature, f"{timestamp}|".encode() + body)
        if webhook is None:
            yield
            return
        with caused_by(webhook.commitment, self._seal(webhook.packed())):
            yield

    def _read(self, signature: str, signed: bytes) -> SignedWebhook | None:
        raw = decode_signature(signature)
        if raw is None or len(signed) > SIGNED_MAX:
            return None
        by = (key for key in self._public_keys if is_by(key, raw, signed))
        key = self._public_keys[0] if len(self._public_keys) == 1 else next(by, None)
        return None if key is None else SignedWebhook(self._token_bytes(SALT_BYTES), key, raw, signed)

"""API keys for tests of the store."""

import secrets

from otp_service.storage.api_keys import ApiKeys

from .harness import StoreHarness


def keys_of(harness: StoreHarness) -> ApiKeys:
    """The API keys of this store, as one process knows them."""
    return ApiKeys(
        harness.store,
        harness.scripts,
        harness.keys,
        harness.audit,
        token_hex=secrets.token_hex,
        token_urlsafe=secrets.token_urlsafe,
    )

"""What the doctor says of API keys whose app is not in the configuration."""

from otp_service.diagnosis.api_keys import check_api_keys
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.policy import App, Policy
from otp_service.storage.api_keys import KeyInfo

POLICY = Policy(apps={"shop": App(name="shop", brand="Shop", route=())})
NOW_MS = 1_000


def key(key_id: str, app: str, expires_at_ms: int | None = None, revoked_at_ms: int | None = None) -> KeyInfo:
    """A key, made at 0."""
    return KeyInfo(key_id, app, ("verify",), 0, expires_at_ms, revoked_at_ms)


def test_keys_of_apps_that_are_there_are_well() -> None:
    """Neither revoked keys nor expired ones count."""
    keys = [key("a", "shop"), key("b", "gone", revoked_at_ms=1), key("c", "gone", expires_at_ms=NOW_MS)]
    [found] = check_api_keys(POLICY, lambda: keys, NOW_MS)
    assert (found.ok, found.detail) == (True, "each of 1 belongs to an app of the configuration")


def test_a_key_of_an_app_that_is_not_there_is_named() -> None:
    """At most five of them."""
    keys = [key(f"k{n}", "gone", expires_at_ms=NOW_MS + 1) for n in range(6)]
    [found] = check_api_keys(POLICY, lambda: [key("a", "shop"), *keys], NOW_MS)
    assert not found.ok
    assert "k0 of gone" in found.detail
    assert "k4 of gone and others;" in found.detail
    assert "keys revoke" in found.detail


def test_a_store_that_does_not_answer_is_a_result() -> None:
    """The doctor goes on."""

    def find() -> list[KeyInfo]:
        raise StoreUnavailable("The store does not answer.")

    [found] = check_api_keys(POLICY, find, NOW_MS)
    assert (found.ok, found.detail) == (False, "The store does not answer.")

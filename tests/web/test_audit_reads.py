"""Reading the record is on record: who read, with which filters, and nothing that a caller made up."""

import secrets
from typing import Any

from .conftest import ApiHarness


def reads(api: ApiHarness) -> list[dict[str, Any]]:
    """The filters of each reading that is on record, oldest first."""
    page = api.call("GET", "/audit/events?type=audit.read&limit=1000", key=api.key("other", "audit:all")).json
    return [event["detail"] for event in page["events"]]


def test_ever_new_values_are_one_event(api: ApiHarness) -> None:
    """A number in place of an id is in no event and in no key, and cannot fill the record."""
    reader = api.key("default", "audit:all")
    for line in range(50):
        number = f"%2B12025550{line:03d}"
        for name in ("verification", "delivery", "app"):
            assert api.call("GET", f"/audit/events?{name}={number}", key=reader).status == 200
        assert api.call("GET", f"/audit/events?number={number}&app={number}", key=reader).status == 200
        assert api.call("GET", f"/audit/events?verification=vrf_{secrets.token_hex(9)}", key=reader).status == 200
    assert reads(api)[:-1] == [
        {"verification": True},
        {"delivery": True},
        {"app": True},
        {"app": True, "number": True},
    ]
    store: Any = api.store
    whole = [key for key in store.scan_iter("*") if b"202555" in (key if isinstance(key, bytes) else key.encode())]
    for key in store.scan_iter("*:audit"):
        whole += [entry for entry in store.xrange(key) if "+1202" in str(entry) or "+12025" in str(entry)]
    assert whole == []


def test_what_is_known_is_named(api: ApiHarness) -> None:
    """An id in our form, an app of the configuration, each type once; each key by itself."""
    started = api.started(api.number())
    delivery = started.replace("vrf_", "dlv_") + "-1"
    for reader in (api.key("default", "audit:all"), api.key("default", "audit:read")):
        for query in (f"verification={started}", f"delivery={delivery}&app=other", "type=key.created&type=key.created"):
            for _ in range(2):
                assert api.call("GET", f"/audit/events?{query}", key=reader).status == 200
    shown = [{"verification": started}, {"delivery": delivery, "app": "other"}, {"type": ["key.created"]}]
    assert reads(api)[:-1] == shown * 2

"""How full the store is: in metrics, as a warning of the readiness, and as a finding of the doctor."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from otp_service import telemetry
from otp_service.bootstrap.memory import judge_memory, measure_memory
from otp_service.bootstrap.readiness import checks
from otp_service.bootstrap.stores import Stores, open_keyring, open_stores

from .conftest import ApiHarness

DAY_MS = 86_400_000


@pytest.fixture
def stores(api: ApiHarness) -> Stores:
    """The store of the service."""
    return open_stores(api.settings)


@pytest.fixture
def fill(api: ApiHarness) -> Iterator[Callable[[float], None]]:
    """Leaves the store as much room as makes it so full, 0 to 1."""

    def fill(ratio: float) -> None:
        used = api.store.info("memory")["used_memory"]
        api.store.config_set("maxmemory", int(used / ratio))

    yield fill
    api.store.config_set("maxmemory", 0)


def gauge(name: str) -> float:
    """What is measured."""
    value = telemetry.REGISTRY.get_sample_value(name)
    assert value is not None
    return value


def test_a_store_that_is_nearly_full_says_so(api: ApiHarness, stores: Stores, fill: Callable[[float], None]) -> None:
    """At 80 % of its maxmemory, everywhere."""
    warning = dict(checks(stores, open_keyring(api.settings)))["memory"]
    assert (judge_memory(api.settings, stores)[0], warning()) == (True, None)
    fill(0.9)
    measure_memory(api.settings, stores)
    assert 0.8 < gauge("otp_store_memory_ratio") <= 1
    fine, detail = judge_memory(api.settings, stores)
    assert not fine
    assert without_figures(detail) == without_figures(warning())


def without_figures(sentence: str | None) -> str:
    """The words of it. Each look measures anew, and the server uses a little more or less meanwhile."""
    assert sentence is not None
    words, figures = re.subn(r"\d+ ?(%|MB)", "#", sentence)
    assert figures
    return words


@pytest.mark.parametrize(("days", "fine"), [(10, False), (0, True)])
def test_growth_that_fills_the_store_before_events_go_is_found(
    api: ApiHarness, stores: Stores, fill: Callable[[float], None], days: int, fine: bool
) -> None:
    """Half full after ten days, and kept for thirty: full in ten. The first hours of a store say little."""
    seconds, _ = api.store.time()
    began_ms = seconds * 1000 - days * DAY_MS - 3_600_000
    api.store.xadd(stores.keys.audit(0), {"about": "x"}, id=f"{began_ms}-0")
    # Nobody reads it: the reply's buffer would count as memory, too.
    api.store.setrange("filling", 5_000_000, "x")
    fill(0.5)
    settings = replace(api.settings, audit_retention_ms=30 * DAY_MS)
    measure_memory(settings, stores)
    assert gauge("otp_store_days_left") < 30
    judged, detail = judge_memory(settings, stores)
    assert (judged, "before [audit] retention (30 days)" in detail) == (fine, True)

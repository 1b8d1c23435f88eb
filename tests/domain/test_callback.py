"""Callbacks as values: what is sent, when it is tried again, and which addresses are refused as they are written."""

import pytest

from otp_service.domain.audit import Event, Position
from otp_service.domain.callback import (
    GONE_PAUSE_MS,
    MAX_RETRY_AFTER_MS,
    RETRIES,
    Answer,
    Endpoint,
    GiveUp,
    RetryLater,
    callback_id,
    judge,
)
from otp_service.domain.receiver_url import is_public, objection

PUBLIC_NAME = "https://hooks.example.com/otp"


def test_the_id_is_the_events_own() -> None:
    """It is derived and not drawn, so an event that is read twice has one id."""
    event = Event(10, Position(1_790_000_000_000, 3), "verification.approved", {})
    assert callback_id(event) == "evt_0a-1790000000000-3"


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_only_2xx_is_success(status: int) -> None:
    """Whatever kind of 2xx."""
    assert judge(Answer(status), 1, 0.5) is None


@pytest.mark.parametrize("status", [0, 100, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    """A redirect and a refusal, too: the receiver may be put right meanwhile."""
    assert judge(Answer(status), 1, 0.0) == RetryLater(RETRIES.steps_ms[0])


def test_the_waits_grow_and_end() -> None:
    """One wait after each try, longer by up to a fifth, then a dead letter: eight tries in about nine hours."""
    for attempt, wait_ms in enumerate(RETRIES.steps_ms, 1):
        assert judge(Answer(500), attempt, 0.0) == RetryLater(wait_ms)
        late = judge(Answer(500), attempt, 0.999)
        assert isinstance(late, RetryLater)
        assert wait_ms < late.wait_ms < wait_ms * RETRIES.jitter[1]
    assert judge(Answer(500), len(RETRIES.steps_ms) + 1, 0.0) == GiveUp()
    assert list(RETRIES.steps_ms) == sorted(RETRIES.steps_ms)
    assert 8 * 3_600_000 < sum(RETRIES.steps_ms) < 10 * 3_600_000


def test_gone_counts_at_once() -> None:
    """410 ends this callback, and the endpoint is left alone for a while."""
    assert judge(Answer(410), 1, 0.0) == GiveUp(GONE_PAUSE_MS)


@pytest.mark.parametrize(
    ("status", "asked_s", "wait_ms", "pause_ms"),
    [
        (429, 60.0, 60_000, 60_000),
        (503, 60.0, 60_000, 60_000),
        (429, 1.0, 5_000, 1_000),
        (429, 0.0, 5_000, 0),
        (429, 10.0**9, MAX_RETRY_AFTER_MS, MAX_RETRY_AFTER_MS),
        (500, 60.0, 5_000, 0),
        (302, 60.0, 5_000, 0),
        (429, None, 5_000, 0),
    ],
)
def test_a_receiver_may_ask_for_a_later_retry(status: int, asked_s: float | None, wait_ms: int, pause_ms: int) -> None:
    """Retry-After counts where it means overload, within an hour, and never makes the waits shorter."""
    assert judge(Answer(status, "", asked_s), 1, 0.0) == RetryLater(wait_ms, pause_ms)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *(
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
        ),
        *("224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1"),
        *("fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001::1"),
        *("fec0::1", "100::1", "", "example.com", "127.1", "0x7f000001", "1.2.3.4.5", "2130706433"),
    ],
)
def test_what_is_not_public(address: str) -> None:
    """Loopback, private, link-local, shared, reserved, multicast, and what only carries another address."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1"])
def test_what_is_public(address: str) -> None:
    """Ordinary addresses of the internet."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        PUBLIC_NAME,
        "https://hooks.example.com",
        "https://hooks.example.com:443/x?token=a%20b",
        "https://hooks.example.com:8443/",
        "https://8.8.8.8/x",
        "https://[2606:4700:4700::1111]/x",
        "https://xn--bcher-kva.example/x",
    ],
)
def test_a_plain_address_may_be_tried(url: str) -> None:
    """https, a name or a public address, a usual port."""
    assert objection(url, allow_private=False) is None


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example.com/", "file:///etc/passwd", "gopher://hooks.example.com/", "ftp://hooks.example.com/"),
        *(
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://017700000001/",
            "https://2130706433/",
        ),
        *("https://0x7f.1/", "https://127.0.0.1./", "https://0177.0.0.1/", "https://1.2.3/", "https://0/"),
        *("https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[::ffff:8.8.8.8]/", "https://[fe80::1]/"),
        *("https://169.254.169.254/latest/", "https://100.64.0.1/", "https://10.0.0.1/", "https://192.168.0.1/"),
        *("https://localhost/", "https://LOCALHOST/", "https://a.localhost/", "https://redis/", "https://db.internal/"),
        *("https://printer.local/", "https://hooks.example.com:6379/", "https://hooks.example.com:80/"),
        *("https://hooks.example.com:0/", "https://hooks.example.com:99999/", "https://hooks.example.com:x/"),
        *("https://user@hooks.example.com/", "https://user:pw@hooks.example.com/", "https://@hooks.example.com/"),
        *("https://hooks.example.com/#x", "https://hooks.example.com#", "https://hooks.example.com\\@10.0.0.1/"),
        *("https://hooks.example.com /", "https://hooks.example.com/\n", "https://hooks.exämple.com/", "https:///x"),
        *("https://[::1", "hooks.example.com/x", "//hooks.example.com/x", "", "https://-.example.com/"),
        *("https://hooks..example.com/", "https://%31%32%37.0.0.1/", f"https://hooks.example.com/{'x' * 2048}"),
    ],
)
def test_what_is_refused_as_it_is_written(url: str) -> None:
    """Every odd spelling of an inner address, other schemes and ports, users, fragments, what is no URL at all."""
    assert objection(url, allow_private=False) is not None


def test_the_allowance_lets_a_closed_network_through() -> None:
    """http, loopback, inner names and any port; what is no plain URL stays refused."""
    for url in ("http://127.0.0.1:8123/x", "http://localhost:1/", "https://10.0.0.1:6379/", "http://receiver/"):
        assert objection(url, allow_private=True) is None
    for url in ("file:///etc/passwd", "http://user@127.0.0.1/", "http://127.0.0.1/#x", "http://127.0.0.1:0/", "x"):
        assert objection(url, allow_private=True) is not None


def test_an_endpoint_shows_its_host_only() -> None:
    """Path and query may hold a token, the secrets sign: none of them is in its repr."""
    endpoint = Endpoint("https://hooks.example.com/t0ken?key=hush", ("whsec_hush",))
    assert endpoint.host == "hooks.example.com"
    assert not any(word in repr(endpoint) for word in ("hush", "t0ken"))

"""Whether the carrier can reach us, and whether anything secret goes over plain http."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..config import Settings
from .result import CheckResult


def check_addresses(settings: Settings) -> Iterator[CheckResult]:
    """The public URL, and the carrier's address."""
    yield _judged("public URL", settings.public_url, _public_fault(settings))
    yield _judged("carrier's address", settings.telnyx_base_url, _carrier_fault(settings))


def _judged(name: str, url: str, fault: str | None) -> CheckResult:
    return CheckResult(name, fault is None, f"{url}: {fault}" if fault else url)


def _public_fault(settings: Settings) -> str | None:
    url = settings.public_url
    if not is_near(url):
        return "plain http: webhooks and callers would be readable on the way; use https" if _is_plain(url) else None
    if is_near(settings.telnyx_base_url):
        return None
    return "the carrier cannot reach it, so no delivery report would arrive; set OTP_PUBLIC_URL to an https address"


def _carrier_fault(settings: Settings) -> str | None:
    if _is_plain(settings.telnyx_base_url) and not is_near(settings.telnyx_base_url):
        return "plain http: the carrier's key and every code would be readable on the way; use https"
    return None


def _is_plain(url: str) -> bool:
    return urlsplit(url).scheme == "http"


def is_near(url: str) -> bool:
    """Whether the host is this machine or a private network: a loopback or private address, a name without a dot."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(".localhost")

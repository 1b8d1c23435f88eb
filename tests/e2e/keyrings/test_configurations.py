"""Processes of one service with different configurations."""

from pathlib import Path
from typing import Any

from ...conftest import wait_until
from ..service_client import ServiceClient, within
from .site import Site

SHORT = """
[senders.known]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
{more}
[apps.default]
brand = "Acme"
route = ["known"]
{apps}
"""
NEW_SENDER = """
[senders.new]
kind = "number_pool"
messaging_profile_id = "abc85f64-5717-4562-b3fc-2c9600000000"
"""
NEW_APPS = """
[apps.alone]
brand = "Acme"
route = ["new"]
code_ttl = "5s"
[apps.both]
brand = "Acme"
route = ["new", "known"]
"""


def test_a_sender_or_app_that_only_some_know(tmp_path: Path) -> None:
    """An old worker leaves them to others: the one who knows them delivers; where nobody comes, `expired` says why."""
    site = Site(tmp_path)
    service_client = ServiceClient(site.env)
    try:
        old, new = tmp_path / "old.toml", tmp_path / "new.toml"
        old.write_text(SHORT.format(more="", apps=""))
        new.write_text(SHORT.format(more=NEW_SENDER, apps=NEW_APPS))
        site.env["OTP_CONFIG"] = str(new)
        for name in ("sandbox", "api"):
            site.start(name)
        site.ready()
        site.another("worker", "--processes", "1", OTP_CONFIG=str(old))
        wait_until(lambda: "worker started" in (tmp_path / "other-0.log").read_text(), 60, "the old worker")
        lost = service_client.started(service_client.number(), "alone")
        kept = service_client.started(number := service_client.number(), "both")
        ended = within(60, lambda: _ended(service_client, lost), "the end")
        assert ended["status"] == "expired"
        assert "app alone" in ended["error"]["title"]
        # The old worker takes it up and leaves it again.
        within(60, lambda: service_client.deliveries(kept, "both") == ["queued"], "the delivery that is left to others")
        site.start("worker")
        assert service_client.code(number, 60)
        # The phone has it before the service has read the carrier's answer.
        within(60, lambda: service_client.deliveries(kept, "both")[0] in ("sent", "delivered"), "the answer")
    finally:
        service_client.close()
        site.close()


def _ended(service_client: ServiceClient, verification: str) -> dict[str, Any] | None:
    (delivery,) = service_client.show(verification, "alone")["deliveries"]
    return dict(delivery) if delivery["status"] not in ("queued", "sending") else None

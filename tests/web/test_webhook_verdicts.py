"""What a process tells the doctor of the carrier's signatures: whether any was good lately."""

import base64
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

from nacl.signing import SigningKey

from otp_service.bootstrap.fleet import named_webhook_keys
from otp_service.bootstrap.stores import open_keyring, open_stores
from otp_service.bootstrap.web import WebParts, flask_app
from otp_service.domain.fleet import API, ProcessRecord, webhook_verdicts
from otp_service.telnyx.signatures import Verdict
from otp_service.web.webhook_verdicts import PERIOD_S, WebhookVerdicts

from .conftest import ApiHarness


def test_good_and_bad_signatures_are_counted(api: ApiHarness) -> None:
    """As they came in by requests; those without a signature say nothing of the key."""
    parts = WebParts(api.settings, open_stores(api.settings), open_keyring(api.settings))
    beside = replace(api, app=flask_app(parts, parts.watch(threading.Event().wait)))
    event = {"data": {"id": "evt-1", "event_type": "unknown", "record_type": "event", "payload": {}}}
    forged = {"Telnyx-Timestamp": "1", "Telnyx-Signature-Ed25519": "A" * 86 + "=="}
    assert beside.hook(event).status == 200
    for headers in (forged, forged, {}):
        assert beside.call("POST", "/webhooks/telnyx", json.dumps(event), key=None, headers=headers).status == 401
    facts = parts.webhook_facts()
    assert facts == {
        "webhook_keys": named_webhook_keys(api.settings),
        "webhooks_good": 1,
        "webhooks_stale": 0,
        "webhooks_refused": 2,
    }
    assert facts["webhook_keys"]


def test_what_is_long_ago_does_not_count() -> None:
    """The period and the one before. A good signature of another time is told apart."""
    now = 1_000.0 * PERIOD_S
    verdicts = WebhookVerdicts(lambda: now)
    for verdict in (Verdict.OK, Verdict.STALE, Verdict.BAD_SIGNATURE, Verdict.MISSING, Verdict.MALFORMED):
        verdicts.count(verdict)
    now += PERIOD_S
    assert verdicts.lately() == (1, 1, 1)
    verdicts.count(Verdict.BAD_SIGNATURE)
    now += PERIOD_S
    assert verdicts.lately() == (0, 0, 1)
    verdicts.count(Verdict.OK)
    assert verdicts.lately() == (1, 0, 1)


def test_the_clock_of_the_store_judges_the_age_of_webhooks(api: ApiHarness) -> None:
    """Every genuine report would be refused where this machine's own clock is wrong."""
    keyring = open_keyring(api.settings)
    parts = WebParts(api.settings, open_stores(api.settings), keyring)
    beside = replace(api, app=flask_app(parts, parts.watch(threading.Event().wait)))
    event = {"data": {"id": "evt-1", "event_type": "unknown", "record_type": "event", "payload": {}}}
    keyring.set_clock(int(time.time() * 1000) + 3_600_000)
    assert beside.hook(event).status == 400
    assert parts.webhook_facts()["webhooks_stale"] == 1
    keyring.set_clock(int(time.time() * 1000))
    assert beside.hook(event).status == 200


def test_signatures_of_another_time_are_a_wrong_clock() -> None:
    """And no wrong key; one good one of now ends the suspicion."""
    process = ProcessRecord(role=API, host="h", pid=1, version="1", keyring="k", key_ids=("a",), webhooks_stale=3)
    (found,) = webhook_verdicts([process])
    assert (found.subject, "3 had a good signature of another time" in found.detail) == ("webhook clock", True)
    assert list(webhook_verdicts([process, replace(process, webhooks_good=1)])) == []
    (wrong_key,) = webhook_verdicts([replace(process, webhooks_stale=0, webhooks_refused=2)])
    assert wrong_key.subject == "webhook signatures"


def test_both_keys_are_believed_while_the_carriers_key_changes(api: ApiHarness, tmp_path: Path) -> None:
    """As the variable has them, with a blank between them."""
    other = SigningKey.generate()
    both = " ".join(base64.b64encode(bytes(seed.verify_key)).decode() for seed in (api.seed, other))
    settings = replace(api.settings, telnyx_public_key=both)
    parts = WebParts(settings, open_stores(settings), open_keyring(settings))
    beside = replace(api, app=flask_app(parts, parts.watch(threading.Event().wait)))
    event = {"data": {"id": "evt-1", "event_type": "unknown", "record_type": "event", "payload": {}}}
    for seed, status in ((api.seed, 200), (other, 200), (SigningKey.generate(), 401)):
        assert replace(beside, seed=seed).hook(event).status == status

"""Checking and redeeming: the reply, and every refusal of the contract with its status and members."""

from typing import Any

import pytest

from otp_service.storage.schema.encodings import RecordFacts
from otp_service.storage.schema.fields import Record

from ..conftest import wait_until
from .conftest import ApiHarness
from .request_examples import UNKNOWN_ID


def until_expired(api: ApiHarness, verification_id: str) -> None:
    """Wait for the end of a code that lives one second."""
    wait_until(
        lambda: api.call("GET", f"/verify/{verification_id}", key="brief").json["status"] != "pending", what="the end"
    )


def test_a_right_code_is_the_only_2xx(api: ApiHarness) -> None:
    """200 with status, time and receipt; at once again, and ever after, it is 410 already_approved."""
    number = api.number()
    verification = api.started(number)
    code = api.code(verification)
    approved = api.check(verification, code)
    assert approved.status == 200
    members = ["verification_id", "status", "approved_at", "to", "purpose", "channel", "sub", "receipt"]
    assert list(approved.json) == members
    assert approved.json["status"] == "approved"
    assert approved.header("Cache-Control") == "no-store"
    for guess in (code, "000000", "0000"):
        api.check(verification, guess).problem(410, "already_approved")
        by_number = api.call("POST", "/verify/check", {"to": number, "code": guess})
        by_number.problem(410, "already_approved")


def test_a_code_whose_key_is_gone_is_no_wrong_code(api: ApiHarness) -> None:
    """503 with a reason of its own, without the key's id; no guess is counted, and with the key it is approved."""
    verification = api.started(api.number())
    code = api.code(verification)
    (record,) = api.store.scan_iter(match=f"*:verification:{verification.removeprefix('vrf_')}")
    facts: Any = api.store.hget(record, Record.FACTS)
    *rest, _ = RecordFacts.parse(facts.decode())
    api.store.hset(record, Record.FACTS, RecordFacts.pack(*rest, "kffffffff"))
    for _ in range(6):
        found = api.check(verification, code)
        detail = found.problem(503, "not_ready")["detail"]
        assert "`otp-service keyring status`" in detail
        assert "readyz" not in detail
        assert b"ffffffff" not in found.body
    api.store.hset(record, Record.FACTS, facts)
    assert api.check(verification, code).status == 200


def test_wrong_codes_count_down_to_the_end(api: ApiHarness) -> None:
    """422 with the tries left four times, then 410 for the fifth and for everything after it, the right code too."""
    verification = api.started(api.number())
    right, wrong = api.code(verification), api.wrong(verification)
    for left in (4, 3, 2, 1):
        assert api.check(verification, wrong).problem(422, "code_incorrect")["checks_left"] == left
    api.check(verification, wrong).problem(410, "attempts_exhausted")
    for guess in (right, wrong):
        api.check(verification, guess).problem(410, "attempts_exhausted")
    assert api.call("GET", f"/verify/{verification}").json["status"] == "exhausted"


def test_a_wrong_context_is_a_wrong_code(api: ApiHarness) -> None:
    """422 and one try less for a missing, another or an additional context; only the canonical same one passes."""
    context = {"amount": "10", "payee": "X"}
    verification = api.started(api.number(), context=context)
    code = api.code(verification)
    others: list[dict[str, str]] = [{}, {"amount": "10.00", "payee": "X"}, {**context, "z": ""}]
    for left, other in zip((4, 3, 2), others, strict=True):
        assert api.check(verification, code, context=other).problem(422, "code_incorrect")["checks_left"] == left
    assert api.check(verification, code, context=dict(reversed(context.items()))).status == 200


def test_how_a_verification_ended_is_shown(api: ApiHarness) -> None:
    """Canceled and expired verifications say so by id and by number; a second cancel as well."""
    number = api.number()
    verification = api.started(number)
    code = api.code(verification)
    canceled = api.call("POST", f"/verify/{verification}/cancel")
    assert (canceled.status, canceled.json["status"]) == (200, "canceled")
    assert canceled.json["resend_in"] is None
    api.call("POST", f"/verify/{verification}/cancel").problem(410, "verification_canceled")
    api.check(verification, code).problem(410, "verification_canceled")
    brief_number = api.number()
    brief = api.started(brief_number, "brief")
    until_expired(api, brief)
    # Whatever is given: the right code may be gone from the store before a busy machine has read it.
    api.check(brief, code, "brief").problem(410, "verification_expired")
    body = {"to": brief_number, "code": code}
    api.call("POST", "/verify/check", body, key="brief").problem(410, "verification_expired")
    api.call("POST", f"/verify/{brief}/cancel", key="brief").problem(410, "verification_expired")


def test_a_new_start_after_an_end_is_a_new_verification(api: ApiHarness) -> None:
    """After approval the number starts anew with 201, another id and another budget; the old id stays approved."""
    number = api.number()
    first = api.started(number)
    api.check(first, api.wrong(first)).problem(422, "code_incorrect")
    assert api.check(first, api.code(first)).status == 200
    second = api.start(number)
    assert second.status == 201
    assert second.json["verification_id"] != first
    assert second.json["checks_left"] == 5
    api.check(first, "000000").problem(410, "already_approved")


def test_what_never_existed_is_404(api: ApiHarness) -> None:
    """404 verification_not_found by id, by number, on reading and on canceling, whatever the id looks like."""
    for name in (UNKNOWN_ID, "vrf_", "x", "vrf_" + "A" * 32, "vrf_" + "1" * 32, "%00", "%F0%9F%98%80", "a" * 3000):
        api.call("GET", f"/verify/{name}").problem(404, "verification_not_found")
        api.call("POST", f"/verify/{name}/cancel").problem(404, "verification_not_found")
    api.check(UNKNOWN_ID, "123456").problem(404, "verification_not_found")
    api.check("\u0000", "123456").problem(404, "verification_not_found")
    body = {"to": api.number(), "code": "123456"}
    api.call("POST", "/verify/check", body).problem(404, "verification_not_found")


@pytest.mark.parametrize(
    "code",
    [
        " 123456",
        "123456 ",
        "123 456",
        "123-456",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "\U0001d7ce" * 6,
        "\u00b9\u00b2\u00b3456",
        "123456\n",
        "\n123456",
        "123456\u0000",
        "123\u200b456",
        "+123456",
        "1e5555",
        "0x1234",
        "123",
        "12345678901",
        "",
    ],
)
def test_a_code_has_one_spelling(api: ApiHarness, code: str) -> None:
    """Anything but 4 to 10 ASCII digits is 400 with a pointer and costs no try."""
    verification = api.started(api.number())
    problem = api.check(verification, code).problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/code"
    assert api.call("GET", f"/verify/{verification}").json["checks_left"] == 5


def test_digits_of_another_length_cost_a_try(api: ApiHarness) -> None:
    """4 to 10 digits that are not the code's length are a wrong code, not a mistake in form."""
    verification = api.started(api.number())
    for left, guess in ((4, "1234"), (3, "1234567890")):
        assert api.check(verification, guess).problem(422, "code_incorrect")["checks_left"] == left


def test_receipts_are_spent_once(api: ApiHarness) -> None:
    """200, then 410 receipt_spent; what is no receipt of this app is 422 receipt_invalid and spends nothing."""
    verification = api.started(api.number())
    receipt = api.check(verification, api.code(verification)).json["receipt"]
    header, payload, signature = receipt.split(".")
    forged = [
        "x",
        "a.b.c",
        f"{header}.{payload}.{'A' * len(signature)}",
        f"{header}.{payload}.",
        f"{header}.{payload[:-2]}{'AA' if payload[-2:] != 'AA' else 'BB'}.{signature}",
        f"eyJhbGciOiJub25lIn0.{payload}.",
        receipt + "=",
        receipt + "\n",
        "\ufeff" + receipt,
        "." * 2000,
    ]
    for text in forged:
        api.call("POST", "/receipts/redeem", {"receipt": text}).problem(422, "receipt_invalid")
    api.call("POST", "/receipts/redeem", {"receipt": receipt}, key="other").problem(422, "receipt_invalid")
    spent = api.call("POST", "/receipts/redeem", {"receipt": receipt})
    assert spent.status == 200
    assert set(spent.json) == {"verification_id", "redeemed_at", "to", "purpose", "sub"}
    api.call("POST", "/receipts/redeem", {"receipt": receipt}).problem(410, "receipt_spent")

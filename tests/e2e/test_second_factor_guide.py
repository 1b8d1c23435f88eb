"""The program of the guide, run against the service: a person enrols, logs in by every factor, and loses the phone."""

import base64
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient

from ..conftest import Dev
from ..documents.reading import DOCS, blocks
from .service_client import ServiceClient, within
from .test_secrets import everything_in

FACTORS = ("verify", "factors")


@pytest.fixture
def program(
    service_client: ServiceClient, shared_dev: Dev, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The names of the guide's program, as it is printed."""
    (block,) = blocks(DOCS / "second-factor.md", "python")
    monkeypatch.setenv("OTP_URL", shared_dev.url)
    monkeypatch.setenv("OTP_API_KEY", service_client.key("again", *FACTORS))
    monkeypatch.setenv("ANNS_PHONE", service_client.number())
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile(block.text, "second-factor.md", "exec"), names)
    yield names
    names["otp"].close()


def logged_in(app: Flask) -> FlaskClient:
    """A browser after the password."""
    browser = app.test_client()
    assert browser.post("/login", data={"name": "ann", "password": "wrong"}).status_code == 401
    assert browser.post("/login", data={"name": "ann", "password": "correct horse"}).status_code == 200
    assert browser.get("/factors").status_code == 401  # the password alone is no login
    return browser


def refusal(browser: FlaskClient) -> Any:
    """The refusal of a code by SMS; None if it was sent."""
    answer = browser.post("/login/sms")
    return answer.get_json() if answer.status_code == 403 else None


def test_a_phone_is_lost_and_the_person_recovers(
    program: dict[str, Any], service_client: ServiceClient, shared_dev: Dev
) -> None:
    """Log in by SMS, by app, by recovery code; then nothing of the old phone opens the account.

    Neither the secret nor a recovery code can be found in logs, store, metrics or the audit record afterwards.
    """
    app, accounts = program["app"], program["accounts"]
    old = accounts["ann"]["phone"]
    # Masks show the last four digits, by which this test tells the two numbers apart.
    new = next(number for number in iter(service_client.number, "") if number[-4:] != old[-4:])
    browser = logged_in(app)
    assert browser.post("/login/sms").status_code == 201
    assert browser.post("/login/code", data={"code": service_client.code(old)}).get_json()["user"] == "ann"
    # A session of an hour ago changes nothing before a code was typed again.
    with browser.session_transaction() as session:
        typed, session["at"] = session["at"], session["at"] - 3600
    assert browser.post("/factors/app", data={"label": "Phone"}).status_code == 403
    assert browser.post("/factors/recovery-codes").status_code == 403
    assert browser.delete("/factors/fac_1").status_code == 403
    with browser.session_transaction() as session:
        session["at"] = typed
    made = browser.post("/factors/app", data={"label": "Phone"}).get_json()
    phone = pyotp.TOTP(made["secret"])
    with service_client.store() as store:
        moment: Any = store.time()
    path = f"/factors/app/{made['factor_id']}/confirm"
    assert browser.post(path, data={"code": phone.at(moment[0])}).get_json()["status"] == "active"
    codes = browser.post("/factors/recovery-codes").get_json()["codes"]
    browser = logged_in(app)
    assert browser.post("/login/code", data={"code": phone.at(moment[0] + 30)}).status_code == 200
    assert browser.get("/factors").get_json()["factors"][1]["label"] == "Phone"
    # The phone is lost: a recovery code, another one as the proof for the new number.
    browser = logged_in(app)
    wrong = codes[0][:-1] + ("A" if codes[0][-1] != "A" else "B")
    assert browser.post("/login/code", data={"code": wrong}).status_code == 400
    assert browser.post("/login/code", data={"code": codes[0].lower()}).status_code == 200
    assert browser.post("/factors/phone", data={"number": new, "code": codes[0]}).status_code == 410
    assert browser.post("/factors/phone", data={"number": new, "code": codes[1]}).status_code == 201
    confirmed = browser.post("/factors/phone/confirm", data={"number": old, "code": service_client.code(new)})
    assert confirmed.status_code == 200, confirmed.data
    assert accounts["ann"]["phone"] == new
    # A code that is typed again renews a session, too.
    assert browser.post("/login/code", data={"code": codes[2]}).get_json()["user"] == "ann"
    kept = [one for one in browser.get("/factors").get_json()["factors"] if one["kind"] != "recovery_code"]
    for one in kept:
        if one["kind"] == "totp" or one["to"][-4:] == old[-4:]:
            assert browser.delete(f"/factors/{one['factor_id']}").status_code == 204
    # Whoever has the old phone is told of both changes.
    within(60, lambda: len(service_client.inbox(old)) == 3, "the notices to the old number")
    texts = " ".join(message["text"] for message in service_client.inbox(old))
    assert "another phone number was added" in texts
    assert "this phone number was removed" in texts
    browser = logged_in(app)
    assert browser.post("/login/code", data={"code": phone.at(moment[0] + 60)}).status_code == 404
    assert browser.post("/login/sms").status_code == 201
    within(60, lambda: len(service_client.inbox(new)) == 2, "the second SMS")
    assert browser.post("/login/code", data={"code": service_client.code(new)}).status_code == 200
    # Messages are not wanted any more: the refusal names the other ways.
    service_client.reply(new, "STOP")
    browser = logged_in(app)
    refused = within(60, lambda: refusal(browser), "the opt-out")
    assert refused["alternatives"] == [{"kind": "recovery_code", "codes_left": 7}]
    for number, code in enumerate(codes[3:], 1):
        browser = logged_in(app)
        answer = browser.post("/login/code", data={"code": code}).get_json()
        assert bool(answer["warning"]) is (7 - number <= 3)
    with service_client.store() as store:
        kept_text = "\n".join(everything_in(store))
    page = service_client.call("GET", "/audit/events?limit=1000", app="again").text
    metrics = service_client.call("GET", "/metrics").text
    hidden = [made["secret"], *codes, *(one.replace("-", "") for one in codes), old, new]
    for place in (shared_dev.logs, kept_text, page, metrics):
        assert len(place) > 1000
        assert not [one for one in hidden if one in place or base64.b32decode(made["secret"]).hex() in place]

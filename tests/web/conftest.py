"""The HTTP edge over a real store, without sockets: one request in, one answer out, as any server would pass it on.

No worker and no carrier run here. A test that needs to know a code opens the sealed box as the worker would.
"""

import base64
import itertools
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
import redis
from flask import Flask
from nacl.signing import SigningKey
from werkzeug.test import run_wsgi_app

from otp_service import bootstrap, config, keyring
from otp_service.config import Settings
from otp_service.domain.ids import Reference
from otp_service.storage import audit_log
from otp_service.storage.api_keys import SCOPES, ApiKeys
from otp_service.storage.pieces import joined, unpack_sealed
from otp_service.usecases import sealed_box
from otp_service.web.wsgi import PATH_AS_SENT

from ..patience import be_patient, patience
from .limit_settings import LIMITS

PROFILE = "abc85f64-5717-4562-b3fc-2c9600000000"
OTHER_PROFILE = "0c0ffee0-5717-4562-b3fc-2c9600000000"
PUBLIC_URL = "http://otp.test"

CONFIG = f"""\
[senders.pool]
kind = "number_pool"
messaging_profile_id = "{PROFILE}"

[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "{PROFILE}"

[senders.name]
kind = "alphanumeric"
from = "ACME"
messaging_profile_id = "{OTHER_PROFILE}"

[apps.default]
brand = "Acme"
route = ["pool", "backup"]

[apps.other]
brand = "Other"
route = ["pool"]

[apps.brief]
brand = "Brief"
route = ["pool"]
code_ttl = "1s"

[apps.strict]
brand = "Strict"
route = ["pool", "backup"]
wrong_codes_per_number = [{{limit = 2, per = "1h"}}]
starts_per_number = [{{limit = 2, per = "1h"}}]
resend_after = ["0s", "0s", "0s"]

[apps.capped]
brand = "Capped"
route = ["pool"]
starts_per_app = [{{limit = 1, per = "1h"}}]

[apps.address]
brand = "Address"
route = ["pool"]
starts_per_client_ip = [{{limit = 1, per = "1h"}}]

[apps.twice]
brand = "Twice"
route = ["pool"]
resend_after = ["0s"]

[apps.abroad]
brand = "Abroad"
route = ["name"]
countries = ["*"]

[apps.careful]
brand = "Careful"
route = ["pool"]

[apps.careful.factors]
pay = ["sms", "totp"]
sms_only = ["sms"]
approve = {{kinds = ["totp"], acr = "urn:example:app"}}
order = {{kinds = ["sms", "totp"], acr = "urn:example:any"}}

[apps.reviewed]
brand = "Reviewed"
route = ["name"]
countries = ["DE"]
wrong_codes_per_number = [{{limit = 6, per = "1h"}}]
resend_after = ["0s"]

[[apps.reviewed.test_numbers]]
number = "+13125550100"
code = "424242"

[[apps.reviewed.test_numbers]]
number = "+13125551234"
code = "171717"
real = true

[apps.backed]
brand = "Backed"
route = ["backup", "name"]

[apps.everywhere]
brand = "Everywhere"
route = ["pool"]
countries = ["*"]

[apps.support]
brand = "Support"
route = ["pool"]
countries = ["US+territories", "GB+crown"]
number_types = ["mobile", "toll_free"]
"""


# Else wrong codes of one test would make the codes of later tests harder; tests/web/test_guessing watches by itself.
APPS = re.findall(r"^\[apps\.(\w+)\]$", CONFIG + LIMITS, re.MULTILINE)
UNWATCHED = "".join(f'\n[apps.{name}.guessing]\nmode = "off"\n' for name in APPS)


@dataclass(frozen=True)
class Answer:
    """The response, as it would be sent."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The header's value; the same header twice is a mistake."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} stands twice"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The problem document, after everything that every problem promises has been looked at."""
        assert self.status == status, (self.status, self.body)
        document: dict[str, Any] = self.json
        assert document["code"] == code, document
        assert self.header("Content-Type") == "application/problem+json"
        assert document["status"] == status
        assert document["type"] == f"{PUBLIC_URL}/docs#{code}"
        assert document["instance"] == self.header("X-Request-Id")
        assert all(isinstance(document[name], str) and document[name] for name in ("title", "detail"))
        assert self.header("Cache-Control") == "no-store"
        if code == "invalid_request":
            assert document["errors"]
            assert all(set(error) == {"pointer", "detail"} for error in document["errors"])
        if status in (429, 503):
            assert int(self.header("Retry-After") or 0) >= 1
        if status == 401:
            assert self.header("WWW-Authenticate") == "Bearer" or document["detail"].startswith("The headers telnyx")
        return document


@dataclass
class ApiHarness:
    """A built service and everything a test needs to look behind it."""

    app: Flask
    settings: Settings
    vault: keyring.Keyring
    seed: SigningKey
    store: "redis.Redis"
    api_keys: ApiKeys | None = None
    """Over the same store; opened where it is needed, if none is given."""
    _keys: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def number(self) -> str:
        """A telephone number that no other test has."""
        return f"+1202555{next(self._numbers):04d}"

    def guarded_number(self) -> str:
        """Another such number, which the pumping guard does not leave alone with a sandbox."""
        return f"+1202330{next(self._numbers):04d}"

    def key(self, app: str = "default", *scopes: str) -> str:
        """An API key of the app, with all scopes unless some are named."""
        wanted = scopes or SCOPES
        if (app, wanted) not in self._keys:
            self.api_keys = self.api_keys or bootstrap.build_api_keys(self.settings)
            self._keys[app, wanted] = self.api_keys.create(app, wanted, None).key
        return self._keys[app, wanted]

    def call(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        key: str | None = "default",
        headers: Mapping[str, str] | None = None,
        peer: str = "127.0.0.1",
        chunked: bool = False,
    ) -> Answer:
        """One request. `target` is the raw path and query; bytes go as they are, anything else as JSON.

        `key` is an API key, or the name of an app whose key has every scope; None sends none.
        """
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            named["Authorization"] = f"Bearer {key if '_' in key else self.key(key)}"
        environ = self._environ(method, target, raw, {**named, **(headers or {})}, peer, chunked=chunked)
        chunks, status, answered = run_wsgi_app(self.app, environ)
        answer = Answer(int(status.split()[0]), list(answered), b"".join(chunks))
        self._inspect(method, answer)
        return answer

    def _environ(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str], peer: str, *, chunked: bool
    ) -> dict[str, Any]:
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            PATH_AS_SENT: path,
            "QUERY_STRING": query,
            "SERVER_NAME": "otp.test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": peer,
            "HTTP_HOST": "otp.test",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if chunked:
            environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        else:
            environ["CONTENT_LENGTH"] = str(len(body))
        for name, value in headers.items():
            bare = name.upper().replace("-", "_")
            environ[bare if bare in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{bare}"] = value
        return environ

    def _inspect(self, method: str, answer: Answer) -> None:
        # What holds for every answer whatsoever.
        assert answer.status < 500 or answer.status in (501, 503), (answer.status, answer.body)
        assert (answer.header("X-Request-Id") or "").startswith("req_")
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert b"Traceback" not in answer.body
        if answer.status >= 400 and method != "HEAD":
            assert answer.header("Content-Type") == "application/problem+json", answer.body

    # ---- shortcuts for tests ------------------------------------------------------------------------------------

    def start(self, to: str, app: str = "default", /, **members: object) -> Answer:
        """POST /verify/start."""
        return self.call("POST", "/verify/start", {"to": to, **members}, key=app)

    def started(self, to: str, app: str = "default", /, **members: object) -> str:
        """A new verification's id."""
        answer = self.start(to, app, **members)
        assert answer.status == 201, answer.body
        return str(answer.json["verification_id"])

    def check(self, verification_id: str, code: str, app: str = "default", /, **members: object) -> Answer:
        """POST /verify/check by id."""
        body = {"verification_id": verification_id, "code": code, **members}
        return self.call("POST", "/verify/check", body, key=app)

    def code(self, verification_id: str) -> str:
        """The code of a pending verification, out of the box that only the worker opens."""
        for name in self.store.scan_iter(match=f"*:secrets:{verification_id.removeprefix('vrf_')}"):
            found: Any = self.store.hgetall(name)
            kept = {field.decode(): value.decode("utf-8", "surrogateescape") for field, value in found.items()}
            box = unpack_sealed(joined(kept, "box") or b"")
            return sealed_box.unpack(Reference(verification_id.removeprefix("vrf_"), ""), self.vault.open(box)).code
        raise AssertionError("the verification has no code any more")

    def wrong(self, verification_id: str) -> str:
        """A code that is not the verification's."""
        return f"{(int(self.code(verification_id)) + 1) % 10**6:06d}"

    def opt_out(self, number: str, profile: str = PROFILE, text: str = "STOP") -> None:
        """The person answers the profile's number, and the carrier sends the webhook."""
        event = {
            "id": f"evt-{secrets.token_hex(8)}",
            "event_type": "message.received",
            "occurred_at": "2026-01-31T12:00:00Z" if text == "STOP" else "2026-02-01T12:00:00Z",
            "payload": {
                "id": f"msg-{secrets.token_hex(8)}",
                "from": {"phone_number": number},
                "to": [{"phone_number": "+18445550001"}],
                "messaging_profile_id": profile,
                "text": text,
                "autoresponse_type": text,
            },
        }
        assert self.hook({"data": event}).status == 200

    def hook(self, body: object, path: str = "", *, at: float | None = None, **headers: str) -> Answer:
        """A webhook of the carrier, signed as it signs. Bytes go as they are; `headers` replace the two of it."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        stamp = str(int(time.time() if at is None else at))
        signature = base64.b64encode(self.seed.sign(f"{stamp}|".encode() + raw).signature).decode()
        sent = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": signature}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", f"/webhooks/telnyx{path}", raw, key=None, headers=sent)


def make_settings(directory: Path, redis_url: str, seed: SigningKey, **environ: str) -> Settings:
    """Settings as from the environment, with a keyring and the configuration above in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    ring, toml = directory / "keyring.json", directory / "otp-service.toml"
    if not ring.exists():
        ring.touch(0o600)
        ring.write_bytes(keyring.create(secrets.token_bytes, "2026-01-01T00:00:00Z"))
        toml.write_text(CONFIG + LIMITS + UNWATCHED)
    return config.load(
        {
            "OTP_CONFIG": str(toml),
            "OTP_KEYRING": str(ring),
            "OTP_REDIS_URL": redis_url,
            "OTP_PUBLIC_URL": PUBLIC_URL,
            "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(seed.verify_key)).decode(),
            "TELNYX_BASE_URL": "http://127.0.0.1:1/v2",
            **environ,
        }
    )


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that a test builds waits for the store of a busy machine. How long it does is tried elsewhere.

    And no page of the record ends early, as one does that takes long to read.
    """
    be_patient(monkeypatch)
    monkeypatch.setattr(audit_log, "READ_S", 60.0)


@pytest.fixture(scope="session")
def _built(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> tuple[Flask, Settings, SigningKey, ApiKeys, keyring.Keyring]:
    seed = SigningKey.generate()
    settings = make_settings(tmp_path_factory.mktemp("web"), redis_url, seed)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()  # other tests of this process may have left the mark of another keyring
    with patience():
        api_keys = bootstrap.build_api_keys(settings)
        return bootstrap.build_web(settings), settings, seed, api_keys, config.load_keyring(settings)


@pytest.fixture
def api(
    _built: tuple[Flask, Settings, SigningKey, ApiKeys, keyring.Keyring], redis_server: "redis.Redis"
) -> ApiHarness:
    """The service over an empty store."""
    app, settings, seed, api_keys, vault = _built
    return ApiHarness(app, settings, vault, seed, redis_server, api_keys)

"""One request too many in a process: refused at once, but for those that never wait."""

from typing import Any, cast

import pytest

from otp_service.domain.errors import NotReady
from otp_service.front.admission import Admission
from otp_service.web.auth import Auth
from otp_service.web.endpoint import Endpoint
from otp_service.web.http import Doc, Route, reply
from otp_service.web.problems import Problems
from otp_service.web.readiness import Judgement
from otp_service.web.routes.health import HealthRoutes

ANYTHING = cast("Any", None)


def test_one_request_too_many_is_refused_at_once() -> None:
    """And none is any more when another one has ended, however that ended."""
    admission = Admission(2)
    with admission, admission, pytest.raises(NotReady), admission:
        pytest.fail("a third one was let in")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission:
            raise ZeroDivisionError
    with admission, admission:
        pass


def test_what_does_not_wait_is_answered_however_busy_the_process_is() -> None:
    """As many requests are under way as may be: only liveness and readiness pass."""
    full = Admission(0)
    statuses = {}
    for waits in (True, False):
        route = Route("GET", "/x", lambda _: reply(200, "ok"), None, Doc("x"), waits=waits)
        endpoint = Endpoint(route, Auth(ANYTHING, ANYTHING), Problems("http://otp.test"), lambda: "req_1", full)
        statuses[waits] = endpoint({}, {}, {}, lambda _: b"", "127.0.0.1").status
    assert statuses == {True: 503, False: 200}
    routes = HealthRoutes(Judgement, ANYTHING).routes()
    assert [route.template for route in routes if not route.waits] == ["/healthz", "/readyz"]

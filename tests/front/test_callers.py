"""Who caused an event, in the loop: requests that are under way at the same time are not taken for one another."""

import json
import socket
from contextlib import ExitStack

from ..sample_numbers import sample
from .conftest import Request, Running, body_of, read_response
from .test_same_answers import Cases

CONNECTIONS = 40


def test_requests_at_once_are_each_recorded_as_their_own(front: Running) -> None:
    """Two keys, many connections: each start is recorded with its own request and key, those that Flask answers too."""
    cases = [Cases(front), Cases(front, "default", "verify", "audit:all")]
    keys = [case.headers["Authorization"].split("_")[1] for case in cases]
    front.run([], {})
    caused = {}
    with ExitStack() as open_:
        sent: list[tuple[socket.socket, str]] = []
        for index in range(CONNECTIONS):
            connection, case = open_.enter_context(front.connect()), cases[index % 2]
            odd = {"X_Odd": "for Flask"} if index % 4 > 1 else {}
            connection.sendall(case.start(sample(index)).raw([], odd))
            sent.append((connection, keys[index % 2]))
        for connection, key_id in sent:
            response = read_response(connection)
            head = response.partition(b"\r\n\r\n")[0].decode()
            name = next(line for line in head.split("\r\n") if line.startswith("x-request-id: "))
            caused[json.loads(body_of(response))["verification_id"]] = (key_id, name.partition(": ")[2])
    with front.connect() as connection:
        path = "/audit/events?type=verification.started&limit=1000"
        connection.sendall(Request("GET", path, headers=cases[1].headers).raw([], {}))
        events = json.loads(body_of(read_response(connection)))["events"]
    found = {event["verification_id"]: (event["by"]["key_id"], event["by"]["request_id"]) for event in events}
    assert found == caused
    assert {event["by"]["address"] for event in events} == {"127.0.0.1"}

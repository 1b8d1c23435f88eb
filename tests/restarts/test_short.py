"""A rolling restart, once."""

import signal
from contextlib import closing
from pathlib import Path

from ..conftest import needs_program
from .instances import Instances
from .workers import WORKERS, Workers, left_to_a_lease


def test_no_request_is_lost_when_an_instance_is_restarted(tmp_path: Path) -> None:
    """Behind a TCP balancer, under load on connections that are kept; the instance ends with status 0."""
    instances = Instances(tmp_path, needs_program("haproxy"))
    with instances.serving() as load:
        instances.restart("a")
    assert not load.lost
    assert instances.statuses == [0]
    assert load.by_status.keys() == {200, 201, 404}


def test_what_a_worker_has_not_begun_is_handed_back(tmp_path: Path) -> None:
    """It has two processes, and ends with status 0 while many entries are theirs; another sends each once."""
    workers = Workers(tmp_path, 1000, "--concurrency", "2", "--processes", "2")
    with workers.working() as client:
        workers.start_codes(client, 20)
        workers.begin_sending(client, WORKERS[0])
        assert workers.end(WORKERS[0], signal.SIGTERM, 60) == 0
        with closing(client.store()) as store:
            taken, leased = left_to_a_lease(store)
        assert taken > 0
        assert leased == 0
        client.chaos(send={"mode": "ok"})
        workers.start(WORKERS[1])
        assert workers.sends(client) == dict.fromkeys(workers.accepted, 1)

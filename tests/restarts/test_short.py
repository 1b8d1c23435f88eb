"""A rolling restart, once."""

from pathlib import Path

from ..conftest import needs_program
from .instances import Instances


def test_no_request_is_lost_when_an_instance_is_restarted(tmp_path: Path) -> None:
    """Behind a TCP balancer, under load on connections that are kept; the instance ends with status 0."""
    instances = Instances(tmp_path, needs_program("haproxy"))
    with instances.serving() as load:
        instances.restart("a")
    assert not load.lost
    assert instances.statuses == [0]
    assert load.by_status.keys() == {200, 201, 404}

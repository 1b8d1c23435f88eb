"""The peers that are installed: each is brought up and answers every row as it must."""

import configparser
from pathlib import Path

import pytest

from tests.conftest import needs_program

from .measure import Shape, run
from .peers.our_front import BARE_FRONT
from .peers.servers import ALL, ROOT
from .programs import Programs
from .target import Target

INSTALLED = [BARE_FRONT, *(peer for peer in ALL if not peer.missing)]


def test_the_extra_has_what_the_peers_need() -> None:
    """With `dev` and `bench` installed every peer is measured, and the service needs nothing of `bench`."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras, service = setup["options.extras_require"], packages(setup["options"]["install_requires"])
    bench = packages(extras["bench"])
    assert {need for peer in ALL for need in peer.needs} <= bench | packages(extras["dev"]) | service
    assert not bench & service


def packages(text: str) -> set[str]:
    """The names in a list of setup.cfg."""
    return {line.split()[0] for line in text.splitlines() if line}


@pytest.mark.parametrize("peer", INSTALLED, ids=lambda peer: peer.name)
def test_every_row_of_a_peer_has_good_answers(peer: Target, tmp_path: Path) -> None:
    """Our scripts behind the bare handlers, and the naive services: no answer has another status than its row wants."""
    needs_program("redis-server", "valkey-server")
    with Programs(tmp_path) as programs:
        stack = peer.open(programs, worker=False)
        for kind in sorted(peer.kinds):
            shape = Shape(connections=2, seconds=30, warm_up_s=0, expected_per_s=2)
            leg = run(stack, kind, shape, (kind, peer.name, 1), "python")
            assert leg.failed == 0, leg

"""What the primaries of a Cluster say of one of them, and whether it may go on without a replica that is gone.

A replica takes over when most primaries vote for it, and each of them votes only while it calls the old primary failed.
So nobody has taken over from a server that most primaries call well and the owner of its slots, and no replica can that
they call failed. `CLUSTER FAILOVER` with FORCE or TAKEOVER asks nobody: it is an operator's own decision.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NOT_WELL = frozenset({"fail", "fail?", "handshake", "noaddr"})
_MARKS = frozenset({"myself"})


@dataclass(frozen=True, slots=True)
class Node:
    """One node, as one of them sees it."""

    id: str
    address: str
    """Host and port, as INFO has them of a replica, too."""

    flags: frozenset[str]
    primary: str
    """The id of the primary that it is a replica of; `-` for a primary."""

    epoch: int
    """Its configuration epoch: who has the higher one owns a slot that two of them claim."""

    connected: bool
    slots: frozenset[tuple[int, int]]
    """The first and the last slot of each range."""

    @property
    def votes(self) -> bool:
        """Whether it is one of the primaries that elect: those with slots, whether they answer or not."""
        return "master" in self.flags and bool(self.slots)

    def claims(self, slots: frozenset[tuple[int, int]]) -> bool:
        """Whether one of these slots is its own."""
        return any(low <= last and first <= high for low, high in self.slots for first, last in slots)


@dataclass(frozen=True, slots=True)
class View:
    """All nodes, as one of them sees them."""

    own: str
    """The id of the node that says this."""

    nodes: Sequence[Node]

    @property
    def electorate(self) -> int:
        """How many primaries elect."""
        return sum(node.votes for node in self.nodes)

    def find(self, node_id: str) -> Node | None:
        """The node of this id."""
        return next((node for node in self.nodes if node.id == node_id), None)

    @property
    def may_vote(self) -> bool:
        """Whether who says this elects."""
        own = self.find(self.own)
        return own is not None and own.votes

    def confirms(self, server: Node, followers: frozenset[str]) -> bool:
        """Whether this primary is well and owns all its slots, and each of its replicas that may be alive follows."""
        told = self.find(server.id)
        if told is None or told.flags & NOT_WELL or not told.connected:
            return False
        alive = {node.address for node in self.nodes if node.primary == server.id and "fail" not in node.flags}
        return told.votes and (told.slots, told.epoch) == (server.slots, server.epoch) and alive <= followers

    def contradicts(self, server: Node) -> bool:
        """Whether another one owns one of its slots since."""
        others = (node for node in self.nodes if node.id != server.id and node.epoch > server.epoch)
        return any(node.claims(server.slots) for node in others)


def nobody_takes_over(views: Sequence[View], server: str, followers: frozenset[str]) -> bool:
    """Whether those that follow this primary are all that may take its place. `views`: of those that answer.

    `followers`: their addresses. A copy outside the Cluster may be among them; nobody elects it.

    A majority of all primaries has to say so, the server itself among them, and none may know a newer owner of a slot.
    """
    own = next((view.find(server) for view in views if view.own == server), None)
    if own is None or any(view.contradicts(own) for view in views):
        return False
    votes = {view.own for view in views if view.may_vote and view.confirms(own, followers)}
    return server in votes and len(votes) * 2 > max(view.electorate for view in views)


def read_view(text: str) -> View:
    """The answer to CLUSTER NODES. Raises ValueError if it is none."""
    nodes = [_node(line) for line in text.splitlines() if line.strip()]
    own = [node.id for node in nodes if node.flags & _MARKS]
    if len(own) != 1:
        raise ValueError("Not an answer to CLUSTER NODES.")
    return View(own[0], nodes)


def _node(line: str) -> Node:
    node_id, address, flags, primary, _ping, _pong, epoch, link, *slots = line.split()
    ranges = frozenset(_ranges(slots))
    host_and_port = address.partition(",")[0].partition("@")[0]
    return Node(node_id, host_and_port, frozenset(flags.split(",")), primary, int(epoch), link == "connected", ranges)


def _ranges(slots: Sequence[str]) -> Iterator[tuple[int, int]]:
    """`0-5460 7`; slots that move away or arrive (`[5->-…]`) are no ranges."""
    for part in slots:
        if not part.startswith("["):
            first, _, last = part.partition("-")
            yield int(first), int(last or first)

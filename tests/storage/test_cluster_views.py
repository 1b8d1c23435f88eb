"""What primaries say of one of them: nobody takes over whom most of them call well and the owner of its slots."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.storage.cluster_views import Node, View, nobody_takes_over, read_view

SLOTS_EACH = 100
SERVER, MISSING = "p0", "r0"
AT, OUTSIDE = "127.0.0.1:7000", "127.0.0.1:6379"
"""The address of that replica, and of a copy outside the Cluster."""


@dataclass(frozen=True)
class Said:
    """What one primary says of the server and of the replica that is missing; `silent`: nothing."""

    server: str = "well"
    missing: str = "fail"
    silent: bool = False


def nodes_of(count: int, said: Said) -> list[Node]:
    """So many primaries and a replica of the first."""
    primaries = [
        Node(
            f"p{at}", "", frozenset({"master"}), "-", at + 1, True, frozenset({(at * SLOTS_EACH, at * SLOTS_EACH + 99)})
        )
        for at in range(count)
    ]
    if said.server in ("fail", "fail?"):
        primaries[0] = replace(primaries[0], flags=frozenset({"master", said.server}))
    elif said.server == "unheard":
        primaries[0] = replace(primaries[0], connected=False)
    missing = Node(MISSING, AT, frozenset({"slave", said.missing}), SERVER, 1, said.missing == "alive", frozenset())
    if said.server == "replaced":
        missing = replace(missing, flags=frozenset({"master"}), primary="-", epoch=99, slots=primaries[0].slots)
        primaries[0] = replace(primaries[0], slots=frozenset())
    return [*primaries, *([] if said.missing == "gone" else [missing])]


def views_of(said: list[Said]) -> list[View]:
    """Of those that answer."""
    return [View(f"p{at}", nodes_of(len(said), one)) for at, one in enumerate(said) if not one.silent]


SAID = st.builds(
    Said,
    st.sampled_from(["well", "well", "well", "fail", "fail?", "unheard", "replaced"]),
    st.sampled_from(["fail", "fail", "gone", "alive", "fail?"]),
    st.booleans(),
)
FOLLOWERS = st.frozensets(st.sampled_from([AT, OUTSIDE]))
NONE = frozenset[str]()
OWN = st.builds(Said, st.just("well"), st.sampled_from(["fail", "gone", "alive"]), st.booleans())


@settings(max_examples=100)
@given(own=OWN, others=st.lists(SAID, min_size=0, max_size=6), followers=FOLLOWERS)
def test_a_majority_of_all_primaries_decides(own: Said, others: list[Said], followers: frozenset[str]) -> None:
    """Those that are silent count as if they spoke against it; one that knows a newer owner is enough.

    A copy outside the Cluster stands for no replica.
    """
    said = [own, *others]
    agree = [
        one
        for one in said
        if not one.silent and one.server == "well" and (one.missing in ("fail", "gone") or AT in followers)
    ]
    newer = any(one.server == "replaced" and one.missing != "gone" and not one.silent for one in said)
    allowed = own in agree and len(agree) * 2 > len(said) and not newer
    assert nobody_takes_over(views_of(said), SERVER, followers) is allowed


@settings(max_examples=60)
@given(said=st.lists(SAID, min_size=3, max_size=7), followers=FOLLOWERS)
def test_who_could_be_replaced_goes_on_with_all_its_replicas_only(said: list[Said], followers: frozenset[str]) -> None:
    """An election needs a majority that calls the server failed: then there is none for it."""
    elect = sum(one.server in ("fail", "replaced") for one in said)
    if elect * 2 > len(said):
        assert not nobody_takes_over(views_of(said), SERVER, followers)


CHANGES: dict[str, Callable[[Node], Node]] = {
    "its slots are fewer": lambda node: replace(node, slots=frozenset({(0, 98)})),
    "its epoch is another": lambda node: replace(node, epoch=7),
    "it is a replica": lambda node: replace(node, flags=frozenset({"slave"}), slots=frozenset()),
    "it is not known": lambda node: replace(node, id="other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_sees_another_state_does_not_confirm(change: str) -> None:
    """Two of three see the server in another way than it sees itself."""
    views = views_of([Said()] * 3)
    assert nobody_takes_over(views, SERVER, NONE)
    for at in (1, 2):
        first, *rest = views[at].nodes
        views[at] = View(views[at].own, [CHANGES[change](first), *rest])
    assert not nobody_takes_over(views, SERVER, NONE)


def test_replicas_and_repeated_answers_do_not_vote() -> None:
    """One primary of three is none the more for being asked twice, or for what replicas say."""
    own, *_ = views_of([Said()] * 3)
    assert not nobody_takes_over([own, own, View(MISSING, own.nodes)], SERVER, NONE)
    assert not nobody_takes_over([], SERVER, NONE)


def test_what_a_node_answers_is_read() -> None:
    """Slots that move, a name behind the address, a single slot, a node without an address."""
    view = read_view(
        "aa 127.0.0.1:7000@17000,host myself,master - 0 0 3 connected 0-99 105 [100->-bb] [7-<-cc]\n"
        "bb 127.0.0.1:7001@17001 slave,fail aa 1 2 3 disconnected\n"
        "cc :0@0 master,noaddr,fail - 1 2 1 disconnected 100-104\n"
    )
    assert (view.own, view.electorate, view.may_vote) == ("aa", 2, True)
    assert [node.address for node in view.nodes] == ["127.0.0.1:7000", "127.0.0.1:7001", ":0"]
    assert [node.slots for node in view.nodes] == [{(0, 99), (105, 105)}, set(), {(100, 104)}]
    assert [(node.primary, node.epoch, node.connected) for node in view.nodes[:2]] == [("-", 3, True), ("aa", 3, False)]
    for text in ("", "no answer", "aa :0 master - 0 0 x connected"):
        with pytest.raises(ValueError, match=r"."):
            read_view(text)

"""Ids and hashes: unguessable, carrying their number blinded, readable by nobody else."""

import collections
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.audit import ZERO, Event, EventType, Position, pack_positions, read_positions
from otp_service.domain.delivery import RANK, DeliveryStatus, from_carrier
from otp_service.domain.ids import NUMBER_HASH_BYTES, Ids, shard_of
from otp_service.domain.verification import ENDED_CODE, Status
from otp_service.domain.watch_tokens import WatchTokens

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
IDS, OTHER_IDS = Ids(KEY), Ids(OTHER_KEY)
WATCH_TOKENS = WatchTokens(KEY)
hashes = st.binary(min_size=NUMBER_HASH_BYTES, max_size=NUMBER_HASH_BYTES).map(bytes.hex)
chances = st.binary(min_size=NUMBER_HASH_BYTES, max_size=NUMBER_HASH_BYTES)


@given(hashes, chances, st.integers(1, 999))
def test_an_id_holds_its_number_for_us(number: str, chance: bytes, ordinal: int) -> None:
    """Made and read again: the verification's and the delivery's id lead to the number's hash."""
    ref = IDS.new(number, chance)
    assert IDS.read(ref.verification_id) == ref
    assert IDS.read_delivery(ref.delivery_id(ordinal)) == (ref, ordinal)
    assert ref.number_hash == number


@given(hashes, chances, chances)
def test_two_ids_of_one_person_have_nothing_in_common(number: str, one: bytes, other: bytes) -> None:
    """Blinded by chance: without the key neither the number nor a relation between ids can be seen."""
    first, second = IDS.new(number, one), IDS.new(number, other)
    assert (first.token == second.token) is (one == other)
    assert first.token[:16] != first.token[16:] or one == bytes.fromhex(number)
    if one != other:
        assert first.token[16:] != second.token[16:]
    assert getattr(OTHER_IDS.read(first.verification_id), "number_hash", "") != number


def test_the_blinded_half_is_spread_evenly() -> None:
    """A thousand ids of one number: their second halves begin with all letters about equally often."""
    number = IDS.number_hash("+12025550143")
    chance = [n.to_bytes(NUMBER_HASH_BYTES, "big") for n in range(3_200)]
    counts = collections.Counter(IDS.new(number, one).token[16] for one in chance)
    assert len(counts) == 32
    # Chi square with 31 degrees of freedom exceeds 70 less than once in ten thousand.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 70


GOOD = IDS.new("00" * 10, bytes(10)).verification_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vrf_",
        GOOD[:-1],
        GOOD + "a",
        GOOD.upper(),
        GOOD[:-1] + "1",
        GOOD[:-1] + "=",
        GOOD[:-1] + "é",
        GOOD + "\n",
        " " + GOOD,
        GOOD.replace("vrf_", "dlv_"),
        GOOD[4:],
        "vrf_" + "a" * 5_000,
    ],
)
def test_what_cannot_be_an_id_is_none(text: str) -> None:
    """Length, alphabet, prefix, case, line ends: read strictly and without an exception."""
    assert IDS.read(text) is None


@pytest.mark.parametrize("end", ["", "-", "-0", "-01", "-1000", "-1\n", "-a", "--1", "-１", "-1-1"])
def test_what_cannot_be_a_delivery_is_none(end: str) -> None:
    """An ordinal counts from 1 to 999 in one spelling."""
    assert IDS.read_delivery(GOOD.replace("vrf_", "dlv_") + end) is None
    assert IDS.read_delivery(GOOD + "-1") is None


@given(st.text())
def test_reading_never_raises(text: str) -> None:
    """Whatever stands in a path is an id or is not."""
    IDS.read(text)
    IDS.read_delivery(text)


@pytest.mark.parametrize("size", [0, 9, 11])
def test_an_id_needs_its_chance(size: int) -> None:
    """Fewer or more random bytes are refused."""
    with pytest.raises(ValueError, match="random bytes"):
        IDS.new("00" * 10, bytes(size))


def test_a_numbers_hash_is_keyed() -> None:
    """Without the key it cannot be tried out over all numbers."""
    one = IDS.number_hash("+12025550143")
    assert len(one) == 20
    assert one != OTHER_IDS.number_hash("+12025550143")
    assert one != IDS.number_hash("+12025550144")
    assert one == IDS.number_hash("+12025550143")


@given(hashes, st.integers(1, 256))
def test_a_shard_is_one_of_them(number: str, shards: int) -> None:
    """The same number is always on the same shard, and every shard is in range."""
    assert 0 <= shard_of(number, shards) < shards
    assert shard_of(number, shards) == shard_of(number, shards)


def test_every_ending_has_a_status() -> None:
    """No verification ends without a code that explains it; pending is no ending."""
    assert set(ENDED_CODE) == set(Status) - {Status.PENDING}
    assert len(set(ENDED_CODE.values())) == len(ENDED_CODE)


def test_ranks_are_the_contracts() -> None:
    """delivered > failed > unconfirmed > sent > sending > queued; nothing stands between without a rank."""
    s = DeliveryStatus
    order = [s.QUEUED, s.SENDING, s.SENT, s.UNCONFIRMED, s.FAILED, s.DELIVERED]
    assert [RANK[one] for one in order] == sorted(RANK[one] for one in order)
    assert len({RANK[one] for one in order}) == len(order)
    assert set(RANK) == set(DeliveryStatus)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", "sent"),
        ("sending", "sent"),
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("delivery_unconfirmed", "unconfirmed"),
        ("delivery_failed", "failed"),
        ("sending_failed", "failed"),
        ("Delivered", None),
        ("", None),
        ("webhook_delivered", None),
    ],
)
def test_acceptance_is_never_delivery(word: str, status: str | None) -> None:
    """The carrier's words are read as they are; only its `delivered` (or read) is ours."""
    assert from_carrier(word) == status


# ---- the record's positions ---------------------------------------------------------------------------------------

positions = st.builds(Position, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))


@given(st.lists(positions, min_size=1, max_size=20))
def test_positions_lead_back(many: list[Position]) -> None:
    """Positions, one per shard, survive; how long they are says nothing about them; another number is refused."""
    packed = pack_positions(many)
    assert read_positions(packed, len(many)) == many
    assert len(packed) == len(pack_positions([ZERO] * len(many)))
    for other in (packed[:-1], packed + b"0", b""):
        with pytest.raises(ValueError, match="cursor"):
            read_positions(other, len(many))


@given(st.text(max_size=60).filter(lambda text: not re.fullmatch("[0-9]+-[0-9]+", text)))
def test_no_other_text_is_a_position(text: str) -> None:
    """Anything else is a ValueError and nothing else."""
    with pytest.raises(ValueError, match="position"):
        Position.read(text)


@pytest.mark.parametrize("text", ["1", "1-", "-1", "1-1-1", "\uff11-1", "1-1\n", "+1-1", "1" * 30 + "-1", ""])
def test_a_position_is_read_strictly(text: str) -> None:
    """Two numbers of the store's size, in ASCII digits."""
    with pytest.raises(ValueError, match="position"):
        Position.read(text)


def test_positions_order_as_the_store_does() -> None:
    """By milliseconds, then by counter; as numbers, not as text."""
    assert ZERO < Position(0, 1) < Position(1, 0) < Position(9, 5) < Position(10, 0)
    assert str(Position.read("12-3")) == "12-3"


def test_an_events_name_sorts_within_its_shard() -> None:
    """And its time is its position's."""
    event = Event(10, Position(1_790_000_000_000, 2), EventType.STARTED, {})
    assert (event.seq, event.at_ms) == ("0a-1790000000000-2", 1_790_000_000_000)


@given(hashes, chances, chances)
def test_a_watch_token_is_one_verifications(number: str, one: bytes, other: bytes) -> None:
    """It opens its own and no other, under the key it was made with; nothing of the id is in it."""
    first, second = (IDS.new(number, chance).verification_id for chance in (one, other))
    token = WATCH_TOKENS.make(first)
    assert re.fullmatch("wt_[a-z2-7]{26}", token)
    assert WATCH_TOKENS.is_valid(first, token)
    assert WATCH_TOKENS.is_valid(second, token) is (one == other)
    assert not WatchTokens(OTHER_KEY).is_valid(first, token)


@pytest.mark.parametrize("change", [str.upper, lambda text: text[:-1], lambda text: text + "a", lambda _: "", "é".join])
def test_a_watch_token_has_one_spelling(change: Callable[[str], str]) -> None:
    """Any other text is none, also one that is not ASCII."""
    token = WATCH_TOKENS.make(GOOD)
    assert not WATCH_TOKENS.is_valid(GOOD, change(token))
    assert not WATCH_TOKENS.is_valid(GOOD, "wt_\ud800")

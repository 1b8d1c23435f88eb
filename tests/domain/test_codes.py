"""Codes: how they are drawn, typed and digested."""

import collections
import hashlib
import hmac
import itertools
import random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from otp_service.domain import codes
from otp_service.domain.codes import (
    MAX_LENGTH,
    MIN_LENGTH,
    context_hash,
    digest,
    digest_by_number,
    draw,
    length_prefixed,
    require_typed,
)
from otp_service.domain.errors import InvalidRequest
from otp_service.domain.keyed_hash import KeyedHash

PEPPER = bytes(32)
texts = st.lists(st.text(max_size=5), max_size=5)
PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")


@pytest.mark.parametrize("length", range(MIN_LENGTH, MAX_LENGTH + 1))
def test_a_code_has_its_length_in_ascii_digits(length: int) -> None:
    """From all zeros to all nines, padded in front."""
    assert draw(length, lambda below: 0) == "0" * length
    assert draw(length, lambda below: below - 1) == "9" * length
    assert draw(length, lambda below: 7) == "7".zfill(length)
    code = draw(length, random.Random(1).randrange)
    assert code.isascii()
    assert code.isdigit()


@pytest.mark.parametrize("length", [-1, 0, 5, 11])
def test_a_code_shorter_than_six_digits_is_never_drawn(length: int) -> None:
    """NIST asks for six; nobody can configure fewer."""
    with pytest.raises(ValueError, match="digits"):
        draw(length, lambda below: 0)


def test_all_codes_are_equally_likely() -> None:
    """One uniform number below 10^n becomes one code: no digit, in no place, is favoured."""
    asked = []

    def randbelow(below: int) -> int:
        asked.append(below)
        return chance.randrange(below)

    chance = random.Random(3)
    codes = [draw(6, randbelow) for _ in range(20_000)]
    assert set(asked) == {10**6}
    for place in range(6):
        counts = collections.Counter(code[place] for code in codes)
        assert set(counts) == set("0123456789")
        # Chi square with 9 degrees of freedom exceeds 33 once in ten thousand.
        assert sum((count - 2_000) ** 2 / 2_000 for count in counts.values()) < 33


@given(st.from_regex(r"[0-9]{4,10}", fullmatch=True).filter(str.isascii))
def test_four_to_ten_digits_may_be_typed(code: str) -> None:
    """They are taken as they are."""
    assert require_typed(code) == code


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "123",
        "12345678901",
        " 123456",
        "123456 ",
        "123 456",
        "123-456",
        "123456\n",
        "123456\x00",
        "\x00123456",
        "123\u200b456",
        "\ufeff123456",
        "+123456",
        "-123456",
        "1e5",
        "0x1234",
        "123.456",
        "123_456",
        "１２３４５６",
        "١٢٣٤٥٦",
        "𝟏𝟐𝟑𝟒𝟓𝟔",
        "¹²³⁴⁵⁶",
        "१२३४५६",
        "12345６",
        "\ud800",
    ],
)
def test_nothing_else_may_be_typed(typed: str) -> None:
    """No second spelling of a code, so no uncounted second try of one guess; the refusal does not repeat it."""
    with pytest.raises(InvalidRequest) as refused:
        require_typed(typed)
    assert refused.value.errors[0][0] == "/code"
    assert len(typed) < 3 or typed not in refused.value.detail


@given(st.text())
def test_what_may_be_typed_is_ascii_digits(typed: str) -> None:
    """For any text: accepted means 4 to 10 of the ten ASCII digits."""
    try:
        require_typed(typed)
    except InvalidRequest:
        assert not (4 <= len(typed) <= 10 and set(typed) <= set("0123456789"))
    else:
        assert 4 <= len(typed) <= 10
        assert set(typed) <= set("0123456789")


@given(texts, texts)
def test_length_prefixes_keep_lists_apart(one: list[str], other: list[str]) -> None:
    """Two different lists of parts never give the same bytes, whatever is in them."""
    assert (length_prefixed(*one) == length_prefixed(*other)) is (one == other)


def test_moving_a_border_changes_the_digest() -> None:
    """`ab`+`c` is not `a`+`bc`: no field of a digest can be moved to the next one."""
    fields = {"app": "ab", "verification_id": "cd", "number_hash": "ef", "context": "gh", "code": "123456"}
    base = digest(KeyedHash(PEPPER), **fields)
    for left, right in itertools.pairwise(fields):
        moved = {**fields, left: fields[left] + fields[right][0], right: fields[right][1:]}
        assert digest(KeyedHash(PEPPER), **moved) != base


@given(st.sampled_from(["app", "verification_id", "number_hash", "context", "code"]), st.text(max_size=8))
def test_a_digest_is_bound_to_every_fact(name: str, value: str) -> None:
    """Another app, verification, number, context or code: another digest. So with another pepper."""
    fields = {"app": "shop", "verification_id": "vrf_1", "number_hash": "00", "context": "", "code": "123456"}
    assume(fields[name] != value)
    base = digest(KeyedHash(PEPPER), **fields)
    assert digest(KeyedHash(PEPPER), **{**fields, name: value}) != base
    assert digest(KeyedHash(b"x" * 32), **fields) != base
    assert digest(KeyedHash(PEPPER), **fields) == base


def by_hand(*parts: str) -> str:
    """HMAC-SHA256 over the parts, each behind its length in four big-endian bytes: the first half."""
    message = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(PEPPER, message, hashlib.sha256).hexdigest()[:32]


def test_the_digests_are_hmacs_over_what_they_say() -> None:
    """Recomputed by hand from the description: the one by id, and the one by number and purpose."""
    of, pepper = {"app": "shop", "number_hash": "00ff", "context": "", "code": "123456"}, KeyedHash(PEPPER)
    assert digest(pepper, verification_id="vrf_x", **of) == by_hand("otp/v1", "shop", "vrf_x", "00ff", "", "123456")
    made = digest_by_number(pepper, purpose="pay", **of)
    assert made == by_hand("otp/v1/number", "shop", "pay", "00ff", "", "123456")


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=6), min_size=1, max_size=8), st.randoms())
def test_the_order_of_a_context_does_not_matter(context: dict[str, str], chance: random.Random) -> None:
    """The same pairs in any order are the same context."""
    items = list(context.items())
    chance.shuffle(items)
    assert context_hash(dict(items)) == context_hash(context)


@given(
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=4),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=4),
)
def test_different_contexts_differ(one: dict[str, str], other: dict[str, str]) -> None:
    """Any change of a name or a value, a pair more or less, keys and values swapped: another hash."""
    assert (context_hash(one) == context_hash(other)) is (one == other)


def test_no_context_and_an_empty_one_are_the_same() -> None:
    """Neither binds the code to anything."""
    assert context_hash(None) == context_hash({}) == ""


def test_every_number_below_a_million_is_a_code_of_its_own() -> None:
    """All of them, one by one: a million chances give a million codes, so a uniform chance gives a uniform code."""
    chances = iter(range(10**6))
    drawn = {codes.draw(6, lambda below: next(chances)) for _ in range(10**6)}
    assert len(drawn) == 10**6
    assert {len(code) for code in drawn} == {6}


@given(parts=st.lists(st.text(PRINTABLE, max_size=400), max_size=4))
@example(parts=["a" * 127])
@example(parts=["a" * 128])
@example(parts=["a" * 255])
@example(parts=["a" * 256, "b"])
@example(parts=["é", ""])
@example(parts=[])
def test_a_part_is_led_by_its_length_in_bytes(parts: list[str]) -> None:
    """Whatever its characters are, and however long it is."""
    assert length_prefixed(*parts) == b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)

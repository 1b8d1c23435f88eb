"""Events as records: the bytes that are hashed (`leaf`), and what identifies somebody, apart from them.

A leaf holds no mask, no hash of a number and no address of an end user. It holds a commitment to them: SHA-256 of a
random salt and their canonical JSON. They stand sealed in a table of their own. When they are erased there, the leaf
and its hash stay as they were, and nobody can guess what the commitment was made of.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from ..clock import rfc3339
from ..domain.audit import OF_SUBJECT, POLICY_DIGITS, Event, EventField, EventType
from ..domain.canonical_json import canonical
from ..transparency.tree import leaf_hash

VERSION = 1
SALT_BYTES = 32
SALTS = 64
PERSONAL = ("client_ip", "country")
"""Members of an event's detail that identify somebody."""

OF_NUMBER = ("guard", "sub")
"""Texts in the detail of an event about a number: keyed hashes of its block, of its owner's address, of a subject."""

UNREADABLE = '{"unreadable":true}'
"""The detail of an event whose detail is no JSON object."""

TOO_LONG = '{"too_long":true}'
"""The detail of an event that is too long for a record."""

LEAF_MAX = 65_535
"""Bytes: more than this no entry tile holds (C2SP tlog-tiles)."""

GREATEST = 2**63 - 1
"""The greatest number that the database holds."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows of the tables `records`, `persons` and `webhooks`. `configurations`: hash to content, of those loaded."""

    records: list[Row] = field(default_factory=list)
    persons: list[Row] = field(default_factory=list)
    webhooks: list[Row] = field(default_factory=list)
    configurations: dict[str, str] = field(default_factory=dict)


def detail_of(leaf: bytes) -> dict[str, Any]:
    """The detail in a leaf."""
    detail: dict[str, Any] = json.loads(leaf)["detail"]
    return detail


def commitment(salt: bytes, values: Mapping[str, str]) -> str:
    """`sha256:` and 64 digits: what stands in the leaf for these values."""
    return f"sha256:{hashlib.sha256(salt + canonical(values)).hexdigest()}"


class RecordEncoder:
    """Makes rows of events. `seal` encrypts for whoever has the keyring; `token_bytes` as in `secrets`."""

    def __init__(self, seal: Callable[[bytes], str], token_bytes: Callable[[int], bytes]) -> None:
        self._seal = seal
        self._token_bytes = token_bytes
        self._random = b""

    def encode(self, events: Iterable[Event], first_seq: int, policies: Collection[str] = ()) -> Encoded:
        """The rows of these events, numbered from `first_seq`. `policies`: hashes of configurations that are known."""
        made = Encoded()
        policy_of = {_digits(known): known for known in policies}
        known: dict[tuple[str, ...], tuple[int, str]] = {}
        for seq, event in enumerate(events, first_seq):
            detail, personal, message_id = parts_of(
                event.fields.get(EventField.DETAIL) or "{}", of_number=event.number_hash is not None
            )
            if event.type == EventType.CONFIGURATION_LOADED:
                detail = _without_content(detail, made, policy_of)
            values = _identifying(event, personal)
            person = self._person(made, known, event, values, seq) if values else None
            policy = policy_of.get(event.policy, f"sha256:{event.policy}") if event.policy else None
            leaf = _leaf(event, seq, detail, person[1] if person else None, policy)
            if len(leaf) > LEAF_MAX:
                message_id = None
                leaf = _leaf(event, seq, TOO_LONG, person[1] if person else None, policy)
            if sealed := event.fields.get(EventField.SEALED_WEBHOOK):
                at = {"seq": seq, "at_ms": min(event.position.ms, GREATEST)}
                made.webhooks.append({**at, "number_hash": event.number_hash, "sealed": sealed})
            made.records.append(_row(event, seq, leaf, message_id, person[0] if person else None))
        return made

    def _person(
        self, made: Encoded, known: dict[tuple[str, ...], tuple[int, str]], event: Event, values: Row, seq: int
    ) -> tuple[int, str]:
        # Events of one verification that come together share a commitment: their id connects them anyway.
        same = (event.fields.get(EventField.VERIFICATION) or str(seq), *map(str, values.values()))
        if same not in known:
            salt = self._salt()
            known[same] = seq, commitment(salt, values)
            sealed = self._seal(json.dumps({**values, "salt": base64.b64encode(salt).decode()}).encode())
            made.persons.append({"id": seq, "number_hash": event.number_hash, "sealed": sealed})
        return known[same]

    def _salt(self) -> bytes:
        """Random bytes, of which many are asked for at once."""
        if not self._random:
            self._random = self._token_bytes(SALTS * SALT_BYTES)
        salt, self._random = self._random[:SALT_BYTES], self._random[SALT_BYTES:]
        return salt


def _identifying(event: Event, personal: Mapping[str, str]) -> Row:
    values: Row = dict(personal)
    if event.mask:
        values["mask"] = event.mask
    if event.number_hash:
        values["number_hash"] = event.number_hash
    return values


@lru_cache(maxsize=4096)
def parts_of(detail: str, *, of_number: bool) -> tuple[str, Mapping[str, str], str | None]:
    """An event's detail without what identifies somebody, as canonical JSON; that; and the carrier's message id.

    `of_number`: whether it is about a number, with which all of that can be erased.
    """
    try:
        members = json.loads(detail)
        personal = {name: str(members.pop(name)) for name in PERSONAL if name in members}
        # A lifted lock says in `guard` which apps it was for.
        hashes = [name for name in OF_NUMBER if of_number and isinstance(members.get(name), str)]
        personal |= {name: members.pop(name) for name in hashes}
        if "sub" in hashes:
            members[OF_SUBJECT] = True
        message_id = members.get("message_id")
        return canonical(members).decode(), personal, message_id if isinstance(message_id, str) else None
    except (ValueError, AttributeError, TypeError, RecursionError):
        return UNREADABLE, {}, None


def _digits(policy: str) -> str:
    """As events have it."""
    return policy.partition(":")[2][:POLICY_DIGITS]


def _without_content(detail: str, made: Encoded, policy_of: dict[str, str]) -> str:
    """The detail with the hash of the configuration alone: its content has a table of its own."""
    members = json.loads(detail)
    content, policy = members.pop("configuration", None), str(members.get("policy"))
    if content is not None:
        made.configurations[policy] = canonical(content).decode()
        policy_of[_digits(policy)] = policy
    return canonical(members).decode()


def _leaf(event: Event, seq: int, detail: str, person: str | None, policy: str | None) -> bytes:
    """Canonical JSON: the names are in their order here, and what `detail` is made of was sorted before."""
    return (
        f'{{"app":{_text(event.app)},"at":"{_at(event)}","by":{{"address":{_text(event.address)}'
        f',"key_id":{_text(event.key_id)},"request_id":{_text(event.request_id)}}}'
        f',"delivery_id":{_text(event.delivery_id)},"detail":{detail},"n":{event.n or "null"}'
        f',"person":{_text(person)},"policy":{_text(policy)}{_process(event)},"seq":{seq},"shard":{event.shard}'
        f',"type":{_text(event.type)},"v":{VERSION},"verification_id":{_text(event.verification_id)}{_webhook(event)}}}'
    ).encode()


def _process(event: Event) -> str:
    """Events of an earlier version do not say which process did it."""
    return f',"process":{_text(event.process)}' if event.process else ""


def _webhook(event: Event) -> str:
    """The last member, of a record that a webhook caused and that has it beside it.

    An event that is exported again, into a ledger that was restored from a copy, has lost its webhook.
    """
    commitment = event.fields.get(EventField.WEBHOOK) if event.fields.get(EventField.SEALED_WEBHOOK) else None
    return f',"webhook":{_text(commitment)}' if commitment else ""


def _at(event: Event) -> str:
    try:
        return rfc3339(event.at_ms)
    except OverflowError:
        return "9999-12-31T23:59:59.999Z"


def _text(value: str | None) -> str:
    return "null" if value is None else encode_basestring(value)


def _row(event: Event, seq: int, leaf: bytes, message_id: str | None, person: int | None) -> Row:
    return {
        "seq": seq,
        "leaf": leaf,
        "leaf_hash": leaf_hash(leaf),
        "shard": event.shard,
        "at_ms": min(event.position.ms, GREATEST),
        "counter": min(event.position.counter, GREATEST),
        "type": event.type,
        "app": event.app,
        "verification": event.fields.get(EventField.VERIFICATION) or None,
        "delivery": event.delivery_id,
        "message_id": message_id,
        "number_hash": event.number_hash,
        "person": person,
    }

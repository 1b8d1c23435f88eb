"""The configurations in a bundle: each record names by its hash the one that decided.

A file for each, `policies/HASH.json`: the canonical JSON whose SHA-256 that is, without secrets. A record that came
before its configuration was in the ledger names the first 16 digits alone; the statement has a digest of all hashes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from .notes import NoteError

POLICIES = "policies/"
CONFIGURATIONS = "configurations"
"""The member of a statement: the digest of all hashes."""

PREFIX = "sha256:"
DIGITS = 16
"""So much of a hash every event names."""

_NAME = re.compile(r"policies/([0-9a-f]{64})\.json", re.ASCII)

Files = Mapping[str, bytes]


def policy_files(policies: Mapping[str, str]) -> dict[str, bytes]:
    """The files of these configurations: hash (`sha256:…`) to canonical JSON."""
    return {f"{POLICIES}{name.removeprefix(PREFIX)}.json": content.encode() for name, content in policies.items()}


def digest_of(names: Iterable[str]) -> str:
    """The digest of all hashes, each `sha256:…`: that of their digits in order, a line each."""
    lines = "".join(f"{name.removeprefix(PREFIX)}\n" for name in sorted(names))
    return f"{PREFIX}{sha256(lines.encode()).hexdigest()}"


def named_by(leaves: Iterable[Mapping[str, Any]]) -> set[str]:
    """The configurations that these records name, some by the first digits of their hash alone."""
    return {leaf["policy"] for leaf in leaves if isinstance(leaf.get("policy"), str)}


def is_named(policy: str, names: set[str]) -> bool:
    """Whether one of these is the name of the configuration with this hash."""
    return policy in names or policy[: len(PREFIX) + DIGITS] in names


def verify_policies(
    leaves: Sequence[Mapping[str, Any]], files: Files, statement: Mapping[str, Any] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The configurations that are there, each with its hash, and what records name and is not there.

    Raises NoteError where one has another hash, none names it, or the statement has others.
    """
    there, names = (
        [_hashed(name, raw) for name, raw in sorted(files.items()) if name.startswith(POLICIES)],
        named_by(leaves),
    )
    stray = next((one for one in there if not is_named(one, names)), None)
    if stray is not None:
        raise NoteError(f"{POLICIES}{stray.removeprefix(PREFIX)}.json belongs to no record")
    told = None if statement is None else statement["detail"].get(CONFIGURATIONS)
    if told is not None and told != digest_of(there):
        raise NoteError("the configurations are not those that the log says belong here")
    known = {*there, *(one[: len(PREFIX) + DIGITS] for one in there)}
    return tuple(there), tuple(sorted(names - known))


def _hashed(name: str, raw: bytes) -> str:
    found = _NAME.fullmatch(name)
    if found is None or sha256(raw).hexdigest() != found[1]:
        raise NoteError(f"{name} has not the hash by which records name it")
    return f"{PREFIX}{found[1]}"

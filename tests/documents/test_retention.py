"""The page about what is kept says what the store's dictionary says, of every key."""

import re
from pathlib import Path

import pytest

from otp_service import config
from otp_service.domain.errors import ConfigError
from otp_service.domain.retention import Retention
from otp_service.storage.schema import Keys

from .reading import DOCS, read

PAGE = DOCS / "retention.md"
_TTL = re.compile(r"\b(No )?TTL(?::| then:)?(?: (.*?))?\.(?= |$)")


def kept() -> dict[str, str]:
    """How long each key is kept, as `storage.schema.keys` has it."""
    found = {}
    for name, method in vars(Keys).items():
        if not name.startswith("_") and name != "shard":
            match = _TTL.search(" ".join((method.__doc__ or "").split()))
            assert match is not None, f"{name} says nothing of its TTL"
            no, text = match[1], match[2] or ""
            found[name] = f"no fixed time{f': {text}' if text else ''}" if no else text
    return found


def rows() -> dict[str, str]:
    """The same as the page has it."""
    cells = [
        line.strip("| ").split(" | ")
        for line in read(PAGE).partition("## In the store")[2].splitlines()
        if line.startswith("| `")
    ]
    listed = {row[0].strip("`"): row[2] for row in cells}
    assert len(listed) == len(cells), "a key stands in the page twice"
    return listed


def test_every_key_is_on_the_page_with_its_time() -> None:
    """A key that is new needs a row in deploy/docs/retention.md; a time that changes is changed there, too."""
    assert rows() == kept()


def test_what_may_be_decided_is_a_setting_with_this_default(tmp_path: Path) -> None:
    """Each `retention.x` that the page names, with its bounds; opt-outs are in none of them."""
    named = set(re.findall(r"`retention\.([a-z_]+)`", read(PAGE)))
    assert named == {"verifications", "dead_letters", "last_senders"}
    path = tmp_path / "c.toml"
    path.write_text('[retention]\nverifications = "48h"\ndead_letters = "1d"\nlast_senders = "90d"\n')
    day = 86_400_000
    assert config.load({"OTP_CONFIG": str(path)}).policy.retention == Retention(2 * day, day, 90 * day)
    path.write_text('[retention]\nverifications = "23h"\ndead_letters = "31d"\noptouts = "1d"\n')
    with pytest.raises(ConfigError) as refused:
        config.load({"OTP_CONFIG": str(path)})
    assert "retention.verifications: must be 24h to 30d" in refused.value.detail
    assert "retention.dead_letters: must be 24h to 30d" in refused.value.detail
    assert "retention.optouts: unknown key" in refused.value.detail

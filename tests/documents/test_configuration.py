"""The reference of settings: its example loads, and the values that it prints are the defaults."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import msgspec

from otp_service import config

from .reading import DOCS, DOCUMENTS, ROOT, blocks

EXAMPLE = blocks(DOCS / "configuration.md", "toml")[0].text


def load(path: Path, text: str) -> config.Settings:
    """The settings of a file with this text."""
    path.write_text(text, encoding="utf-8")
    return config.load({"OTP_CONFIG": str(path)})


def test_the_example_loads(tmp_path: Path) -> None:
    """As it is printed; so does the one in deploy."""
    assert list(load(tmp_path / "c.toml", EXAMPLE).policy.apps) == ["default"]
    assert config.load({"OTP_CONFIG": str(ROOT / "deploy" / "otp-service.toml")}).policy.apps


def test_the_values_that_are_printed_are_the_defaults(tmp_path: Path) -> None:
    """What the example spells out for an app is what one has that leaves it out."""
    printed = load(tmp_path / "c.toml", EXAMPLE)
    document = tomllib.loads(EXAMPLE)
    sender = "\n".join(f'{key} = "{value}"' for key, value in document["senders"]["pool"].items())
    short = load(
        tmp_path / "short.toml",
        f'[senders.pool]\n{sender}\n[senders.backup]\n{sender}\n[apps.default]\nbrand = "Acme"\n'
        'route = ["pool", "backup"]\n',
    )
    left_out = [key for key in document["apps"]["default"] if key not in {"brand", "route"}]
    assert len(left_out) == 13
    for key in left_out:
        field = f"{key}_ms" if hasattr(printed.policy.apps["default"], f"{key}_ms") else key
        assert getattr(printed.policy.apps["default"], field) == getattr(short.policy.apps["default"], field), key
    assert printed.policy.per_number == short.policy.per_number
    for name in ("shards", "queue_max", "audit_retention_ms", "audit_backlog_max", "keep_webhooks"):
        assert getattr(printed, name) == getattr(short, name), name


def settings_of(text: str) -> set[str]:
    """The names that are set in a TOML text, in comments and inline tables too."""
    return set(re.findall(r"\b([a-z0-9_]+) = ", text))


def tables() -> set[type[msgspec.Struct]]:
    """The types that the tables of the file are read into."""
    modules = [import_module(found.name) for found in walk_packages(config.__path__, f"{config.__name__}.")]
    return {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    }


def test_every_setting_is_in_the_reference() -> None:
    """Each field of the tables that `config` reads."""
    fields = {field.rstrip("_") for table in tables() for field in table.__struct_fields__}
    assert {"route", "shards", "to", "messaging_profile_id"} <= fields
    prose = (DOCS / "configuration.md").read_text(encoding="utf-8")
    named = settings_of(EXAMPLE) | set(re.findall(r"`([a-z0-9_]+)`", prose))
    assert fields <= named


def test_every_setting_that_another_guide_prints_is_in_the_reference() -> None:
    """An excerpt names nothing that the reference does not."""
    for document in DOCUMENTS:
        for block in blocks(document, "toml"):
            tomllib.loads(block.text)
            assert settings_of(block.text) <= settings_of(EXAMPLE), block.text

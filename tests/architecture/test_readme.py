"""The README tells the truth: what it names exists, and what exists and matters is named."""

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import otp_service
from otp_service import config, telemetry
from otp_service.cli.main import build_parser
from otp_service.domain.findings import AT_ONCE
from otp_service.storage.api_keys import SCOPES
from otp_service.web.problems import STATUS
from tests.campaign.__main__ import build_parser as campaign_parser

ROOT = Path(__file__).parent.parent.parent
PACKAGE = Path(otp_service.__file__).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
WORD = re.compile(r"[a-z][a-z-]*")


def section(title: str) -> str:
    """The text between this heading and the next of the same depth."""
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """A parser's commands by name; empty if it takes none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def resolve(words: list[str]) -> argparse.ArgumentParser:
    """The parser of `keys create`, also where `create|list` stands for both; fails for a command that is not there."""
    parser: argparse.ArgumentParser = build_parser()
    for word in words:
        known = commands(parser)
        if not known:
            break
        for name in word.split("|"):
            assert name in known, f"there is no command {name!r} in: otp-service {' '.join(words)}"
            parser = known[name]
    return parser


def spans() -> Iterator[str]:
    """Every piece of code in the README: inline, and line by line in blocks."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", README, re.DOTALL)
    for block in blocks:
        yield from block.splitlines()
    rest = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", rest)


def named_commands() -> set[str]:
    """`otp-service keys create …` wherever it stands, as `keys create`; in the table also without our name."""
    found = set()
    for span in spans():
        for call in re.findall(r"(?:^|[/ ])otp-service ((?:[a-z][a-z|\\-]*(?: |$))+)", span):
            found.add(" ".join(call.replace("\\|", "|").split()))
    for line in section("Commands").splitlines():
        cell = line.removeprefix("| ").split(" | ")[0] if line.startswith("| `") else ""
        for span in re.findall(r"`([^`]+)`", cell):
            words = span.replace("\\|", "|").removeprefix("otp-service ").split()
            taken = [word for word in words if re.fullmatch(r"[a-z][a-z|-]*", word)]
            found.add(" ".join(taken))
    return found


def test_every_command_that_is_named_exists() -> None:
    """In the text, in code blocks and in the table."""
    named = named_commands()
    assert {"dev", "serve", "keyring create", "keys create|list|revoke|rotate"} <= named
    for words in named:
        resolve(words.split())


def test_every_command_is_named() -> None:
    """Each top-level command, and each of the groups that the table spells out, has its place."""
    firsts = {words.split()[0] for words in named_commands()}
    assert firsts == set(commands(build_parser()))
    for group in ("keys", "keyring"):
        said = {
            name for words in named_commands() if words.startswith(f"{group} ") for name in words.split()[1].split("|")
        }
        assert said == set(commands(resolve([group])))


def test_every_option_that_is_named_exists() -> None:
    """`--dir`, `--threads` and the others belong to some command."""

    def options(parser: argparse.ArgumentParser) -> set[str]:
        own = {option for action in parser._actions for option in action.option_strings}
        return own.union(*(options(child) for child in commands(parser).values()))

    foreign = {"--quiet"}  # pip's and pytest's
    campaign = options(campaign_parser())
    said = {option for span in spans() if "curl" not in span for option in re.findall(r"--[a-z][a-z-]+", span)}
    assert said - foreign - campaign <= options(build_parser())


VARIABLE = re.compile(r"\b(?:OTP|TELNYX|SANDBOX|PROMETHEUS)_[A-Z][A-Z_]*\b")


def test_every_variable_that_is_named_exists() -> None:
    """The service reads it, or `otp-service dev` writes it to its env file."""
    for name in VARIABLE.findall(README):
        assert f'"{name}"' in SOURCE, name


def test_every_variable_of_the_configuration_is_named() -> None:
    """What `config` reads from the environment stands in the README."""
    text = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "config").glob("*.py"))
    read = set(re.findall(r'environ(?:\.get\(|\[|, )"([A-Z_]+)"', text))
    assert len(read) >= 10
    assert read <= set(VARIABLE.findall(README))


def test_the_configuration_that_is_printed_is_taken(tmp_path: Path) -> None:
    """The example of the README, as it stands there, is one; so is the one in deploy."""
    block = section("Configuration").split("```toml\n", 1)[1].split("```", 1)[0]
    path = tmp_path / "c.toml"
    path.write_text(block, encoding="utf-8")
    settings = config.load({"OTP_CONFIG": str(path)})
    assert list(settings.policy.apps) == ["default"]
    assert config.load({"OTP_CONFIG": str(ROOT / "deploy" / "otp-service.toml")}).policy.apps


def test_the_defaults_that_are_printed_are_the_defaults(tmp_path: Path) -> None:
    """What the example spells out for an app is what one has that says nothing."""
    block = section("Configuration").split("```toml\n", 1)[1].split("```", 1)[0]
    path = tmp_path / "c.toml"
    path.write_text(block, encoding="utf-8")
    told = config.load({"OTP_CONFIG": str(path)})
    document = tomllib.loads(block)
    sender = "\n".join(f'{key} = "{value}"' for key, value in document["senders"]["pool"].items())
    path.write_text(
        f'[senders.pool]\n{sender}\n[senders.backup]\n{sender}\n[apps.default]\nbrand = "Acme"\n'
        'route = ["pool", "backup"]\n'
    )
    short = config.load({"OTP_CONFIG": str(path)})
    left_out = [name for name in document["apps"]["default"] if name not in {"brand", "route"}]
    assert len(left_out) == 12
    for name in left_out:
        field = f"{name}_ms" if hasattr(told.policy.apps["default"], f"{name}_ms") else name
        assert getattr(told.policy.apps["default"], field) == getattr(short.policy.apps["default"], field), name
    assert (told.shards, told.queue_max, told.audit_retention_ms) == (
        short.shards,
        short.queue_max,
        short.audit_retention_ms,
    )


def test_the_tree_names_only_what_is_there() -> None:
    """Each file and folder of the drawing exists, and each folder and file at the top of the package is in it."""
    block = section("The tree").split("```\n", 1)[1].split("```", 1)[0]
    inside: set[str] = set()
    for line in block.splitlines():
        branch = re.match(r"[├└]── (.*)$", line)
        names = re.split(r"\s{2,}", branch[1] if branch else line, maxsplit=1)[0].split(", ")
        for name in names:
            base = PACKAGE if branch else ROOT
            assert (base / name).exists(), name
            assert (base / name).is_dir() is name.endswith("/"), name
            if branch:
                inside.add(name.rstrip("/"))
    there = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - inside == {"__init__.py"}
    layers = re.search(r"^tests/\s+by layer: (.*)$", block, re.MULTILINE)
    assert layers is not None
    for layer in layers[1].split():
        assert (ROOT / "tests" / layer / "__init__.py").is_file(), layer


@pytest.mark.parametrize(
    "path",
    sorted(set(re.findall(r"`((?:otp_service|deploy|tests|domain|web|storage|usecases|telnyx)/[\w./-]+)`", README))),
)
def test_every_file_that_is_named_exists(path: str) -> None:
    """From the top level, or within the package."""
    assert (ROOT / path).exists() or (PACKAGE / path).exists()


def test_every_script_and_module_that_is_named_exists() -> None:
    """Also where the text names the file alone, as `check.lua`."""
    for name in re.findall(r"`([a-z_]+\.(?:lua|py))", README):
        assert list(PACKAGE.rglob(name)), name


def test_every_metric_that_is_named_exists() -> None:
    """What operators are told to watch can be watched."""
    text = telemetry.metrics_text().decode()
    for name in re.findall(r"`(otp_[a-z_]+)`", README):
        if (PACKAGE.parent / name).is_dir():
            continue
        assert re.search(rf"^# TYPE {name} ", text, re.MULTILINE), name


def test_every_scope_and_code_that_is_named_exists() -> None:
    """The table of commands lists exactly the scopes that a key can have; problem codes have their status."""
    said = re.search(r"scopes \(([^)]*)\)", section("Commands"))
    assert said is not None
    assert set(re.findall(r"`([^`]+)`", said[1])) == set(SCOPES)
    for code in ("queue_full", "code_incorrect"):
        assert code in README
        assert code in STATUS


def test_every_dependency_that_is_listed_is_one() -> None:
    """Of the service's own packages the table and setup.cfg say the same; a developer's that it names is there."""
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")

    def packages(key: str) -> set[str]:
        block = re.search(rf"^{key} =\n((?:    .*\n)+)", setup, re.MULTILINE)
        assert block is not None
        return set(re.findall(r"^    ([a-z0-9-]+)", block[1], re.MULTILINE))

    rows = re.findall(r"^\| (.*?) \|", section("Dependencies"), re.MULTILINE)[1:]
    told = {name for row in rows if not row.startswith("*dev:*") for name in row.split(", ")}
    dev = {name for row in rows if row.startswith("*dev:*") for name in row.removeprefix("*dev:* ").split(", ")}
    assert told == packages("install_requires")
    assert dev <= packages("dev")


def test_the_codes_that_open_a_breaker_at_once_are_listed() -> None:
    """All of them and no others: the list is short, and an operator can read it."""
    told = section("Operation").split("Only these codes open one at once", 1)[1].split("A message now and then", 1)[0]
    assert set(re.findall(r"`([0-9]{5})`", told)) == set(AT_ONCE)

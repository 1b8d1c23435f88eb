"""What the documents name exists, and what exists and matters is named."""

import argparse
import re
from pathlib import Path

import pytest

from otp_service import telemetry
from otp_service.cli.main import build_parser
from otp_service.domain.findings import AT_ONCE
from otp_service.storage.api_keys import SCOPES
from otp_service.transparency.findings import Tampering
from otp_service.web.problems import STATUS
from tests.benchmarks.__main__ import build_parser as benchmark_parser
from tests.campaign.__main__ import build_parser as campaign_parser
from tests.failovers.__main__ import build_parser as failovers_parser
from tests.ledger.__main__ import build_parser as large_ledger_parser
from tests.mutations.__main__ import build_parser as mutations_parser

from .reading import DOCS, DOCUMENTS, PACKAGE, ROOT, all_spans, blocks, commands, name, options, read, resolve, section

SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
TEXT = "\n".join(read(document) for document in DOCUMENTS)
CONFIGURATION = DOCS / "configuration.md"
ARCHITECTURE = DOCS / "architecture.md"
OPERATION = DOCS / "operation.md"
FOREIGN_OPTIONS = {"--quiet", "--build", "--detach"}
"""Options of pip, pytest and docker."""


# ---- commands -------------------------------------------------------------------------------------------------------


def named_commands() -> set[str]:
    """`otp-service keys create …` wherever it is named, as `keys create`; in the table also without our name."""
    found = set()
    for span in all_spans():
        for call in re.findall(r"(?:^|[/ ])otp-service ((?:[a-z][a-z|\\-]*(?: |$))+)", span):
            found.add(" ".join(call.replace("\\|", "|").split()))
    for line in section(CONFIGURATION, "Commands").splitlines():
        cell = line.removeprefix("| ").split(" | ")[0] if line.startswith("| `") else ""
        for span in re.findall(r"`([^`]+)`", cell):
            words = span.replace("\\|", "|").removeprefix("otp-service ").split()
            found.add(" ".join(word for word in words if re.fullmatch(r"[a-z][a-z|-]*", word)))
    return found


def test_every_command_that_is_named_exists() -> None:
    """In the text, in code blocks and in the table."""
    named = named_commands()
    assert {"dev", "serve", "keyring create", "keys create|list|revoke|rotate"} <= named
    for words in named:
        resolve(words.split())


def test_every_command_is_named() -> None:
    """Each top-level command, and each of the groups that the table spells out."""
    assert {words.split()[0] for words in named_commands()} == set(commands(build_parser()))
    for group in ("keys", "keyring", "callbacks", "outbox", "messages", "numbers", "optouts"):
        calls = [words.split() for words in named_commands() if words.startswith(f"{group} ")]
        named = {one for words in calls for one in words[1].split("|")}
        assert named == set(commands(resolve([group]))), group


def test_every_option_says_what_it_is_for() -> None:
    """`--help` leaves none of them without a word, of any command."""
    pending = [build_parser()]
    while pending:
        parser = pending.pop()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                pending += action.choices.values()
            else:
                assert action.help, (parser.prog, action.dest)


def test_every_option_that_is_named_exists() -> None:
    """`--dir`, `--threads` and the others belong to some command."""
    lines = [span for span in all_spans() if not re.match(r"(cp|redis-cli|curl|gunicorn) ", span)]
    named = {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
    parsers = (build_parser, campaign_parser, benchmark_parser, failovers_parser, mutations_parser, large_ledger_parser)
    own = {option for make in parsers for option in options(make())}
    assert named - FOREIGN_OPTIONS <= own


# ---- variables, metrics, codes --------------------------------------------------------------------------------------

VARIABLE = re.compile(r"\b(?:OTP|TELNYX|SANDBOX|PROMETHEUS)_[A-Z][A-Z_]*\b")


def test_every_variable_that_is_named_exists() -> None:
    """The service reads it, or `otp-service dev` writes it to its env file."""
    for variable in set(VARIABLE.findall(TEXT)):
        of_an_app = re.fullmatch(r"OTP_(CALLBACK|RISK)_SECRET_DEFAULT(_FILE)?", variable)
        assert f'"{variable}"' in SOURCE or of_an_app, variable


def test_every_variable_of_the_configuration_is_named() -> None:
    """What `config` reads from the environment is in the reference."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "config").rglob("*.py"))
    known = set(re.findall(r'environ(?:\.get\(|\[|, )"([A-Z_]+)"', text))
    assert len(known) >= 10
    assert known <= set(VARIABLE.findall(section(CONFIGURATION, "Environment variables")))


def test_every_metric_that_is_named_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """What operators are asked to watch can be watched."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)  # of a service that another test ran in this process
    text = telemetry.metrics_text().decode()
    named = {metric for metric in re.findall(r"`(otp_[a-z_]+)`", TEXT) if not (ROOT / metric).is_dir()}
    assert len(named) >= 8
    for metric in named:
        assert re.search(rf"^# TYPE {metric} ", text, re.MULTILINE), metric


def test_the_table_of_commands_lists_exactly_the_scopes_that_a_key_can_have() -> None:
    """No more and no fewer."""
    named = re.search(r"scopes \(([^)]*)\)", section(CONFIGURATION, "Commands"))
    assert named is not None
    assert set(re.findall(r"`([^`]+)`", named[1])) == set(SCOPES)


def test_every_problem_code_that_is_named_exists_with_its_status() -> None:
    """`410 \\`already_approved\\`` and its like, in every document."""
    named = re.findall(r"\b([45][0-9]{2}) `([a-z_]+)`", TEXT)
    assert len(named) >= 10
    for status, code in named:
        assert str(STATUS[code][0]) == status, code


def test_the_codes_that_open_a_breaker_at_once_are_listed() -> None:
    """All of them and no others: the list is short, and an operator can read it."""
    text = section(OPERATION, "When the carrier stops us")
    listed = text.split("Only these codes open one at once", 1)[1].split("A message now and then", 1)[0]
    assert set(re.findall(r"`([0-9]{5})`", listed)) == set(AT_ONCE)


def test_the_guide_for_auditors_explains_every_finding() -> None:
    """Each word that `audit verify` can answer with has its row, and no other word has one."""
    table = section(DOCS / "audit.md", "The whole log").split("| finding |", 1)[1].split("\n\n", 1)[0]
    cells = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    assert {word for cell in cells for word in re.findall(r"`([a-z_]+)`", cell)} == {str(kind) for kind in Tampering}


def test_a_printed_check_says_whose_login_it_is() -> None:
    """A check by id alone approves a code that was started for somebody else's phone."""
    texts = [block.text for document in DOCUMENTS for block in blocks(document) if "/verify/check" in block.text]
    bodies = [body for text in texts for body in re.findall(r"/verify/check[^{}]*(\{[^{}]*\})", text)]
    assert len(bodies) >= 4
    for body in bodies:
        assert '"to"' in body or '"subject"' in body, body
        assert "verification_id" not in body or '"purpose"' in body, body


# ---- files ----------------------------------------------------------------------------------------------------------

FOLDERS = "otp_service|deploy|tests|cli|runtime|domain|usecases|storage|telnyx|receivers|web|sandbox|\\.github|\\.ci"


def test_the_tree_names_only_what_exists_and_every_part_of_the_package() -> None:
    """Each file and folder of the drawing exists, and each folder and file at the top of the package is in it."""
    (block,) = [block for block in blocks(ARCHITECTURE, "text") if block.text.startswith("otp_service/")]
    inside: set[str] = set()
    for line in block.text.splitlines():
        branch = re.match(r"[├└]── (.*)$", line)
        for entry in re.split(r"\s{2,}", branch[1] if branch else line, maxsplit=1)[0].split(", "):
            path = (PACKAGE if branch else ROOT) / entry
            assert path.exists(), entry
            assert path.is_dir() is entry.endswith("/"), entry
            if branch:
                inside.add(entry.rstrip("/"))
    there = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - inside == {"__init__.py"}
    layers = re.search(r"^tests/\s+by layer: (.*)$", block.text, re.MULTILINE)
    assert layers is not None
    for layer in layers[1].split():
        assert (ROOT / "tests" / layer / "__init__.py").is_file(), layer


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_file_that_is_named_exists(document: Path) -> None:
    """From the top level or within the package; a bare `check.lua` or `draw.py` anywhere."""
    text = read(document)
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", text):
        assert (ROOT / path).exists() or (PACKAGE / path).exists(), path
    for file in re.findall(r"`([a-z_]+\.(?:lua|py|toml|conf|yaml))`", text):
        assert file == "otp-service.toml" or any(
            list(top.rglob(file)) for top in (PACKAGE, ROOT / "deploy", ROOT / "tests")
        ), file


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    """A file beside the document, and a heading in it where one is named. Addresses are not fetched."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read(document)):
        if re.match(r"https?://", target):
            continue
        path, _, heading = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.is_file(), target
        if heading:
            assert heading in {anchor(line) for line in read(linked).splitlines() if line.startswith("#")}, target


def test_the_guide_for_operators_begins_with_its_contents() -> None:
    """Every heading is linked before the first one, in the order in which they stand."""
    head, _, body = read(OPERATION).partition("\n## ")
    linked = re.findall(r"\[([^\]]+)\]\(#([^)]+)\)", head)
    assert [title for title, _ in linked] == re.findall(r"^##+ (.*)$", "## " + body, re.MULTILINE)
    assert all(fragment == anchor(title) for title, fragment in linked)


def anchor(line: str) -> str:
    """The fragment that names a heading."""
    return re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")


def test_every_guide_is_linked_from_the_readme() -> None:
    """Nothing that was written is hard to find."""
    linked = set(re.findall(r"\]\(([^)\s]+)\)", read(ROOT / "README.md")))
    assert {name(document) for document in DOCUMENTS if document.name != "README.md"} <= linked
    assert "LICENSE" in linked


def test_every_dependency_that_is_listed_is_one() -> None:
    """The table and setup.cfg name the same packages."""
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")

    def packages(key: str) -> set[str]:
        block = re.search(rf"^{key} =\n((?:    .*\n)+)", setup, re.MULTILINE)
        assert block is not None
        return set(re.findall(r"^    ([a-z0-9-]+)", block[1], re.MULTILINE))

    rows = re.findall(r"^\| (.*?) \|", section(ARCHITECTURE, "Dependencies"), re.MULTILINE)[1:]
    named: dict[str, set[str]] = {}
    for row in rows:
        extra, _, names = row.rpartition(":* ")
        for one in extra.removeprefix("*").split(", "):
            named.setdefault(one or "install_requires", set()).update(names.split(", "))
    assert set(named) == {"install_requires", "dev", "bench", "postgres"}
    assert all(names == packages(key) for key, names in named.items())

"""`audit explain --bundle`: whoever has the evidence alone recomputes a decision, and is told what it does not hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from otp_service import config
from otp_service.bootstrap.configuration import configuration_hash, configuration_of
from otp_service.bootstrap.explaining import explain_in_bundle
from otp_service.cli.main import main
from otp_service.domain.canonical_json import canonical
from otp_service.signed_log.archives import write_archives
from otp_service.signed_log.evidence import Gathering, Question, answering, gather, stated
from otp_service.signed_log.explaining import NotExplained
from otp_service.transparency import bundles

from .harness import BEGAN_MS, SignedHarness

ABOUT: dict[str, Any] = {
    "app": "default",
    "verification": "v1",
    "values": {"mask": "+1******0143", "number_hash": "aa"},
}
LEFT = (4, 3, 1)
STARTED, WRONG, LIE, REPORT = 1, 2, 4, 5


@pytest.fixture
def policy(tmp_path: Path) -> tuple[str, str]:
    """Hash and content."""
    path = tmp_path / "otp.toml"
    path.write_text(config.DEV_TOML)
    settings = config.load({"OTP_CONFIG": str(path), "OTP_REDIS_URL": "redis://127.0.0.1:1"})
    content = configuration_of(settings)
    return f"sha256:{configuration_hash(settings)}", canonical(content).decode()


@pytest.fixture
def files(signed: SignedHarness, policy: tuple[str, str]) -> dict[str, bytes]:
    """Evidence of a number: a start and three wrong codes, of which the last says less than was left."""
    detail = {"channel": "sms", "purpose": "login"}
    signed.append({"type": "verification.started", "n": 1, "policy": policy[0], "detail": detail, **ABOUT})
    for n, left in enumerate(LEFT, 2):
        wrong = {"type": "check.failed", "n": n, "policy": policy[0][:23], "detail": {"checks_left": left}}
        signed.append({**wrong, "at_ms": BEGAN_MS + n, **ABOUT})
    signed.append({"type": "report.received", "n": 5, "policy": policy[0], "at_ms": BEGAN_MS + 9, **ABOUT})
    question = {"records": "1-5", "token": "t", "question": bundles.OF_A_NUMBER}
    signed.append({"type": bundles.STATED, "detail": question, "at_ms": BEGAN_MS + 10})
    signed.signer.sign()
    gathering = Gathering(signed.keys, None, {}, policies=dict([policy]))
    seqs = answering(signed.database, Question(number_hash="aa"))
    return gather(signed.database, seqs, stated(signed.database, "t"), gathering)


def test_a_decision_is_recomputed_from_the_bundle(signed: SignedHarness, files: dict[str, bytes]) -> None:
    """The outcome is the same; what differs or cannot be known is no explanation."""
    report = bundles.verify_bundle(files, signed.first_key)
    for seq in (STARTED, WRONG, WRONG + 1):
        found = explain_in_bundle(files, report, seq)
        assert found is not None
        assert (found.seq, found.explanation.agrees) == (seq, True)
        assert [one.fact for one in found.explanation.steps][:1] == ["restarts of the store"]
    assert explain_in_bundle(files, report, 99) is None
    for seq, words in ((LIE, "from the bundle alone it would be `wrong, 2 checks left`"), (REPORT, "is no decision")):
        with pytest.raises(NotExplained, match=words):
            explain_in_bundle(files, report, seq)
    bare = {name: raw for name, raw in files.items() if not name.startswith("policies/")}
    with pytest.raises(NotExplained, match=r"the configuration sha256:\w+ is not in the bundle"):
        explain_in_bundle(bare, report, STARTED)


def test_of_one_verification_the_number_is_not_known(signed: SignedHarness, files: dict[str, bytes]) -> None:
    """A step says that what else counted against the number is not looked at."""
    gathering = Gathering(signed.keys, None, {})
    seqs = answering(signed.database, Question(verification="v1"))
    bare = gather(signed.database, seqs, None, gathering)
    report = bundles.verify_bundle(bare, signed.first_key)
    policies = {name: raw for name, raw in files.items() if name.startswith("policies/")}
    found = explain_in_bundle({**bare, **policies}, report, WRONG)
    assert found is not None
    assert [one.fact for one in found.explanation.steps][:2] == ["the number", "restarts of the store"]


def test_the_command_needs_no_ledger(
    signed: SignedHarness, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle is verified first; what is refused or misspelt explains nothing."""
    path, _ = write_archives(tmp_path / "evidence.zip", files)
    asked = ("audit", "explain", "--bundle", str(path), "--key", str(signed.first_key))
    assert main([*asked, str(WRONG), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recomputed"] == "wrong, 4 checks left"
    for name, words in (("99", "has no record 99"), ("04-1795848693281-0", "by its number"), (str(LIE), "knows more")):
        assert main([*asked, name]) != 0
        assert words in capsys.readouterr().err
    assert main(["audit", "explain", "1", "--key", str(signed.first_key)]) != 0
    assert "without --bundle" in capsys.readouterr().err
    changed = {**files, bundles.RECORDS + "000000002.leaf": files[bundles.RECORDS + "000000002.leaf"] + b" "}
    changed[bundles.SUMS] = bundles.sums_of(changed)
    write_archives(path, changed)
    assert main([*asked, str(WRONG)]) != 0
    assert "the evidence is refused" in capsys.readouterr().err

"""What a bundle alone cannot show, an auditor finds in a copy of the log with the command of the guide."""

import re
import subprocess
from pathlib import Path

import pytest

from otp_service.signed_log.checking import check_promises
from otp_service.signed_log.evidence import Gathering, Question, gather, stated
from otp_service.signed_log.promises import Promise
from otp_service.transparency import bundles

from .harness import SignedHarness
from .test_commands import mirror

GUIDE = Path(__file__).parents[2] / "deploy/docs/audit.md"


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_cut_answer_is_found_in_the_log(log: SignedHarness, tmp_path: Path, is_cut: bool) -> None:
    """The statement is false, and the bundle verifies: the last record is in the copy, and `audit check` names it."""
    base = {"app": "default", "verification": "v9"}
    kinds = ("verification.started", "delivery.sent", "verification.approved", "report.received")
    log.append(*({"type": kind, "n": n, **base} for n, kind in enumerate(kinds, 1)))
    answer = [11, 12, 13] if is_cut else [11, 12, 13, 14]
    records = bundles.ranges_of(answer)
    question = Question(verification="v9")
    log.append({
        "type": bundles.STATED,
        "detail": {"records": records, "token": "t", "question": question.sentence, "searched": "1-14"},
    })  # fmt: skip
    log.signer.sign()
    files = gather(log.database, answer, stated(log.database, "t"), Gathering(log.keys, None, {}))
    assert bundles.verify_bundle(files, log.first_key).claim.startswith("records 1 to 14 of the log, as record 15")
    mirror(log, tmp_path / "copy")
    (command,) = re.findall(r"^find DIR/tile/entries .*$", GUIDE.read_text(), re.MULTILINE)
    environ = {"PATH": "/usr/bin:/bin", "ID": "vrf_v9"}
    done = subprocess.run(
        ["sh", "-c", command.replace("DIR", "copy")],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.split() == [f'"seq":{seq}' for seq in (11, 12, 13, 14)]
    left_out = [one for one in check_promises(log.database, 0, None).breaches if one.promise is Promise.EVIDENCE]
    assert ["leaves out record 14" in one.sentence for one in left_out] == ([True] if is_cut else [])

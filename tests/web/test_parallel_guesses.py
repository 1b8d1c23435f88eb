"""Guesses at one person from three processes at the same moment, over three factors: as many judgements as in a row."""

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from otp_service import bootstrap

from ..conftest import clean_environ
from .conftest import PUBLIC_URL, ApiHarness
from .people import Person

PROCESSES = 3


@contextlib.contextmanager
def processes(api: ApiHarness) -> Iterator[list["subprocess.Popen[str]"]]:
    """Three processes of the service over the harness's store and keyring, each ready to ask."""
    settings = api.settings
    bootstrap.accept_keyring(settings)
    environ = clean_environ(
        OTP_CONFIG=str(settings.config_path),
        OTP_KEYRING=str(settings.keyring_path),
        OTP_REDIS_URL=settings.redis_url,
        OTP_PUBLIC_URL=PUBLIC_URL,
        TELNYX_PUBLIC_KEY=settings.telnyx_public_key or "",
        TELNYX_BASE_URL="http://127.0.0.1:1/v2",
    )
    command = [sys.executable, "-m", "tests.web.guessing_process", api.key()]
    running = [
        subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env=environ,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield running
    finally:
        for one in running:
            one.kill()
            one.communicate()


def ask(running: Sequence["subprocess.Popen[str]"], bodies: Sequence[dict[str, str]]) -> Counter[tuple[int, str]]:
    """Give each process its share of the bodies; how often each answer came."""
    for number, one in enumerate(running):
        assert one.stdin is not None
        one.stdin.write(json.dumps(bodies[number::PROCESSES]) + "\n")
        one.stdin.flush()
    found: Counter[tuple[int, str]] = Counter()
    for one in running:
        assert one.stdout is not None
        found.update((status, code) for status, code in json.loads(one.stdout.readline()))
    return found


@pytest.fixture
def ann(api: ApiHarness) -> Person:
    """A person with an authenticator app, recovery codes and a number to which a code was sent."""
    person = Person(api, "user-ann")
    first = api.started(api.number(), subject=person.subject)
    assert person.check(api.code(first)).status == 200
    person.enrolled()
    return person


def test_three_processes_judge_as_one(api: ApiHarness, ann: Person) -> None:
    """Fifty guesses with two right codes: each approved once. Fifty-one wrong ones over three factors: five judged.

    By subject with six digits and as recovery codes, and by the id of a verification that named the subject.
    """
    codes = ann.recovery_codes()
    (factor_id,) = ann.phone
    foreign = Person(api, "somebody else").recovery_codes()
    proof = ann.check(codes[0]).json["receipt"]
    started = api.start(api.number(), subject=ann.subject, purpose="bind", proof=proof).json["verification_id"]
    with processes(api) as running:
        bodies = [{"subject": ann.subject, "code": code} for code in (ann.shown(factor_id, 1), codes[1])]
        answers = ask(running, [bodies[number // PROCESSES % 2] for number in range(50)])
        assert answers == Counter({(200, ""): 2, (410, "code_used"): 48})
        kinds = [
            {"subject": ann.subject, "code": ann.wrong()},
            {"subject": ann.subject, "code": foreign[0]},
            {"verification_id": started, "code": api.wrong(started)},
        ]
        answers = ask(running, [kinds[number // PROCESSES % 3] for number in range(51)])
    judged = answers[422, "code_incorrect"] + answers[410, "attempts_exhausted"]
    assert (judged, answers[429, "too_many_wrong_codes"]) == (5, 46), answers

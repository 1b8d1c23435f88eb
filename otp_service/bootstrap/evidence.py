"""Making evidence: the question goes on record first, so that the log itself says which records answer it."""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..clock import clock_ms
from ..config import Settings
from ..domain import phone
from ..domain.audit import EventType
from ..domain.errors import ServiceError
from ..keyring_reload import ReloadedKeyring
from .signed_log import build_signer
from .stores import open_keyring, open_stores

if TYPE_CHECKING:
    from ..ledger.database import Database
    from ..signed_log.evidence import Question
    from ..signed_log.own_log import OwnLog

WAIT_S = 15.0
"""For the statement to arrive in the ledger; a worker brings it there within a second or two."""

FIRST_S = 5.0
"""For a first record that answers."""

POLL_S = 0.2
STATED_TIMES = 3
"""So often the answer is stated before it is given up that records of before the statement still arrive."""

DISCLOSED = "disclosed"
"""The member of a statement that says what of persons the bundle shows: `persons`, and `webhooks`."""

STATED_MAX = 40_000
"""Characters of a statement: a record of the log has at most 65,535 bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The records that answer, how many records of the log were searched, and the configurations that are packed."""

    seqs: list[int]
    searched: int
    policies: Mapping[str, str]


class Evidence:
    """What `audit evidence` works with."""

    def __init__(self, settings: Settings, own: "OwnLog") -> None:
        self._settings = settings
        self._own = own
        self._keyring: ReloadedKeyring = open_keyring(settings)

    @property
    def _database(self) -> "Database":
        return self._own.database

    def about_number(self, number: str) -> "Question":
        """What is asked about a number. Raises InvalidNumber."""
        from ..signed_log.evidence import Question  # noqa: PLC0415

        parsed = phone.parse(number)
        return Question(number_hash=self._keyring.ids.number_hash(parsed.e164), mask=parsed.mask)

    def make(
        self,
        question: "Question",
        progress: Callable[[int, int], object],
        *,
        disclose: bool,
        webhooks: bool = False,
        configurations: bool = True,
        kept: str = "",
    ) -> tuple[dict[str, bytes], str | None]:
        """The files of the bundle, and why the log says nothing of what belongs in it; None if it does.

        `disclose`, `webhooks`: see `Gathering`. `configurations`: whether those that the records name are packed, which
        say the limits and names of all apps. `kept`: the note of an older checkpoint that the log continues.

        Raises LedgerUnavailable and NoEvidence.
        """
        from ..signed_log.evidence import Gathering, NoEvidence, gather  # noqa: PLC0415

        if question.until_ms > clock_ms():
            raise NoEvidence("the end of the time that is asked about has not passed")
        shows = [name for name, is_shown in (("persons", disclose), ("webhooks", webhooks)) if is_shown]
        answer, statement, fault = self._answered(question, shows, configurations=configurations)
        build_signer(self._settings, self._keyring, self._database).sign()
        also = {"jwks.json": json.dumps(self._keyring.jwks(), indent=2).encode() + b"\n"}
        unseal = self._keyring.open if disclose else None
        gathering = Gathering(self._own.keys(), unseal, also, clock_ms(), kept, webhooks, answer.policies)
        return gather(self._database, answer.seqs, statement, gathering, progress), fault

    def _answered(
        self, question: "Question", shows: Sequence[str], *, configurations: bool
    ) -> "tuple[Answer, int | None, str | None]":
        """What answers, the record that says so, and why there is none. `shows`: what is disclosed, which it says too.

        What was older than the statement and came into the ledger behind the search belongs to the answer: then it is
        stated again.
        """
        from ..signed_log.evidence import answering  # noqa: PLC0415

        answer = self._search(question, configurations=configurations)
        for _ in range(STATED_TIMES):
            statement, fault = self._state(question, answer, shows)
            if statement is None or answering(self._database, question, statement) == answer.seqs:
                return answer, statement, fault
            answer = self._search(question, configurations=configurations)
        return answer, None, "records that answer still arrive in the ledger: try again"

    def _search(self, question: "Question", *, configurations: bool) -> "Answer":
        """What answers; what happened just now is in the ledger a second or two later."""
        from ..signed_log.evidence import NoEvidence, search  # noqa: PLC0415
        from ..signed_log.named_policies import named_policies  # noqa: PLC0415

        until = time.monotonic() + FIRST_S
        while True:
            try:
                seqs, size = search(self._database, question)
                return Answer(seqs, size, named_policies(self._database, seqs) if configurations else {})
            except NoEvidence:
                if time.monotonic() >= until:
                    raise
                time.sleep(POLL_S)

    def _state(self, question: "Question", answer: "Answer", shows: Sequence[str]) -> tuple[int | None, str | None]:
        """Put on record which records answer, and wait until that is in the ledger."""
        from ..signed_log.evidence import stated  # noqa: PLC0415
        from ..transparency.bundled_policies import CONFIGURATIONS, digest_of  # noqa: PLC0415
        from ..transparency.bundled_range import SEARCHED, range_of  # noqa: PLC0415
        from ..transparency.bundles import ranges_of  # noqa: PLC0415

        token, records = secrets.token_hex(8), ranges_of(answer.seqs)
        asked = {"question": question.sentence, **({DISCLOSED: " ".join(shows)} if shows else {})}
        try:
            if len(records) > STATED_MAX:
                self._record(EventType.AUDIT_READ, {"command": "audit evidence", **asked}, question)
                return None, "there are too many records for one statement"
            told = {"token": token, **asked, "records": records, "count": str(len(answer.seqs))}
            told[SEARCHED] = range_of(answer.searched)
            if answer.policies:
                told[CONFIGURATIONS] = digest_of(answer.policies)
            self._record(EventType.EVIDENCE_MADE, told, question)
        except ServiceError as error:
            return None, error.detail
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            found = stated(self._database, token)
            if found is not None:
                return found, None
            time.sleep(POLL_S)
        return None, "no worker brought the statement into the ledger"

    def _record(self, kind: EventType, detail: Mapping[str, str], question: "Question") -> None:
        stores = open_stores(self._settings, self._keyring)
        number_hash = question.number_hash or ""
        shard = stores.audit.shard_of(number_hash) if number_hash else 0
        try:
            stores.audit.record(kind, detail, shard=shard, mask=question.mask, number_hash=number_hash)
        finally:
            stores.store.close()

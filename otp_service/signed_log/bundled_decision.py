"""A decision in a bundle, recomputed from its records and configurations alone: no ledger is needed for it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..domain.explaining.configuration import read_policy
from ..domain.explaining.explain import DECISIONS, explain
from ..domain.explaining.history import RESTARTS
from ..domain.explaining.record import Explanation, Happened, RefusalOf, Step, taken
from ..domain.policy import Policy
from ..transparency.bundled_policies import POLICIES, PREFIX
from ..transparency.bundles import LEAF, OF_A_NUMBER, RECORDS, BundleReport
from .explaining import SHOWN, Explained, NotExplained
from .reading import UNREADABLE

Files = Mapping[str, bytes]


def explain_bundled(files: Files, report: BundleReport, seq: int, refusal_of: RefusalOf) -> Explained | None:
    """Recompute the decision of this record; None if it is not there. `report`: what the bundle proves.

    A bundle about a number has all that counted against it. Any other has the verification alone, which a step says.
    Raises NotExplained, also where the rules come to something else: what they need may not be in the bundle.
    """
    leaves = [json.loads(raw) for name, raw in files.items() if name.startswith(RECORDS) and name.endswith(LEAF)]
    leaf = next((one for one in leaves if one["seq"] == seq), None)
    if leaf is None:
        return None
    try:
        return _explained(leaf, leaves, _is_of_number(report), files, refusal_of)
    except KeyError as error:
        raise NotExplained(f"record {seq}: {error.args[0]} is not in the bundle") from error
    except UNREADABLE as error:
        raise NotExplained(f"record {seq}, or what it rests on, cannot be read") from error


def _is_of_number(report: BundleReport) -> bool:
    question = report.question or ""
    return question == OF_A_NUMBER or question.startswith(f"{OF_A_NUMBER} ")


def _explained(
    leaf: Mapping[str, Any], leaves: list[dict[str, Any]], is_of_number: bool, files: Files, refusal_of: RefusalOf
) -> Explained:
    event = _happened(leaf)
    if event.type not in DECISIONS:
        raise NotExplained(f"record {event.seq} ({event.type}) is no decision by the service's rules")
    policies = {name.removeprefix(POLICIES): raw for name, raw in files.items() if name.startswith(POLICIES)}

    def policy_of(named: str | None) -> Policy:
        digits = (named or "")[:SHOWN].removeprefix(PREFIX)
        found = next((raw for name, raw in policies.items() if digits and name.startswith(digits)), None)
        if found is None:
            raise KeyError(f"the configuration {named}")
        return read_policy(json.loads(found))

    happened = sorted(map(_happened, leaves), key=_in_order)
    whose = [one for one in happened if is_of_number or one.verification == event.verification or one.type in RESTARTS]
    # A process puts a restart on record after the store knows of it, so later ones belong to what came before.
    before = [one for one in whose if _in_order(one) < _in_order(event) or one.type in RESTARTS]
    found = explain(event, before, policy_of, refusal_of)
    assert found is not None
    if not found.agrees:
        against = next((f": {one.fact}: not so that {one.rule}" for one in found.steps if not one.holds), "")
        raise NotExplained(
            f"record {event.seq} is `{found.recorded}`, and from the bundle alone it would be `{found.recomputed}`"
            f"{against}. The ledger knows more: ask for evidence of the number, or for `audit explain` there"
        )
    steps = (*_missing(is_of_number), *found.steps)
    told = Explanation(found.recorded, found.recomputed, steps)
    return Explained(event.seq, str(leaf["at"]), event.type, event.policy, told)


def _missing(is_of_number: bool) -> tuple[Step, ...]:
    restarts = taken("restarts of the store", "a bundle has only those that belong to the answer")
    number = taken("the number", "one verification is looked at: what else counted against the number is not")
    return (restarts,) if is_of_number else (number, restarts)


def _in_order(event: Happened) -> tuple[int, int]:
    """The events of a number came from one stream, and are in the ledger in its order."""
    return event.at_ms, event.seq


def _happened(leaf: Mapping[str, Any]) -> Happened:
    at_ms = round(datetime.fromisoformat(leaf["at"]).timestamp() * 1000)
    named = (leaf["type"], leaf["app"], leaf["verification_id"], leaf["delivery_id"], leaf["policy"], leaf["detail"])
    return Happened(leaf["seq"], at_ms, *named)

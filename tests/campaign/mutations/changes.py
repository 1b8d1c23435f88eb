"""The ways in which the service is broken: text of its source that is replaced, and the promise that must fall.

A change whose text is not found any more is an error: `test_mutations` says which.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .. import breaches
from ..caller import Caller
from ..factor_flows import guess_at_a_subject, use_an_app, use_recovery_codes
from ..scenarios import (
    abandon,
    check_after_cancel,
    check_after_expiry,
    log_in,
    log_in_by_number,
    log_in_with_context,
    look_from_another_app,
    spend_the_budget,
)
from .scenarios import (
    check_again,
    deny_and_check,
    guess_after_a_resend,
    guess_often,
    log_in_after_four_wrong_codes,
    log_in_while_a_shard_is_down,
    log_in_while_the_store_hangs,
    opt_out_and_ask,
    resend_at_once,
    resend_once,
)

LUA = "storage/lua"
Scenario = Callable[[Caller], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Change:
    """In the file `path` of the service the text `old`, which stands there once, becomes `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """One broken service. One of the kinds of breach in `falls` must be reported when the scenario has run."""

    name: str
    falls: Sequence[str]
    scenario: Scenario
    changes: Sequence[Change]
    store: str = "server"
    """The kind of store."""


def _one(name: str, falls: str | Sequence[str], scenario: Scenario, path: str, old: str, new: str = "") -> Mutation:
    kinds = (falls,) if isinstance(falls, str) else tuple(falls)
    return Mutation(name, kinds, scenario, (Change(path, old, new),))


MUTATIONS: Sequence[Mutation] = (
    _one(
        "a start ignores opt-outs",
        breaches.OPTED_OUT,
        opt_out_and_ask,
        f"{LUA}/verification/start.lua",
        "local blocked = blocked_on_route(optouts_key, route .. ',' .. failover_route)",
        "local blocked = {}",
    ),
    _one(
        "a STOP is not recorded",
        breaches.OPTED_OUT,
        opt_out_and_ask,
        f"{LUA}/optout/record_keyword.lua",
        "if is_older() then return 'older' end",
        "do return 'older' end",
    ),
    _one(
        "a denial is ignored",
        breaches.DENIED,
        deny_and_check,
        f"{LUA}/verification/deny.lua",
        "if not answered then return 'no' end",
        "if answered or not answered then return 'no' end",
    ),
    _one(
        "a number has no budget",
        breaches.SPENT,
        spend_the_budget,
        f"{LUA}/_number.lua",
        "  return wait, limit\n",
        "  return nil\n",
    ),
    _one(
        "the store's time-out is raised",
        (breaches.SLOW, breaches.SILENT),
        log_in_while_the_store_hangs,
        "storage/connect.py",
        "\nTIMEOUT_S = 0.45\n",
        "\nTIMEOUT_S = 9.0\n",
    ),
    Mutation(
        "a code is approved twice",
        (breaches.DOUBLE,),
        check_again,
        (
            Change(
                f"{LUA}/verification/check.lua",
                "if status ~= 'pending' then return {operation, token, 'ended', status} end",
                "if status ~= 'pending' and status ~= 'approved' then return {operation, token, 'ended', status} end",
            ),
            Change(f"{LUA}/_ending.lua", "  redis.call('DEL', c.secrets)\n", ""),
        ),
    ),
    Mutation(
        "codes do not expire",
        (breaches.FALSE,),
        check_after_expiry,
        (
            Change(
                f"{LUA}/_life.lua",
                "  return now >= tonumber(expires) or",
                "  do return false end\n  return now >= tonumber(expires) or",
            ),
            Change(
                f"{LUA}/verification/start.lua",
                "redis.call('PEXPIREAT', secrets_key, int(expires))",
                "redis.call('PEXPIREAT', secrets_key, int(expires + 60000))",
            ),
        ),
    ),
    _one(
        "a cancel ends nothing",
        breaches.FALSE,
        check_after_cancel,
        f"{LUA}/verification/cancel.lua",
        "end_verification(c, 'verification.canceled', version)\n",
    ),
    _one(
        "tries are not counted",
        breaches.BUDGET,
        guess_often,
        f"{LUA}/verification/check.lua",
        "local attempts = redis.call('HINCRBY', record_key, Record.ATTEMPTS, 1)",
        "local attempts = 1",
    ),
    _one(
        "a resend gives tries back",
        breaches.BUDGET,
        guess_after_a_resend,
        f"{LUA}/verification/start.lua",
        "local fields = {Record.EXPIRES, int(expires), Record.SENDING,",
        "local fields = {Record.ATTEMPTS, 0, Record.EXPIRES, int(expires), Record.SENDING,",
    ),
    _one(
        "any code is right",
        breaches.FALSE,
        log_in_after_four_wrong_codes,
        f"{LUA}/verification/check.lua",
        "if guessed == digest then",
        "if guessed then",
    ),
    _one(
        "one try too few",
        breaches.REFUSED,
        log_in_after_four_wrong_codes,
        f"{LUA}/verification/check.lua",
        "local left = max_checks - attempts\n",
        "local left = max_checks - attempts - 1\n",
    ),
    _one(
        "the context is ignored",
        breaches.CONTEXT,
        log_in_with_context,
        "domain/codes.py",
        '    if not context:\n        return ""\n',
        '    if context is not None:\n        return ""\n',
    ),
    _one(
        "a check for another number is approved",
        breaches.FOREIGN,
        log_in_by_number,
        f"{LUA}/verification/check.lua",
        "if asserted_number ~= '' and asserted_number ~= number_hash then return {operation, token, 'not_found'} end\n",
    ),
    _one(
        "another app may read a verification",
        breaches.FOREIGN,
        look_from_another_app,
        "storage/record_views.py",
        "return Record.FACTS in record and app in (None, app_of(record))",
        "return Record.FACTS in record",
    ),
    _one(
        "a receipt is redeemed twice",
        breaches.DOUBLE,
        check_again,
        f"{LUA}/verification/redeem_receipt.lua",
        "if redeemed then return {operation, 'redeemed_before',",
        "if false then return {operation, 'redeemed_before',",
    ),
    _one(
        "the signature of webhooks is ignored",
        breaches.FORGED,
        opt_out_and_ask,
        "telnyx/signatures.py",
        "    if not any(is_by(key, raw_signature, signed) for key in keys):\n        return Verdict.BAD_SIGNATURE\n",
    ),
    _one(
        "callbacks of approvals are lost",
        breaches.CALLBACK,
        log_in,
        f"{LUA}/callback/put.lua",
        "local now = clock()\n",
        "local now = clock()\nif event_type == 'verification.approved' then return 'known' end\n",
    ),
    _one(
        "each message is sent twice",
        breaches.DUPLICATE,
        log_in,
        "telnyx/gateway.py",
        "        return self._client.send(request, idempotency_key=idempotency_key, within_s=within_s)\n",
        "        again = self._client.send(request, idempotency_key=idempotency_key + 'x', within_s=within_s)\n"
        "        return self._client.send(request, idempotency_key=idempotency_key, within_s=within_s) or again\n",
    ),
    Mutation(
        "the next sender sends what was delivered",
        (breaches.DUPLICATE,),
        abandon,  # an approval might come before the next sender's turn
        (
            Change(
                f"{LUA}/delivery/apply_report.lua",
                "if status == 'failed' and blamed ~= '' then\n",
                "if status == 'delivered' or (status == 'failed' and blamed ~= '') then\n",
            ),
            Change(f"{LUA}/delivery/begin_send.lua", "if is_delivered_by_another() then\n", "if false then\n"),
        ),
    ),
    _one(
        "accepted starts are not queued",
        breaches.LOST,
        resend_once,
        f"{LUA}/_delivery.lua",
        "  if not c.test then redis.call('XADD', c.outbox, '*', Outbox.DELIVERY, id, Outbox.SENDER, sender) end\n",
    ),
    _one(
        "an approval is not in the audit log",
        breaches.GAP,
        log_in,
        f"{LUA}/verification/check.lua",
        "write_ending(c, fields, 'approved', audit_event('verification.approved', nil, detail), version + 1)",
        "write_ending(c, fields, 'approved', audit_event('verification.other', nil, detail), version + 1)",
    ),
    _one(
        "the record says that guesses cost nothing",
        breaches.RECORD,
        log_in_after_four_wrong_codes,
        f"{LUA}/verification/check.lua",
        "local detail = '{\"checks_left\":' .. int(left) .. '}'",
        "local detail = '{\"checks_left\":' .. int(max_checks) .. '}'",
    ),
    _one(
        "the record gives a refusal another reason",
        breaches.RECORD,
        resend_at_once,
        f"{LUA}/verification/start.lua",
        "cjson.encode({code = code, skipped = skipped,",
        "cjson.encode({code = 'rate_limited', skipped = skipped,",
    ),
    _one(
        "a number has two pending codes",
        breaches.TWICE,
        resend_once,
        f"{LUA}/verification/start.lua",
        "    pending = true\n    who.token, who.record = latest, known_record_key\n",
    ),
    _one(
        "a step is accepted again",
        breaches.DOUBLE,
        use_an_app,
        f"{LUA}/factor/check.lua",
        "if step > last_step and step >= first[i] then",
        "if step >= last_step and step >= first[i] then",
    ),
    _one(
        "a recovery code stays unused",
        breaches.DOUBLE,
        use_recovery_codes,
        f"{LUA}/factor/check.lua",
        "return approve(recovery_token, kind, {name, CodeState.USED}, left)",
        "return approve(recovery_token, kind, {name, CodeState.UNUSED}, left)",
    ),
    _one(
        "a replaced recovery code stays good",
        breaches.FALSE,
        use_recovery_codes,
        f"{LUA}/factor/check.lua",
        "  local state, kind = field(name), facts_of(subject_key, recovery_token)\n",
        "  local state, kind = field(name) or CodeState.UNUSED, facts_of(subject_key, recovery_token)\n",
    ),
    _one(
        "a subject has no budget",
        breaches.BUDGET,
        guess_at_a_subject,
        f"{LUA}/factor/_tries.lua",
        "  if over < 0 then return nil end\n",
        "  if over < 90 then return nil end\n",
    ),
    _one(
        "any code of an app's length is right",
        breaches.FALSE,
        guess_at_a_subject,
        "domain/totp.py",
        "if hmac.compare_digest(code_at(secret, form, step), code)]",
        "if len(code_at(secret, form, step)) == len(code)]",
    ),
    _one(
        "an approval by a factor is not on record",
        breaches.GAP,
        use_recovery_codes,
        f"{LUA}/factor/check.lua",
        "local events = {factor_event('factor.approved', token,",
        "local events = {factor_event('factor.renamed', token,",
    ),
    Mutation(
        "a dead shard stops all shards",
        (breaches.SHARDS,),
        log_in_while_a_shard_is_down,
        (
            Change(
                "storage/pipelined/routes.py",
                "        if found.refuses:\n",
                "        if any(each.refuses for each in (*self._links.values(), *self._confirmed.values())):\n"
                "            from ..unsent import UnsentError\n\n"
                '            raise UnsentError("A node cannot be reached.")\n'
                "        if found.refuses:\n",
            ),
        ),
        "cluster",
    ),
    _one(
        "starts are refused without need",
        breaches.REFUSED,
        log_in,
        f"{LUA}/verification/start.lua",
        "if (test ~= '1' or room < 0) and redis.call('XLEN', outbox_key) >= room then",
        "if redis.call('XLEN', outbox_key) >= 0 then",
    ),
)

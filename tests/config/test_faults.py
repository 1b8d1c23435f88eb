"""A configuration with several mistakes: each is reported in a line of its own, with what to write instead."""

from pathlib import Path

import pytest

from otp_service import config
from otp_service.domain.errors import ConfigError

BAD = """
[service]
shards = "many"
[senders.pool]
kind = "number_pool"
[senders.backup]
kind = "pigeon"
messaging_profile_id = "p-1"
[apps.default]
brand = "Acme"
route = ["pool", "backup", "nobody"]
code_length = 5
code_ttl = "11m"
colour = "red"
wrong_codes_per_number = [{limit = 20, per = "24h"}, {limit = 0, per = "1h"}]
"""


def lines(tmp_path: Path, text: str, **environ: str) -> list[str]:
    """What is reported of a file with this text."""
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        config.load({"OTP_CONFIG": str(path), **environ})
    return refused.value.detail.splitlines()


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    """A head line with their number, then one line for each: of the file, of several tables, and of variables."""
    head, *faults = lines(tmp_path, BAD, OTP_LOG_LEVEL="loud", OTP_SHARDS="0", TELNYX_API_KEY_FILE="/nowhere")
    assert head == "the configuration has 11 faults:"
    assert [line.strip().partition(": ")[0] for line in faults] == [
        "service.shards",
        "senders.pool.messaging_profile_id",
        "senders.backup.kind",
        "apps.default.colour",
        "apps.default.code_length",
        "apps.default.code_ttl",
        "apps.default.wrong_codes_per_number[1].limit",
        "apps.default.route",
        "OTP_SHARDS",
        "TELNYX_API_KEY_FILE",
        "OTP_LOG_LEVEL",
    ]


def test_one_fault_is_one_line(tmp_path: Path) -> None:
    """Without a head line."""
    assert lines(tmp_path, "", OTP_LOG_LEVEL="loud") == [
        "OTP_LOG_LEVEL: must be one of debug, info, warning, error",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[service]\nshards = true", "service.shards: must be a whole number, not true or false"),
        ('[service]\nshards = "16"', "service.shards: must be a whole number, not text in quotes"),
        ("[service]\nshards = 0", "service.shards: must be a whole number of at least 1"),
        ("[service]\nissuer = ''", "service.issuer: must be text in quotes of length at least 1"),
        (
            "[service]\noptout_sync = 'often'",
            'service.optout_sync: \'often\' is not a duration such as "30s", "5m", "24h" or "90d"',
        ),
        (
            "[senders.x]\nkind = 'pigeon'\nmessaging_profile_id = 'p'",
            "senders.x.kind: 'pigeon' is unknown; write one of long_code, number_pool, short_code, alphanumeric, "
            "whatsapp",
        ),
        ("[senders]\nx = 1", "senders.x: must be a table; write [senders.x]"),
        ("senders = 1", "senders: must be a table; write [senders.NAME]"),
        (
            "[alerts]\nfrom = '+18445550001'\nmail = 'a@b.c'\nto = ['+14165550123']",
            "alerts.mail: unknown key; the keys are from, to",
        ),
        (
            "[alerts]\nto = ['+14165550123']",
            'alerts.from: missing; write for example from = "+18445550001"',
        ),
    ],
)
def test_a_fault_has_what_to_write_instead(tmp_path: Path, text: str, line: str) -> None:
    """In the words of the file: whole numbers, text in quotes, lists, tables, the values and keys there are."""
    assert lines(tmp_path, text) == [line]


def test_a_sender_with_a_fault_is_not_reported_again_as_missing(tmp_path: Path) -> None:
    """A fault has one line, also if other tables use what is wrong."""
    text = "[senders.x]\nkind = 'pigeon'\nmessaging_profile_id = 'p'\n[apps.a]\nbrand = 'A'\nroute = ['x']"
    assert len(lines(tmp_path, text)) == 1

"""What may stand in [audit] of whom checkpoints are sent to."""

from pathlib import Path

import pytest

from otp_service.domain.outlets import EVERY_MS, Outlets, WitnessAddress

from ..transparency.signing import signer, witness_signer
from .reading import read, refusal

WITNESS = str(witness_signer(1).key)


def test_outlets_are_read(tmp_path: Path) -> None:
    """Nothing is sent unless an address is there."""
    assert (read(tmp_path, "").outlets, Outlets().any) == (Outlets(), False)
    authorities = tmp_path / "ca.pem"
    authorities.touch()
    toml = f"""
        [audit]
        checkpoint_url = "https://log.example.com/in?token=x"
        checkpoint_every = "5m"
        timestamp_url = "https://tsa.example.com/"
        timestamp_ca_file = "{authorities}"
        witnesses = [{{url = "https://witness.example.com", key = "{WITNESS}"}}]
    """
    outlets = read(tmp_path, toml).outlets
    assert outlets == Outlets(
        checkpoint_url="https://log.example.com/in?token=x",
        checkpoint_every_ms=300_000,
        timestamp_url="https://tsa.example.com/",
        timestamp_ca_file=str(authorities),
        witnesses=(WitnessAddress("https://witness.example.com", WITNESS),),
    )
    assert outlets.any
    private = '[audit]\ncheckpoint_url = "http://127.0.0.1:9/in"\nallow_private = true'
    assert read(tmp_path, private).outlets.checkpoint_every_ms == EVERY_MS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('checkpoint_url = "http://log.example.com"', "audit.checkpoint_url: must be https"),
        ('checkpoint_url = "https://log.internal"', "leads into a private network (only with audit.allow_private)"),
        ('checkpoint_every = "0s"', "audit.checkpoint_every: must be at least 1s"),
        ('timestamp_url = "https://tsa.example.com"', "belongs together with timestamp_ca_file"),
        ('timestamp_ca_file = "ca.pem"', "belongs together with timestamp_ca_file"),
        ('timestamp_url = "https://t.example.com"\ntimestamp_ca_file = "/no/such"', "/no/such is no file"),
        ('witnesses = [{url = "https://w.example.com"}]', "key"),
        ('witnesses = [{url = "https://w.example.com", key = "w"}]', "the key that `witness run` prints"),
        (f'witnesses = [{{url = "https://w.example.com", key = "{signer(1).key}"}}]', "it is the key of a log"),
        (
            f'witnesses = [{{url = "https://w.example.com", key = "{WITNESS}"}}, '
            f'{{url = "https://v.example.com", key = "{witness_signer(2).key}"}}]',
            "2 of them have the name witness.example",
        ),
        (f'witnesses = [{{url = "ftp://w.example.com", key = "{WITNESS}"}}]', "audit.witnesses: must be https"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, line: str, words: str) -> None:
    """In one sentence that names the key."""
    assert words in refusal(tmp_path, f"[audit]\n{line}")

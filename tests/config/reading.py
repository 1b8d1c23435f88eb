"""Reading a configuration from text, for tests."""

from pathlib import Path

import pytest

from otp_service.config import Settings, load
from otp_service.domain.errors import ConfigError
from otp_service.domain.policy import Sender, SenderKind


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    """Load a file of this text."""
    path = tmp_path / "otp-service.toml"
    path.write_text(text, encoding="utf-8")
    return load({"OTP_CONFIG": str(path), **environ})


def refusal(tmp_path: Path, text: str, **environ: str) -> str:
    """The sentence of the refusal; one line."""
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text, **environ)
    return refused.value.detail


def sender(kind: SenderKind) -> Sender:
    """A sender of this kind."""
    return Sender(kind, kind, "p", None, 1.0)

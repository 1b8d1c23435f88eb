"""A store that refuses is told apart from one that does not answer: each cause has its own sentence."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from otp_service.bootstrap.stores import open_stores
from otp_service.config import load
from otp_service.domain.errors import ServiceError

pytestmark = pytest.mark.usefixtures("patient")
USERS = {
    "nothing": "+ping",
    "no_info": "+ping +time",
    "no_set": "+ping +time +info",
    "no_keys": "+@all ~other:*",
}
"""User -> rights."""


@pytest.fixture
def server(redis_url: str) -> Iterator[str]:
    """The socket of a store with users that lack rights."""
    store = redis.Redis.from_url(redis_url)
    for name, rights in USERS.items():
        store.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", *rights.split())  # type: ignore[no-untyped-call]
    yield urlsplit(redis_url).path
    store.execute_command("ACL", "DELUSER", *USERS)  # type: ignore[no-untyped-call]
    store.close()


def said(url: str) -> str:
    """Why the store cannot be opened."""
    with pytest.raises(ServiceError) as caught:
        open_stores(load({"OTP_REDIS_URL": url}))
    return caught.value.detail


def test_rights_and_passwords_are_no_silence(server: str) -> None:
    """The command or the keys that the user may not use; never "does not answer", never a name or a password."""
    for user, word in (("nothing", "run TIME"), ("no_info", "run INFO"), ("no_set", "run SET"), ("no_keys", "otp:*")):
        sentence = said(f"unix://{user}:pw@{server}")
        assert word in sentence
        assert "does not answer" not in sentence
        assert user not in sentence
    sentence = said(f"unix://no_info:wrong-one@{server}")
    assert "the user or the password" in sentence
    assert "wrong-one" not in sentence
    assert "no database of that number" in said(f"unix://{server}?db=5000")


def test_who_does_not_answer_is_told_apart() -> None:
    """Nobody there, no such name, no such socket, another program, no TLS."""
    assert "nothing listens there" in said("redis://127.0.0.1:1/0")
    assert "name of its host" in said("redis://nobody.invalid/0")
    assert "no such socket" in said("unix:///nowhere/store.sock")
    with socket.create_server(("127.0.0.1", 0)) as web:
        threading.Thread(target=_answer_as_a_web_server, args=(web,), daemon=True).start()
        port = web.getsockname()[1]
        assert "another program" in said(f"redis://127.0.0.1:{port}/0")
        assert "by TLS" in said(f"rediss://127.0.0.1:{port}/0")
        web.shutdown(socket.SHUT_RDWR)  # a close alone would not wake the thread that accepts


def _answer_as_a_web_server(web: socket.socket) -> None:
    # Who has heard enough may be gone by now, and who is in doubt asks again.
    with contextlib.suppress(OSError):
        while True:
            caller, _ = web.accept()
            with caller, contextlib.suppress(OSError):
                caller.recv(1024)
                caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

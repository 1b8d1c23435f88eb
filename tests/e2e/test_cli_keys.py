"""The commands `keys` and `keyring`."""

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Dev, clean_environ, wait_until

from .commands import beside, data, run, run_process, sentence


@contextlib.contextmanager
def a_store_whose_clock_shows(seconds: int) -> Iterator[str]:
    """Something that answers every command but TIME with an error."""

    def serve() -> None:
        while listener.fileno() >= 0:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    while received := connection.recv(4096):
                        for _ in range(received.count(b"*")):
                            known = b"TIME" in received
                            connection.sendall(b"*2\r\n$10\r\n%d\r\n$1\r\n0\r\n" % seconds if known else b"-ERR no\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}?protocol=2"


def status_with(dev: Dev, key: str) -> int:
    """The status of a request with this key: 404 if the key is valid, because there is no such verification."""
    request = urllib.request.Request(f"{dev.url}/verify/vrf_{'a' * 32}", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class TestKeys:
    """The life of an API key, seen by the service that runs."""

    def test_a_key_works_at_once_and_not_five_seconds_after_its_revocation(self, dev: Dev) -> None:
        """Created, listed, used, revoked; the list explains it afterwards."""
        made = data(beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--json"))
        assert set(made) == {"id", "app", "scopes", "expires_at", "key"}
        assert (made["app"], made["scopes"], made["expires_at"]) == ("default", ["verify"], None)
        assert status_with(dev, made["key"]) == 404
        assert data(beside(dev, "keys", "revoke", made["id"], "--json")) == {"id": made["id"], "revoked": True}
        wait_until(lambda: status_with(dev, made["key"]) == 401, 30, "the revocation")
        listed = {item["id"]: item for item in data(beside(dev, "keys", "list", "--json"))}
        assert listed[made["id"]]["revoked_at"] is not None
        tail = [json.loads(line) for line in beside(dev, "audit", "tail", "--json").stdout.splitlines()]
        caused = {event["type"]: event["by"] for event in tail if event["detail"].get("key_id") == made["id"]}
        assert {"key.created", "key.revoked", "key.refused"} <= set(caused)
        assert caused["key.created"] == caused["key.revoked"]
        assert caused["key.created"]["address"].startswith("shell:")
        assert caused["key.refused"]["request_id"]

    def test_a_key_expires(self, dev: Dev) -> None:
        """--expires is kept to the second and printed in RFC 3339."""
        before = datetime.now(UTC)
        made = data(beside(dev, "keys", "create", "--app", "default", "--scope", "verify", "--expires", "4s", "--json"))
        ends = datetime.fromisoformat(made["expires_at"]) - timedelta(seconds=4)
        assert before - timedelta(seconds=1) <= ends <= datetime.now(UTC)
        wait_until(lambda: status_with(dev, made["key"]) == 401, 90, "the expiry")

    def test_rotation_keeps_both_for_the_overlap(self, dev: Dev) -> None:
        """The new key has the old one's app and scopes; the old one ends when the overlap does."""
        words = ("keys", "create", "--app", "default", "--scope", "verify", "--scope", "audit:read", "--json")
        old = data(run_process(*words, **dev.env))
        new = data(beside(dev, "keys", "rotate", old["id"], "--overlap", "5s", "--json"))
        assert (new["app"], new["scopes"]) == (old["app"], old["scopes"])
        assert status_with(dev, old["key"]) == 404
        assert status_with(dev, new["key"]) == 404
        wait_until(lambda: status_with(dev, old["key"]) == 401, 90, "the end of the overlap")
        assert status_with(dev, new["key"]) == 404

    def test_people_see_the_secret_once(self, dev: Dev) -> None:
        """Without --json the secret stands on a line of its own, and the list never shows it."""
        done = beside(dev, "keys", "create", "--app", "default", "--scope", "metrics", "--expires", "90d")
        assert done.returncode == 0
        secret = next(line for line in done.stdout.splitlines() if line.startswith("otp_"))
        key_id = secret.split("_")[1]
        listed = beside(dev, "keys", "list", "--app", "default")
        assert listed.returncode == 0
        assert key_id in listed.stdout
        assert secret not in listed.stdout

    @pytest.mark.parametrize(
        ("words", "part"),
        [
            (["create", "--app", "default", "--scope", "root"], "'root'"),
            (["create", "--app", "default", "--scope", "verify", "--expires", "soon"], "--expires"),
            (["create", "--app", "default", "--scope", "verify", "--expires", "0s"], "--expires"),
            (["create", "--app", "nobody", "--scope", "verify"], "'nobody'"),
            (["list", "--app", "nobody"], "'nobody'"),
            (["revoke", "ffffffffffff"], "'ffffffffffff'"),
            (["rotate", "ffffffffffff"], "'ffffffffffff'"),
            (["rotate", "ffffffffffff", "--overlap", "x"], "--overlap"),
        ],
    )
    def test_what_cannot_be_done(self, dev: Dev, words: list[str], part: str) -> None:
        """One sentence that names it, status 1."""
        assert part in sentence(beside(dev, "keys", *words))

    def test_a_store_that_does_not_answer(self) -> None:
        """One sentence, which does not repeat the URL's password."""
        done = run_process("keys", "list", OTP_REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
        assert "store" in sentence(done)
        assert "hunter2" not in done.stderr

    def test_a_closed_pipe_prints_no_error(self, dev: Dev) -> None:
        """A closed pipe ends the command without a traceback."""
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "otp_service", "keys", "list", "--json"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environ(**dev.env),
            timeout=90,
            check=False,
        )
        os.close(writer)
        assert done.stderr == ""
        assert done.returncode != 0


class TestKeyring:
    """The file of secrets."""

    def test_it_is_made_for_this_user_only_and_never_overwritten(self, tmp_path: Path) -> None:
        """Mode 0600; a second create refuses and changes nothing."""
        path = tmp_path / "keyring.json"
        made = data(run_process("keyring", "create", str(path), "--json"))
        before = path.read_bytes()
        assert made["path"] == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "exists" in sentence(run_process("keyring", "create", str(path)))
        assert path.read_bytes() == before

    def test_rotation_publishes_a_key_that_is_active_later(self, tmp_path: Path) -> None:
        """The active key is the same for ten minutes, the new one is named with its time; `status` shows the same."""
        path = tmp_path / "keyring.json"
        first = data(run("keyring", "create", str(path), "--json"))["active_kid"]
        rotated = data(run("keyring", "rotate", str(path), "--json"))
        assert rotated["active_kid"] == first
        after = datetime.fromisoformat(rotated["active_from"]) - datetime.now(UTC)
        assert timedelta(minutes=9) < after <= timedelta(minutes=10)
        shown = run("keyring", "status", str(path), "--json").stdout
        status = json.loads(shown)
        assert [(key["kid"], key["state"]) for key in status["keys"]] == [
            (first, "active"),
            (rotated["next_kid"], "next"),
        ]
        assert status["keys"][1]["active_from"] == rotated["active_from"]
        prints = {status["index_fingerprint"], *(key["fingerprint"] for key in status["keys"])}
        assert len(prints) == 3
        for text in (shown, run("keyring", "status", str(path)).stdout):
            content = json.loads(path.read_text())
            assert not any(secret in text for secret in (content["index_key"], *(k["secret"] for k in content["keys"])))
            assert all(printed in text for printed in prints)

    def test_the_time_of_a_new_key_is_the_stores(self, tmp_path: Path) -> None:
        """A wrong clock of the shell moves nothing; if the store does not answer, a note names this machine's clock."""
        path = tmp_path / "keyring.json"
        run("keyring", "create", str(path))
        with a_store_whose_clock_shows(1_900_000_000) as url:
            rotated = data(run("keyring", "rotate", str(path), "--json", OTP_REDIS_URL=url))
        assert datetime.fromisoformat(rotated["active_from"]).timestamp() == 1_900_000_600
        done = run("keyring", "rotate", str(path), "--json", OTP_REDIS_URL=f"unix://{tmp_path}/nobody")
        assert "this machine's clock" in done.stderr
        assert datetime.fromisoformat(data(done)["active_from"]) - datetime.now(UTC) < timedelta(minutes=10)

    @pytest.mark.parametrize("after", ["", "x", "-1s", "31d", "99999999999999d", "1w"])
    def test_a_wait_that_is_none_is_refused(self, tmp_path: Path, after: str) -> None:
        """One sentence; the file is not changed."""
        path = tmp_path / "keyring.json"
        run("keyring", "create", str(path))
        before = path.read_bytes()
        assert "after" in sentence(run("keyring", "rotate", str(path), f"--after={after}"))
        assert path.read_bytes() == before

    def test_rotation_adds_a_key_and_keeps_the_old(self, tmp_path: Path) -> None:
        """The active key is another one at once if that is asked for, the old one is there, the mode is the same."""
        path = tmp_path / "keyring.json"
        first = data(run("keyring", "create", str(path), "--json"))["active_kid"]
        second = data(run("keyring", "rotate", str(path), "--after", "0s", "--json"))["active_kid"]
        content = json.loads(path.read_text())
        assert [item["kid"] for item in content["keys"]] == [first, second]
        assert [item["state"] for item in content["keys"]] == ["verify", "active"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [entry.name for entry in tmp_path.iterdir()] == ["keyring.json"]

    @pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"version": 2}'])
    def test_what_is_no_keyring(self, tmp_path: Path, content: str | None) -> None:
        """One sentence that names the file; the file is not changed."""
        path = tmp_path / "keyring.json"
        if content is not None:
            path.touch(0o600)
            path.write_text(content)
        assert str(path) in sentence(run("keyring", "rotate", str(path)))
        assert str(path) in sentence(run("keyring", "status", str(path)))
        assert content is None or path.read_text() == content

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        """One sentence."""
        assert "cannot write" in sentence(run("keyring", "create", str(tmp_path / "missing" / "keyring.json")))

"""Opening a connection to a server: its address, TLS, the login, and that it is the primary.

All of it is read from redis-py's client, which has read it from the store's URL: there is one reader of URLs.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.connection import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from ..packing import packed
from .connection import Connection, Done

Address = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""


@dataclass(frozen=True, slots=True)
class Login:
    """How a connection begins, whatever the server."""

    username: str | None
    password: str | None = field(repr=False)
    db: int
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, options: Mapping[str, Any], *, tls: bool) -> "Login":
        """From the options of redis-py's connections."""
        return cls(
            username=options.get("username"),
            password=options.get("password"),
            db=int(options.get("db") or 0),
            tls=_tls_context(options) if tls else None,
        )

    def hello(self) -> tuple[str, ...]:
        """The greeting that also logs in."""
        auth = () if self.password is None else ("AUTH", self.username or "default", self.password)
        return ("HELLO", "2", *auth)

    def old_login(self) -> tuple[str, ...]:
        """The login for a server without HELLO."""
        user = () if self.username is None else (self.username,)
        return () if self.password is None else ("AUTH", *user, self.password)


async def open_connection(address: Address, login: Login, lost: Callable[[Connection], None]) -> Connection:
    """A connection to the primary at this address, logged in. Raises OSError and redis' errors."""
    loop = asyncio.get_running_loop()
    made = Connection(loop, lost)
    if isinstance(address, str):
        await loop.create_unix_connection(lambda: made, address)
    else:
        host = address[0] if login.tls else None
        await loop.create_connection(lambda: made, *address, ssl=login.tls, server_hostname=host)
    try:
        await _greet(made, login)
    except BaseException:
        made.abort(RedisConnectionError("The store refuses the connection."))
        raise
    return made


async def _greet(made: Connection, login: Login) -> None:
    try:
        hello = await _ask(made, *login.hello())
    except ResponseError as error:
        if "unknown command" not in str(error).lower():
            raise
        hello = None
        if login.old_login():
            await _ask(made, *login.old_login())
    require_primary(hello)
    if login.db:
        await _ask(made, "SELECT", str(login.db))


def require_primary(hello: Any) -> None:
    """Raise redis' ConnectionError if the answer to HELLO is that of another than the primary."""
    fields = dict(zip(hello[::2], hello[1::2], strict=False)) if isinstance(hello, list) else {}
    if fields.get("role", "master") != "master":
        raise RedisConnectionError("The server is not the primary.")


async def _ask(made: Connection, *command: str) -> Any:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    made.send(packed(command), _resolve(future))
    reply = await future
    if isinstance(reply, RedisError):
        raise reply
    return reply


def _resolve(future: "asyncio.Future[Any]") -> Done:
    def done(reply: Any) -> None:
        if not future.done():
            future.set_result(reply)

    return done


def _tls_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """The context that redis-py would make of its options."""
    names = {name: value for name, value in options.items() if name.startswith("ssl_")}
    asked: Any = SSLConnection(**names)
    context = ssl.create_default_context()
    context.check_hostname = asked.check_hostname
    context.verify_mode = asked.cert_reqs
    if asked.certfile or asked.keyfile:
        context.load_cert_chain(asked.certfile, asked.keyfile, asked.certificate_password)
    if asked.ca_certs is not None or asked.ca_path is not None or asked.ca_data is not None:
        context.load_verify_locations(asked.ca_certs, asked.ca_path, asked.ca_data)
    if asked.ssl_min_version is not None:
        context.minimum_version = asked.ssl_min_version
    if asked.ssl_ciphers:
        context.set_ciphers(asked.ssl_ciphers)
    return context

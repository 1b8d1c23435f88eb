"""A server for the tests of the bench: it answers with the status that the path names."""

import asyncio
import threading

from .programs import HOST

HEAD = b"HTTP/1.1 %d Word\r\nContent-Length: %d\r\n%b\r\n"


class Server:
    """Answers what the path asks for: `/422`; `/close` is 200 and ends the connection. It remembers the bodies."""

    def __init__(self) -> None:
        self.port = 0
        self.bodies: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        # A client may keep its connection: who reads from it is told to end.
        reading = asyncio.all_tasks() - {asyncio.current_task()}
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                path, length = line.split()[1].decode(), 0
                while (header := await reader.readline()).strip():
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                self.bodies.append(await reader.readexactly(length))
                closes = path == "/close"
                status = 200 if closes else int(path[1:])
                writer.write(HEAD % (status, 2, b"Connection: close\r\n" if closes else b"") + b"{}")
                if closes:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def __enter__(self) -> "Server":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

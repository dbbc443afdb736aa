"""A web server on the loopback that breaks answers off, for tests of downloads."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves files by name, ranges too.

    `read` returns a file, or None. `cuts` says of a name after how many bytes its next answers
    break off, `None` of any name. `asked` has the name and the range of each request.
    """

    daemon_threads = True

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.read = read
        self.cuts: dict[str | None, list[int]] = {}
        self.asked: list[tuple[str, str | None]] = []

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer requests in a thread of its own as long as the context lasts."""
        with self:
            thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            yield
            self.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        name, wanted = self.path.rsplit("/", 1)[-1], self.headers.get("Range")
        self.server.asked.append((name, wanted))
        content, start = self.server.read(name), 0
        if content is None:
            self.send_error(404)
            return
        if wanted:
            start = int(re.match(r"bytes=(\d+)-", wanted)[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cuts = self.server.cuts.get(name) or self.server.cuts.get(None)
        self.wfile.write(body[: cuts.pop(0)] if cuts else body)

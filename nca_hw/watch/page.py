"""A watch on a page: served on 127.0.0.1 and nowhere else, for the browser of this computer; the page asks for nothing from any network."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.watch.screen import rows

HOST = "127.0.0.1"  # by design there is no option for another
FRAME_SECONDS = 0.2
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:"
FILES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript")}


class Page:
    """A context in which the page is served. `show` tells it what is new.

    Attributes:
        address: of the page.
    """

    def __init__(self, title: str, port: int, clock: Callable[[], float]) -> None:
        """Serve on a port of 127.0.0.1; 0: one that is free.

        Raises:
            NcaHwError: somebody else has the port (exit code 4).
        """
        self._title, self._clock, self._shown = title, clock, -np.inf
        self._told = b"null"
        folder = resources.files("nca_hw.watch")
        self._files = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in FILES.items()}
        try:
            self._server = ThreadingHTTPServer((HOST, port), self._handler())
        except OSError as error:
            told = f"port {port} of {HOST} can't be served ({error.strerror or error})"
            cure = "Choose another one, or 0 for any."
            raise NcaHwError(told, where="--page-port", cure=cure, exit_code=ExitCode.PORT_OR_BOARD) from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.address = f"http://{HOST}:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Page:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def is_due(self) -> bool:
        """Whether it is time to tell again."""
        return self._clock() - self._shown >= FRAME_SECONDS

    def show(self, f: dict[str, Any], light: NDArray[np.uint8]) -> None:
        """Tell the figures and the picture, 8-bit RGB [height, width, 3]."""
        self._shown = self._clock()
        height, width = light.shape[:2]
        told = {
            "title": self._title, "width": width, "height": height, "light": base64.b64encode(light.tobytes()).decode(),
            "rows": rows(f), "trouble": f["trouble"], "seconds": f["seconds"], "grid": f["grid"], "figures": f,
        }  # fmt: skip
        self._told = json.dumps(told).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            """Answers GET with the page's three files, and what is known."""

            server_version, sys_version = "nca-hw", ""

            def do_GET(self) -> None:  # the name is the base class's
                """One request. Only the page's own address is answered: a name that points here from elsewhere is not."""
                if self.headers.get("Host") not in (f"{HOST}:{page.port}", f"localhost:{page.port}"):
                    self._answer(403, b"This page is for this computer alone.\n", "text/plain")
                elif self.path == "/status":
                    self._answer(200, page._told, "application/json")
                elif self.path in page._files:
                    self._answer(200, *page._files[self.path])
                else:
                    self._answer(404, b"There is nothing here.\n", "text/plain")

            def _answer(self, code: int, body: bytes, kind: str) -> None:
                self.send_response(code)
                for name, value in (
                    ("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
                    ("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff"),
                ):  # fmt: skip
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        return Handler

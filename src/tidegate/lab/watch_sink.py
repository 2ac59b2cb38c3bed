"""Who is told: a web hook and an Alertmanager in one server, which write down everything and answer badly now and then.

Of the posts some are refused (503) before anything is written down, and some are written down and never answered: the
sender cannot know, and has to say it again, with the same key.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["ALERTS", "HOOK", "Post", "Sink"]

ALERTS, HOOK = "/api/v2/alerts", "/hook"
"""Where Alertmanager takes alerts, and where the web hook does."""

_BODY_MAX = 4 << 20
"""Bytes of a post that are read."""
_REFUSED, _UNANSWERED = 0.02, 0.02
"""Shares of the posts that are refused, and that are taken and not answered."""


@dataclass(frozen=True, slots=True)
class Post:
    """One post that was taken: when (ns since 1970), which way, its idempotency key ("" without one), what it said."""

    at: int
    path: str
    key: str
    body: Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that end because their other end was killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Sink:
    """A receiver on the loopback address.

    Parameters
    ----------
    seed
        Of its bad answers.
    bad
        Whether there are any.
    """

    def __init__(self, seed: int = 1, *, bad: bool = True) -> None:
        self._rng, self._bad = random.Random(seed), bad  # noqa: S311 (which answer is bad, no secret)
        self._lock = threading.Lock()
        self._posts: list[Post] = []
        self.refused = 0
        self.unanswered = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def posts(self, since: int = 0) -> list[Post]:
        """Return what was taken, from number ``since`` on."""
        with self._lock:
            return self._posts[since:]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, path: str, key: str, body: Any) -> int | None:
        """Write a post down; return the status to answer with, ``None`` for no answer."""
        with self._lock:
            luck = self._rng.random() if self._bad else 1.0
            if luck < _REFUSED:
                self.refused += 1
                return 503
            self._posts.append(Post(time.time_ns(), path, key, body))
            if luck < _REFUSED + _UNANSWERED:
                self.unanswered += 1
                return None
            return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                content = self.rfile.read(min(length, _BODY_MAX))
                if len(content) < length:  # who sent it was killed meanwhile
                    self.close_connection = True
                    return
                body = json.loads(content)
                status = take(self.path, self.headers.get("Idempotency-Key", ""), body)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 (as the base class has it)
                """Say nothing: what was taken is kept."""

        return Handler

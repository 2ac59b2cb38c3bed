"""Ordinary connections, many at a time, with ordinary endings: what every judge must agree on, without exceptions.

``python -m flows.crowd FILE`` (from tests, as root under ``unshare --net --mount``) records them.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.stage import FIN_WAIT2, Stage, abort, await_reset, close, exchange, kernel_state
from flows.world import World, until

__all__ = ["CONNECTIONS"]

_CLIENTS, _EACH = 12, 25
CONNECTIONS = _CLIENTS * _EACH
"""Connections of the crowd."""


def _reset(one: socket.socket, other: socket.socket) -> None:
    abort(one)
    await_reset(other)


def _half_close(one: socket.socket, _: socket.socket) -> None:
    one.shutdown(socket.SHUT_WR)
    until(lambda: kernel_state(one) == FIN_WAIT2, "the FIN is not acknowledged")


def _stay(_: socket.socket, __: socket.socket) -> None:
    """Leave it open."""


_ENDINGS: tuple[Callable[[socket.socket, socket.socket], None], ...] = (close, close, _reset, _half_close, _stay)


def _come_and_go(stage: Stage) -> None:
    listener = stage.listen()
    chance = random.Random(stage.target[1])  # noqa: S311 (no secret)
    for number in range(_EACH):
        client = stage.client(10_000 + stage.source[1] - 40_000 + 1000 * number)
        client.connect(stage.target)
        server = stage.keep(listener.accept()[0])
        for _ in range(chance.randrange(1, 4)):
            exchange(client, server)
        ends = (client, server) if chance.random() < 0.5 else (server, client)
        chance.choice(_ENDINGS)(*ends)


def perform(file: Path) -> None:
    """Let them come and go, and record it."""
    world = World()
    stages = [Stage(world, number) for number in range(_CLIENTS)]
    try:
        with world.recorded(file), ThreadPoolExecutor(_CLIENTS) as actors:
            for act in [actors.submit(_come_and_go, stage) for stage in stages]:
                act.result()
    finally:
        for stage in stages:
            stage.leave()


if __name__ == "__main__":
    perform(Path(sys.argv[1]))

"""Scenes of idleness and endings: keepalives, resets and who sent them, halves that stay open."""

from __future__ import annotations

import errno
import os
import socket
import time

import pytest

from flows.stage import (
    FIN_WAIT2,
    Scenes,
    Stage,
    abort,
    await_reset,
    close,
    exchange,
    kernel_state,
    segments_sent,
    vanish,
)
from flows.world import run, until

__all__ = ["ENDINGS"]

ENDINGS = Scenes()
# Keepalives of a scene
_PROBES = 3


def _kept_alive(sock: socket.socket) -> None:
    """Send a keepalive after each second of silence, and give up after the third one that nobody answers."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


@ENDINGS.scene("Nothing but keepalives, each of them answered. 200 times slower.", slow=200)
def _keepalive_answered(stage: Stage) -> None:
    client, _ = stage.pair(stage.listen())
    _kept_alive(client)
    sent = segments_sent(client)
    until(lambda: segments_sent(client) >= sent + _PROBES, "no keepalive was sent")


@ENDINGS.scene("The way is cut: three keepalives without an answer, then the client's RST. 200 times slower.", slow=200)
def _keepalive_unanswered(stage: Stage) -> None:
    client, _ = stage.pair(stage.listen())
    _kept_alive(client)
    with stage.rule("tcp dport {target} drop"), pytest.raises(OSError, match=os.strerror(errno.ETIMEDOUT)):
        client.recv(1)


@ENDINGS.scene(
    "The server has lost the connection: the first keepalive is answered with a RST. 200 times slower.",
    slow=200,
)
def _keepalive_refused(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    vanish(server)
    _kept_alive(client)
    await_reset(client)


@ENDINGS.scene(
    "Two seconds of silence, then data again. 1000 times slower: a firewall may have forgotten it.",
    slow=1000,
)
def _idle(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    time.sleep(2)
    exchange(client, server)
    close(client, server)


@ENDINGS.scene("A firewall resets the client's end in the middle of it; the server knows nothing.")
def _reset_by_firewall(stage: Stage) -> None:
    client, _ = stage.pair(stage.listen())
    with stage.rule("tcp dport {target} tcp flags & psh == psh reject with tcp reset"):
        client.sendall(b"more")
        await_reset(client)


@ENDINGS.scene("The server's program resets.")
def _reset_by_server(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    abort(server)
    await_reset(client)


@ENDINGS.scene("The client's program resets.")
def _reset_by_client(stage: Stage) -> None:
    client, _ = stage.pair(stage.listen())
    abort(client)


@ENDINGS.scene("An operator destroys the server's socket (`ss -K`).")
def _killed(stage: Stage) -> None:
    client, _ = stage.pair(stage.listen())
    run("ss", "-K", "state", "established", f"( sport = :{stage.target[1]} )", inside="server")
    await_reset(client)


@ENDINGS.scene("The client sends no more, the server stays.")
def _half_closed_by_client(stage: Stage) -> None:
    client, _ = stage.pair(stage.listen())
    client.shutdown(socket.SHUT_WR)
    until(lambda: kernel_state(client) == FIN_WAIT2, "the FIN is not acknowledged")


@ENDINGS.scene("The server sends no more, the client stays.")
def _half_closed_by_server(stage: Stage) -> None:
    _, server = stage.pair(stage.listen())
    server.shutdown(socket.SHUT_WR)
    until(lambda: kernel_state(server) == FIN_WAIT2, "the FIN is not acknowledged")


@ENDINGS.scene("Still open when the capture ends.")
def _open_at_the_end(stage: Stage) -> None:
    stage.pair(stage.listen())


@ENDINGS.scene("Both ends close at the same time: the client's FIN is held back until the server has sent its own.")
def _closed_at_once(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    with stage.rule("tcp dport {target} tcp flags & fin == fin drop"):
        client.shutdown(socket.SHUT_WR)
        server.shutdown(socket.SHUT_WR)
        until(lambda: kernel_state(server) == FIN_WAIT2, "the FIN is not acknowledged")
    assert server.recv(1) == b""
    assert client.recv(1) == b""

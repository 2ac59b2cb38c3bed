"""Scenes of collisions: a SYN on a tuple that is taken."""

from __future__ import annotations

import errno
import socket
import time

from flows.stage import (
    ESTABLISHED,
    FIN_WAIT2,
    Scenes,
    Stage,
    await_reset,
    close,
    exchange,
    kernel_state,
    next_number,
    vanish,
)
from flows.world import until

__all__ = ["COLLISIONS"]

_SHADOW = 3.2
"""Seconds after which a SYN on a taken tuple has no answer to expect any more."""


COLLISIONS = Scenes()


@COLLISIONS.scene(
    "The client dies silently; its next connection has the same port, and takes the place after a challenge.",
)
@COLLISIONS.scene(
    "The client dies silently; its next connection has the same port, and takes the place after a challenge.",
    socket.AF_INET6,
)
def _collision_challenged(stage: Stage) -> None:
    listener = stage.listen()
    client, server = stage.pair(listener)
    vanish(client)
    client, successor = stage.pair(listener)
    await_reset(server)
    close(client, successor)


@COLLISIONS.scene("A SYN that nobody stands behind: the challenge is answered by a RST, and no SYN follows.")
def _collision_no_retry(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    vanish(client)
    stage.syn(1)
    await_reset(server)


@COLLISIONS.scene(
    "The same, but the RST gets lost before it is seen: the challenge stays unanswered, the old connection alive.",
)
def _collision_unanswered(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    stage.rule_to_the_end("tcp dport {target} tcp flags & rst == rst drop", machine="client")
    vanish(client)
    stage.syn(1)
    time.sleep(_SHADOW)
    assert kernel_state(server) == ESTABLISHED
    server.sendall(b"anybody there?")  # brings the time of the capture to after the wait


@COLLISIONS.scene("Both ends die silently, and the same tuple is used again: answered at once.")
def _collision_superseded(stage: Stage) -> None:
    listener = stage.listen()
    for end in stage.pair(listener):
        vanish(end)
    close(*stage.pair(listener))


@COLLISIONS.scene("A firewall answers a SYN on a taken tuple with a RST; the old connection goes on.")
def _collision_rejected(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    with stage.rule("tcp dport {target} tcp flags & (syn|ack) == syn reject with tcp reset"):
        stage.syn(1)
    exchange(client, server)
    close(client, server)


@COLLISIONS.scene("A firewall drops the SYN, twice; the old connection goes on.")
def _collision_dropped(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    with stage.rule("tcp dport {target} tcp flags & (syn|ack) == syn drop"):
        stage.syn(1)
        stage.syn(1)
    time.sleep(_SHADOW)
    exchange(client, server)
    close(client, server)


@COLLISIONS.scene("The occupant is half-closed: the server said that it sends no more, then the client died.")
def _collision_close_wait(stage: Stage) -> None:
    listener = stage.listen()
    client, server = stage.pair(listener)
    server.shutdown(socket.SHUT_WR)
    until(lambda: kernel_state(server) == FIN_WAIT2, "the FIN is not acknowledged")
    vanish(client)
    close(*stage.pair(listener))
    # The FIN was read already, so the RST is told as an error of the socket.
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in {errno.ECONNRESET, errno.EPIPE}


@COLLISIONS.scene(
    "The capture begins after the client died: an ACK answers its SYN, a RST the ACK, and the SYN comes again.",
)
def _old_peer(stage: Stage) -> None:
    listener = stage.listen()
    client, server = stage.pair(listener)
    vanish(client)
    stage.open()
    client, successor = stage.pair(listener)
    await_reset(server)
    close(client, successor)


@COLLISIONS.scene(
    "The server closed first and waits; a SYN on the same tuple begins a new connection, and is no collision.",
)
def _time_wait_reused(stage: Stage) -> None:
    listener = stage.listen()
    client, server = stage.pair(listener)
    close(server, client)
    close(*stage.pair(listener))


@COLLISIONS.scene(
    "A SYN from the past on a tuple in TIME-WAIT: the server repeats its last ACK, and a RST ends the waiting.",
)
def _time_wait_old_syn(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    number = next_number(client)
    close(server, client)
    stage.syn((number - 50) % 2**32)

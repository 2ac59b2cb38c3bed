"""Scenes of beginnings: handshakes that do not end, that are refused or given up, and one that crosses another."""

from __future__ import annotations

import socket
import time

from flows.stage import CLOSED, ESTABLISHED, Scenes, Stage, close, exchange, kernel_state, retransmits
from flows.world import shut, until

__all__ = ["BEGINNINGS"]

BEGINNINGS = Scenes()
# SYNs of a flood
_FLOOD = 48


def _waiting(stage: Stage, clients: int) -> None:
    """Begin connections, and stop when each has sent its SYN for the fourth time: more than three seconds later."""
    begun = [stage.client(stage.source[1] + 1000 * (number + 1)) for number in range(clients)]
    for client in begun:
        client.setblocking(False)
        client.connect_ex(stage.target)
    until(lambda: all(retransmits(client) >= 3 for client in begun), "no SYN came again")
    for client in begun:
        shut(client)


@BEGINNINGS.scene("SYNs that nobody answers: the firewall drops them.")
def _blackhole(stage: Stage) -> None:
    with stage.rule("tcp dport {target} drop"):
        _waiting(stage, 6)


@BEGINNINGS.scene(
    "A server that does not accept: two connections wait in its queue, the SYNs of five more are dropped.",
)
def _backlog_full(stage: Stage) -> None:
    stage.listen(backlog=1)
    for number in range(2):
        stage.client(stage.source[1] + 1000 * (number + 8)).connect(stage.target)
    _waiting(stage, 5)


@BEGINNINGS.scene(
    "SYNs from addresses that do not exist: each is answered, no handshake ends. Then a client that is real."
)
def _syn_flood(stage: Stage) -> None:
    listener = stage.listen(backlog=2 * _FLOOD)
    for number in range(_FLOOD):
        stage.syn(1000 * number, (f"203.0.113.{number + 1}", 1024 + number))
    time.sleep(3.2)  # for as long as a handshake may take
    close(*stage.pair(listener))


@BEGINNINGS.scene("Nobody listens.")
def _refused(stage: Stage) -> None:
    client = stage.client()
    assert client.connect_ex(stage.target), "it was refused"


@BEGINNINGS.scene("Somebody listens, but a firewall refuses.")
def _rejected_by_firewall(stage: Stage) -> None:
    stage.listen()
    with stage.rule("tcp dport {target} reject with tcp reset"):
        assert stage.client().connect_ex(stage.target), "it was refused"


@BEGINNINGS.scene(
    "A firewall says by ICMP that it forbids the connection; the SYN comes again, and is forbidden again.",
)
def _unreachable(stage: Stage) -> None:
    stage.listen()
    client = stage.client()
    client.setblocking(False)
    with stage.rule("tcp dport {target} reject with icmp type admin-prohibited"):
        client.connect_ex(stage.target)
        until(lambda: kernel_state(client) == CLOSED, "it was not forbidden")


@BEGINNINGS.scene("The SYN is answered, and the client does not want it any more.")
def _aborted(stage: Stage) -> None:
    stage.listen()
    stage.syn(1)


@BEGINNINGS.scene("Both ends connect to each other; of the client's SYNs only the answer to the server's gets through.")
def _crossed(stage: Stage) -> None:
    client = stage.client()
    server = stage.server()
    with stage.rule("tcp dport {target} tcp flags & (syn|ack) == syn drop"):
        for end, address in ((client, stage.target), (server, stage.source)):
            end.setblocking(False)
            end.connect_ex(address)
        until(lambda: kernel_state(client) == kernel_state(server) == ESTABLISHED, "they do not meet")
    for end in (client, server):
        end.settimeout(30)
    exchange(client, server)
    close(client, server)


@BEGINNINGS.scene("The capture begins in the middle of a connection.")
def _mid_stream(stage: Stage) -> None:
    client, server = stage.pair(stage.listen())
    stage.open()
    exchange(client, server)
    close(client, server)


@BEGINNINGS.scene("A connection as it should be.", socket.AF_INET6)
@BEGINNINGS.scene("A connection as it should be.")
def _plain(stage: Stage) -> None:
    close(*stage.pair(stage.listen()))

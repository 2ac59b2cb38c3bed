"""Reads what ``ss`` and ``netstat`` print about TCP, with or without ``-p``, ``-o``, ``-e``, ``-i`` and ``-H``."""

from __future__ import annotations

import re

from tidegate.watch.ports.model import PortReading
from tidegate.watch.ports.text import endpoint_of, lines_of, number_of
from tidegate.watch.ports.tuples import HOLDING, Connection, Found, reading_of

__all__ = ["read_sockets"]

_STATES = {
    "ESTABLISHED": "ESTAB",
    "SYN_SENT": "SYN-SENT",
    "SYN_RECV": "SYN-RECV",
    "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2",
    "TIME_WAIT": "TIME-WAIT",
    "CLOSE_WAIT": "CLOSE-WAIT",
    "LAST_ACK": "LAST-ACK",
    "CLOSE": "UNCONN",
}
_NAMES = HOLDING | {"LISTEN", "UNCONN", "BOUND-INACTIVE", "UNKNOWN"}
_TCP = {"tcp", "tcp4", "tcp6", "tcp46"}
_NOT_TCP = re.compile(
    r"(?:udp|udpl|udplite|raw|icmp|icmp6|nl|p_raw|p_dgr|sctp|mptcp|dccp|v_str|xdp|tipc|u_\w+|unix)6?$"
)
_HEAD = re.compile(r"\s*(?:(?:Netid\s+)?(?:State\s+)?Recv-Q\s+Send-Q\s+Local|Proto\s+Recv-Q|Active Internet)")
_AGE = re.compile(r"\blast(?:snd|rcv):([0-9]{1,15})\b")
_TIMER = re.compile(r"timer:\((\w+)|\b(off|keepalive|on|timewait|probe|unkn-\d+) \([0-9.]+/")


def read_sockets(text: str, *, capacity: int | None = None) -> PortReading:
    """Read the output of ``ss`` or ``netstat``.

    Parameters
    ----------
    text
        As printed; a prompt, other output and cut lines may stand between.
    capacity
        Source ports per bucket, when known.

    Raises
    ------
    ValueError
        With a sentence, when no line is a TCP socket.
    """
    found = Found()
    found.look_for_range(text)
    timers = _TIMER.search(text) is not None
    before = 0  # connections before the last socket: a line of ``ss -i`` belongs to the socket above it
    for line in lines_of(text):
        if line[0] == "\t":
            if len(found.connections) > before and "cwnd:" in line:
                found.connections[-1] = _aged(found.connections[-1], line)
            continue
        before = len(found.connections)
        if not _socket(line, found, timers=timers) and not _HEAD.match(line):
            found.other_lines += 1
    if not found.sockets:
        raise ValueError("no line of this text is a TCP socket as ss -tan or netstat -tan print it")
    return reading_of("ss", found, capacity)


def _socket(line: str, found: Found, *, timers: bool) -> bool:
    """Take in a line; return whether it is a socket."""
    words = line.split(None, 6)
    if _NOT_TCP.match(words[0]):
        return True
    if words[0] in _TCP:
        del words[0]
        words = [*words[:4], *words[4].split(None, 1), *words[5:]] if len(words) > 4 else words
    if len(words) < 4:
        return False
    if words[0] in _NAMES:
        state, (received, sent, local, peer), rest = (
            words[0],
            words[1:5] if len(words) > 4 else ("", "", "", ""),
            words[5:],
        )
    elif len(words) > 4 and words[4] in _STATES.keys() | {"LISTEN", "CLOSING", "UNKNOWN"}:
        (received, sent, local, peer), state, rest = words[:4], _STATES.get(words[4], words[4]), words[5:]
    else:
        state, (received, sent, local, peer), rest = "UNSTATED", words[:4], words[4:]
    queues = number_of(received), number_of(sent)
    if None in queues:
        return False
    tail = " ".join(rest)
    quiet = None
    if timers:
        timer = _TIMER.search(tail)
        quiet = queues == (0, 0) and (timer is None or (timer[1] or timer[2]) in {"off", "keepalive"})
    if not found.add(endpoint_of(local), endpoint_of(peer), state, quiet=quiet):
        return False
    if "cwnd:" in tail and found.connections and state in HOLDING:
        found.connections[-1] = _aged(found.connections[-1], tail)
    return True


def _aged(one: Connection, info: str) -> Connection:
    """Return the connection with the age that ``ss -i`` tells; it leaves out what is zero."""
    ages = [int(age) for age in _AGE.findall(info)]
    return one._replace(age_ms=min(ages) if len(ages) >= 2 else 0)

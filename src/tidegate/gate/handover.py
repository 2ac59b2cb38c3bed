"""One gate takes over from another without a refused connection.

The one that comes connects to ``ADMIN.handover`` and gets, in one message, the listening sockets (SCM_RIGHTS) and what
the other knows. When it serves it says so; only then does the one that goes accept no more. Both serve for a while: the
old one the clients it has, each closed with its next answer. Every slot at a server is the old one's until it says that
it has given it up, so the two together stay within the limits. When either dies, the other goes on alone.

The same socket takes the word of ``tidegate gate restart``: the gate then starts its own successor.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tidegate.errors import GateError, GateUnreachable
from tidegate.gate.inherit import Inherited
from tidegate.gate.service import Gate
from tidegate.unix import listening

__all__ = ["Handover", "Predecessor", "ask_restart", "handover_path", "take_over"]

FORMAT = 1
"""Of the messages; a gate of another one is not taken over from."""
_LONGEST = 256 << 20
"""Longest state that is read, in bytes: a million sessions, and then some."""
_DESCRIPTORS = 200
"""Descriptors in one message; Linux takes 253 (SCM_MAX_FD)."""
_TALK_S = 10.0
"""How long a peer may take to read or to write a message."""
_ASK_S = 1.0
"""How long it may take to say what is wanted: signals wait meanwhile."""
_BEGIN_S = 60.0
"""How long a successor may take until it serves."""
_TICK_S = 0.02
"""Between two looks at what is left."""
_log = logging.getLogger("tidegate.gate")

Json = dict[str, Any]


def handover_path(admin: Path) -> Path:
    """Return where the gate at ``admin`` hands over."""
    return admin.with_name(admin.name + ".handover")


class Handover:
    """The side of the gate that goes: waits for a successor, hands over, tells what is left.

    Everything happens in the process's one loop over ``waiting``: nothing here blocks for longer than a peer that is
    slow to read, and that is bounded.
    """

    def __init__(self, path: Path, gate: Gate, seed: int, waiting: selectors.BaseSelector, deadline_s: float) -> None:
        """Answer at ``path``; let a retired gate end after ``deadline_s`` at the latest."""
        self._gate, self._seed, self._waiting = gate, seed, waiting
        self._deadline_s = deadline_s
        self._successor: socket.socket | None = None
        self._asking: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._ends: float | None = None
        self._begins_by: float | None = None
        self._told = ""
        self.retired = False
        self.predecessor: Predecessor | None = None
        """The gate that this one has taken over from, while it lives."""
        self.socket, self._place = listening(path)
        waiting.register(self.socket, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Answer no more. The path stays when a successor has it."""
        for one in (self.socket, self._successor, self._asking):
            if one is not None:
                one.close()
        self._place.leave()

    @property
    def wait_s(self) -> float | None:
        """Seconds after which :meth:`tick` wants to be called; ``None``: only when something happens."""
        return _TICK_S if self._successor or self._child else None

    def restart(self) -> None:
        """Start this gate's successor: the same command, told to take over."""
        if self._child or self._successor:
            self._answer({"kind": "refused", "message": "this gate is being taken over already"})
            return
        arguments = [one for one in sys.argv[1:] if one != "--replace"]
        try:
            self._child = subprocess.Popen([sys.executable, "-m", "tidegate", *arguments, "--replace"])
        except OSError as error:
            self._give_up(f"the successor cannot be started: {error}")
            return
        self._begins_by = time.monotonic() + _BEGIN_S
        _log.info("restarting", extra={"fields": {"successor": self._child.pid}})

    def tick(self) -> bool:
        """Tell the successor what is left; return whether this gate may end."""
        now = time.monotonic()
        if self._child and self._child.poll() is not None and not self.retired:
            self._give_up(f"the successor ended with {self._child.returncode} before it served")
        elif self._begins_by is not None and now > self._begins_by:
            self._give_up(f"the successor did not serve within {_BEGIN_S:g} s")
        if not self.retired:
            return False
        left = self._gate.left()
        before = self.predecessor.slots if self.predecessor else {}
        text = json.dumps(_together(left["slots"], before), sort_keys=True)
        if text != self._told and self._successor is not None:
            self._told = text
            try:
                self._successor.sendall(text.encode() + b"\n")
            except OSError as error:
                _log.warning("the successor has gone", extra={"fields": {"error": str(error)}})
                self._drop_successor()
        # One that went before this one is heard here alone.
        gone = left["clients"] == 0 and left["calls"] == 0 and self.predecessor is None
        return gone or (self._ends is not None and now > self._ends)

    def _accept(self) -> None:
        try:
            talk, _ = self.socket.accept()
        except OSError as error:  # this process may open no more files
            _log.warning("a takeover failed; this gate goes on", extra={"fields": {"error": str(error)}})
            return
        try:
            _check_peer(talk)
            wanted = json.loads(_line(talk, _ASK_S))
            talk.settimeout(_TALK_S)
            match wanted:
                case {"format": 1, "kind": "restart"} if self._asking is None:
                    self._asking = talk
                    self.restart()
                    return
                case {"format": 1, "kind": "take-over"} if self._successor is None and not self.retired:
                    self._hand_over(talk)
                    return
                case {"format": 1}:
                    refusal = "this gate is being taken over already"
                case _:
                    refusal = "this gate does not understand what is asked: both must be of one version"
            talk.sendall(json.dumps({"format": FORMAT, "kind": "refused", "message": refusal}).encode() + b"\n")
        except (OSError, ValueError, RecursionError) as error:
            _log.warning("a takeover failed; this gate goes on", extra={"fields": {"error": str(error)}})
        talk.close()

    def _hand_over(self, talk: socket.socket) -> None:
        sockets, admin = self._gate.listeners()
        state = {
            "format": FORMAT,
            "kind": "state",
            "seed": self._seed,
            "sockets": [[name, listen] for name, listen, _ in sockets],
            "admin": admin is not None,
            "learned": self._gate.learned(),
        }
        passed = [*(one for _, _, one in sockets), *([admin] if admin else [])]
        try:
            _send(talk, json.dumps(state).encode(), self._gate.known(), passed)
        finally:
            for one in passed:
                one.close()
        self._successor, self._begins_by = talk, time.monotonic() + _BEGIN_S
        self._waiting.register(talk, selectors.EVENT_READ, self._heard)
        _log.info("handed over, until the successor serves both accept", extra={"fields": {"sockets": len(passed)}})

    def _heard(self) -> None:
        try:
            said = self._successor.recv(4096) if self._successor else b""
        except OSError:
            said = b""
        if not said:
            if self.retired:
                self._drop_successor()
            else:
                self._give_up("the successor has gone")
            return
        if not self.retired:
            self.retired, self._begins_by = True, None
            self._ends = time.monotonic() + self._deadline_s
            self._gate.retire()
            _log.info("retired: the successor serves", extra={"fields": {"deadline_s": self._deadline_s}})
            self._answer({"kind": "restarted", "pid": self._child.pid if self._child else None, **self._gate.left()})

    def _give_up(self, why: str) -> None:
        """Go on as before."""
        _log.error("the takeover was given up, this gate goes on", extra={"fields": {"why": why}})
        self._drop_successor()
        if self._child and self._child.poll() is None:
            self._child.terminate()
        self._child, self._begins_by = None, None
        self._answer({"kind": "refused", "message": f"{why}; the gate goes on as it was"})

    def _drop_successor(self) -> None:
        if self._successor is not None:
            self._waiting.unregister(self._successor)
            self._successor.close()
            self._successor = None

    def _answer(self, answer: Json) -> None:
        """Answer whoever asked for a restart."""
        if self._asking is None:
            return
        with suppress(OSError):
            self._asking.sendall(json.dumps({"format": FORMAT, **answer}).encode() + b"\n")
        self._asking.close()
        self._asking = None


class Predecessor:
    """The side of the gate that comes: what was handed over, and what the other still uses."""

    def __init__(self, talk: socket.socket, inherited: Inherited) -> None:
        self.socket, self.inherited = talk, inherited
        self.slots: dict[str, dict[str, int]] = {}
        """What it still uses, by service and server."""
        self._rest = b""

    def serves(self) -> None:
        """Tell the other that this gate serves."""
        with suppress(OSError):  # it has gone: this gate is alone, and learns that when it reads
            self.socket.sendall(b"serves\n")

    def heard(self, gate: Gate) -> bool:
        """Read what the other still uses, and tell ``gate``; return whether there is more to come."""
        try:
            piece = self.socket.recv(1 << 16)
        except OSError:
            piece = b""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        try:
            said = [json.loads(line) for line in lines]
            for self.slots in said:
                for service, servers in self.slots.items():
                    for server, used in servers.items():
                        gate.share(service, server, used)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            _log.error("the gate that was taken over from is not understood", extra={"fields": {"error": str(error)}})
            piece = b""
        if not piece or len(self._rest) > _LONGEST:
            gate.share_no_more()
            self.socket.close()
            _log.info("the gate that was taken over from has ended")
            return False
        return True


def _together(ours: dict[str, dict[str, int]], theirs: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return what two gates use together."""
    return {
        service: {server: used + theirs.get(service, {}).get(server, 0) for server, used in servers.items()}
        for service, servers in ours.items()
    }


def take_over(admin: Path) -> Predecessor:
    """Get everything from the gate at ``admin``; it goes on as before until :meth:`Predecessor.serves`.

    Raises
    ------
    GateUnreachable
        When no gate runs there.
    GateError
        When it hands over nothing, or is of another version.
    """
    talk = _connect(admin)
    try:
        talk.sendall(json.dumps({"format": FORMAT, "kind": "take-over"}).encode() + b"\n")
        return Predecessor(talk, _inherited(talk))
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        talk.close()
        hint = "end that gate and start this one; both must be of one version to hand over"
        raise GateError(f"the gate at {admin} cannot be taken over from: {error}", hint=hint) from None
    except GateError:
        talk.close()
        raise


def ask_restart(admin: Path) -> Json:
    """Ask the gate at ``admin`` to start its successor; return its answer when that serves.

    Raises
    ------
    GateUnreachable
        When no gate runs there.
    GateError
        When the successor did not come to serve; the gate goes on.
    """
    with _connect(admin) as talk:
        try:
            talk.sendall(json.dumps({"format": FORMAT, "kind": "restart"}).encode() + b"\n")
            answer: Json = json.loads(_line(talk, _BEGIN_S + _TALK_S))
        except (OSError, ValueError) as error:
            raise GateUnreachable(f"the gate at {admin} gave no answer: {error}") from None
    if answer.get("kind") != "restarted":
        hint = "its log says more; `tidegate gate check` looks at the file"
        raise GateError(f"not restarted: {answer.get('message', 'it did not say why')}", hint=hint)
    return answer


def _inherited(talk: socket.socket) -> Inherited:
    header, descriptors = _receive_header(talk)
    passed = [socket.socket(fileno=number) for number in descriptors]
    try:
        length, known = header
        state = json.loads(_rest_of(talk, length))
        if state.get("format") != FORMAT:
            raise ValueError(f"its format is {state.get('format')}, and this version reads {FORMAT}")
        names, wanted = state["sockets"], len(state["sockets"]) + state["admin"]
        while len(passed) < wanted:
            more, descriptors = _receive_header(talk)
            passed += [socket.socket(fileno=number) for number in descriptors]
            if not descriptors or more != (0, 0):
                raise ValueError("it handed over fewer sockets than it said")
        admin = passed.pop() if state["admin"] else None
        sockets = [(str(name), str(listen), one) for (name, listen), one in zip(names, passed, strict=True)]
        return Inherited(sockets, admin, state["learned"], _rest_of(talk, known), int(state["seed"]), replaces=True)
    except BaseException:
        for one in passed:
            one.close()
        raise


_HEADER = struct.Struct("!QQ")


def _send(talk: socket.socket, state: bytes, known: bytes, passed: list[socket.socket]) -> None:
    """Send lengths with the first sockets, the state, further sockets, what is known."""
    numbers = [one.fileno() for one in passed]
    socket.send_fds(talk, [_HEADER.pack(len(state), len(known))], numbers[:_DESCRIPTORS])
    talk.sendall(state)
    for at in range(_DESCRIPTORS, len(numbers), _DESCRIPTORS):
        socket.send_fds(talk, [_HEADER.pack(0, 0)], numbers[at : at + _DESCRIPTORS])
    talk.sendall(known)


def _receive_header(talk: socket.socket) -> tuple[tuple[int, int], list[int]]:
    data, descriptors, flags, _ = socket.recv_fds(talk, _HEADER.size, _DESCRIPTORS)
    if len(data) < _HEADER.size or flags & socket.MSG_CTRUNC:
        for number in descriptors:
            os.close(number)
        raise ValueError("it ended in the middle of a message, or this process may open no more files")
    if data[:1] == b"{":  # a refusal is a line of JSON
        refused = json.loads(data + _line(talk, _TALK_S))
        raise GateError(f"the gate is not taken over from: {refused.get('message', 'it did not say why')}")
    first, second = _HEADER.unpack(data)
    if max(first, second) > _LONGEST:
        raise ValueError("what it hands over is too long")
    return (first, second), list(descriptors)


def _rest_of(talk: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = talk.recv(min(1 << 20, length - len(data)))
        if not piece:
            raise ValueError("it ended in the middle of a message")
        data += piece
    return bytes(data)


def _line(talk: socket.socket, within_s: float) -> bytes:
    data, end = b"", time.monotonic() + within_s
    while not data.endswith(b"\n"):
        talk.settimeout(max(end - time.monotonic(), 0.001))
        piece = talk.recv(1)
        if not piece or len(data) > 1 << 16:
            raise ValueError("the other side ended in the middle of a line")
        data += piece
    return data


def _connect(admin: Path) -> socket.socket:
    path = handover_path(admin)
    talk = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    talk.settimeout(_TALK_S)
    try:
        talk.connect(str(path))
    except OSError as error:
        talk.close()
        hint = "start it with `tidegate gate run`, or name its socket with --admin"
        raise GateUnreachable(f"no gate answers at {path}: {error.strerror}", hint=hint) from None
    return talk


def _check_peer(talk: socket.socket) -> None:
    """Hand sockets and sessions only to this user, or to root."""
    _, user, _ = struct.unpack("3i", talk.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if user not in (0, os.geteuid()):
        raise PermissionError(f"user {user} may not take over")

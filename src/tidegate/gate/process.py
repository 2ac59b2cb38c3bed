"""A gate as a process: signals, reload, readiness, logs.

The main thread only waits: for a signal, or for somebody at the reload socket. Threads of the gate never see a signal,
because they are started while all of them are blocked.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import secrets
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tidegate.config.check import check_machine, descriptors_needed
from tidegate.config.load import load_config
from tidegate.config.model import Config
from tidegate.daemon import log_json, notify
from tidegate.errors import ConfigError, GateError, TidegateError
from tidegate.gate.admin import reload_path
from tidegate.gate.handover import Handover, Predecessor, handover_path, take_over
from tidegate.gate.inherit import systemd_sockets
from tidegate.gate.latency import Feeds
from tidegate.gate.service import Gate, check_learned
from tidegate.gate.state import Keeper, read_state
from tidegate.units import Duration
from tidegate.unix import listening

__all__ = ["run_gate"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
_KEEP_S = 30.0
"""Between two times that what was learned is written."""
_RENEW_S = 86_400.0
"""Between two times that windows of time are told anew; a plan knows 15 days of them."""
_log = logging.getLogger("tidegate.gate")


def run_gate(
    file: Path, *, ready: Callable[[dict[str, str]], None], until_eof: bool = False, replace: bool = False
) -> None:
    """Run the gate that ``file`` describes until it is told to end.

    Parameters
    ----------
    ready
        Called once with the address of each service when everything is bound.
    until_eof
        End at once when stdin closes, so that a gate never outlives the supervisor that holds the other end.
    replace
        Take over from the gate that answers at the file's admin socket.

    Raises
    ------
    ConfigError
        When the file is wrong or this machine cannot run it; nothing is bound then.
    GateError
        When the gate refuses the plan; nothing is bound then.
    GateUnreachable
        When there is no gate to take over from.
    """
    log_json(_log.name)
    config = load_config(file)
    admin = Path(config.gate.admin.partition(":")[2])
    predecessor = take_over(admin) if replace else None
    listens = {name: service.listen for name, service in config.service.items()}
    inherited = predecessor.inherited if predecessor else systemd_sockets(listens)
    given = {listen for _, listen, _ in inherited.sockets}
    found = check_machine(config, file, is_ours=lambda address: replace or address in given)
    if found.problems:
        raise ConfigError(found.problems)
    _raise_descriptors(config)
    try:
        admin.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        hint = "let systemd make it (RuntimeDirectory=tidegate), or name another socket as gate.admin"
        raise GateError(f"the folder {admin.parent} cannot be made: {error.strerror}", hint=hint) from None
    seed = inherited.seed if inherited.seed is not None else secrets.randbits(63)
    config = _seeded(config, seed)
    with _wakeups() as signals:
        learned = inherited.learned or _learned(config)
        with _blocked_signals():
            gate = Gate(config, learned, inherited)
        with gate, selectors.DefaultSelector() as waiting:
            serving = _Serving(gate, file, config, seed, waiting, until_eof=until_eof)
            with closing(serving):
                # Before the other gate hears of it: when it ends first, systemd takes that for the end of the unit.
                notify(f"READY=1\nMAINPID={os.getpid()}", _log)
                if predecessor:
                    serving.follow(predecessor)
                _log.info("running", extra={"fields": {"file": str(file), "services": gate.addresses()}})
                _warn(gate)
                ready(gate.addresses())
                serving.until_end(signals)


def _seeded(config: Config, seed: int) -> Config:
    """Return the configuration with a seed that outlives reloads and restarts: identities keep their numbers."""
    if config.gate.seed is not None:
        return config
    return config.model_copy(update={"gate": config.gate.model_copy(update={"seed": seed})})


def _learned(config: Config) -> dict[str, dict[str, Any]]:
    if config.gate.state is None:
        return {}
    return read_state(config.gate.state, config, lambda learned: check_learned(config, learned), _log.warning)


class _Serving:
    """The loop of a gate's main thread: signals, reloads, takeovers, and keeping what was learned."""

    def __init__(  # noqa: PLR0913 (what a process is made of)
        self,
        gate: Gate,
        file: Path,
        config: Config,
        seed: int,
        waiting: selectors.BaseSelector,
        *,
        until_eof: bool,
    ) -> None:
        self._gate, self._file, self._config, self._seed = gate, file, config, seed
        self._waiting, self._until_eof = waiting, until_eof
        admin = Path(config.gate.admin.partition(":")[2])
        self._keeper = Keeper(config, gate.learned, _log.warning)
        self._feeds = Feeds(gate.datastores, _log.warning)
        self._feeds.follow(config)
        self._talk = _Talk(reload_path(admin))
        self._handover = Handover(handover_path(admin), gate, seed, waiting, _longest_drain(config).seconds)
        self._over = False
        waiting.register(self._talk.socket, selectors.EVENT_READ, lambda: self._talk.answer(self._reload))

    def close(self) -> None:
        """Answer no more; keep what was learned, unless a successor has it."""
        if not self._handover.retired:
            self._keeper.save()
        self._feeds.close()
        self._talk.close()
        self._handover.close()

    def follow(self, predecessor: Predecessor) -> None:
        """Tell the gate that was taken over from that this one serves, and hear what it still uses."""

        def heard() -> None:
            there = predecessor.socket
            if not predecessor.heard(self._gate):
                self._waiting.unregister(there)
                self._handover.predecessor = None

        self._waiting.register(predecessor.socket, selectors.EVENT_READ, heard)
        self._handover.predecessor = predecessor
        predecessor.serves()

    def until_end(self, signals: socket.socket) -> None:
        """Wait for whatever comes until the gate has ended."""
        self._waiting.register(signals, selectors.EVENT_READ, lambda: self._signalled(signals))
        if self._until_eof:
            self._waiting.register(sys.stdin.fileno(), selectors.EVENT_READ, self._supervised)
        due = time.monotonic() + _KEEP_S
        renew = time.monotonic() + _RENEW_S
        while not self._over:
            wait = max(0.0, due - time.monotonic())
            tick = self._handover.wait_s
            for key, _ in self._waiting.select(wait if tick is None else min(wait, tick)):
                if not self._over:
                    key.data()
            if self._handover.tick():
                _log.info("ended: the successor has every client", extra={"fields": self._gate.left()})
                return
            if time.monotonic() >= due and not self._handover.retired:
                self._keeper.save()
                due = time.monotonic() + _KEEP_S
                if time.monotonic() >= renew:
                    self._renew()
                    renew = time.monotonic() + _RENEW_S

    def _supervised(self) -> None:
        self._over |= not os.read(sys.stdin.fileno(), 4096)

    def _signalled(self, signals: socket.socket) -> None:
        for number in signals.recv(64):
            if number == signal.SIGHUP:
                self._reload()
            elif number == signal.SIGUSR2:
                self._handover.restart()
            else:
                _drain(self._gate, self._config, signals)
                self._over = True
                return

    def _reload(self) -> dict[str, Any]:
        if self._handover.retired:
            message = "this gate has been taken over from; its successor takes a reload"
            return {"format": 1, "kind": "refused", "message": message, "hint": "", "problems": []}
        return _reload(self._gate, self._file, self._seed, self._follow)

    def _follow(self, config: Config) -> None:
        self._config = config
        self._keeper.follow(config)
        self._feeds.follow(config)

    def _renew(self) -> None:
        """Tell when windows of time are open in the coming days."""
        if not self._config.window:
            return
        try:
            self._gate.apply(self._config)  # the plan is made anew, as of now
        except TidegateError as error:  # a certificate's file has gone, say: the plan that serves still knows two weeks
            _log.error("windows of time were not renewed", extra={"fields": {"error": error.message}})


def _longest_drain(config: Config) -> Duration:
    return max((service.io.drain for service in config.service.values()), default=Duration(0))


def _reload(gate: Gate, file: Path, seed: int, follow: Callable[[Config], None]) -> dict[str, Any]:
    """Read the file again; return what ``gate reload`` prints. A file that is wrong changes nothing."""
    notify("RELOADING=1", _log)
    try:
        config = _seeded(load_config(file), seed)
        report = gate.apply(config)
        follow(config)
    except TidegateError as error:
        problems = error.problems if isinstance(error, ConfigError) else ()
        plain = [
            {"file": str(p.file), "line": p.line, "key": p.where, "message": p.message, "hint": p.hint}
            for p in problems
        ]
        answer = {"format": 1, "kind": "refused", "message": error.message, "hint": error.hint, "problems": plain}
        _log.error("reload refused, nothing has changed", extra={"fields": answer})
        return answer
    finally:
        notify("READY=1", _log)
    _log.info("reloaded", extra={"fields": {"report": report}})
    _warn(gate)
    return {"format": 1, "kind": "reloaded", "report": report}


def _warn(gate: Gate) -> None:
    for warning in gate.status()["warnings"]:
        _log.warning(warning)


def _drain(gate: Gate, config: Config, signals: socket.socket) -> None:
    """Drain; a second signal ends the wait."""
    notify("STOPPING=1", _log)
    deadline = _longest_drain(config)
    _log.info("draining", extra={"fields": {"deadline_s": deadline.seconds}})
    report: dict[str, Any] = {}
    worker = threading.Thread(target=lambda: report.update(gate.drain(deadline)), name="tidegate-drain", daemon=True)
    worker.start()
    signals.settimeout(0.05)
    while worker.is_alive():
        try:
            if any(number != signal.SIGHUP for number in signals.recv(64)):
                break
        except TimeoutError:
            continue
    _log.info("ended", extra={"fields": {"report": report}})


class _Talk:
    """The socket at which ``gate reload`` is answered; mode 0600, one talk at a time."""

    def __init__(self, path: Path) -> None:
        self.socket, self._place = listening(path)

    def answer(self, make: Callable[[], dict[str, Any]]) -> None:
        """Answer whoever is there; one who does not take the answer within a second goes without."""
        try:
            with closing(self.socket.accept()[0]) as talk:
                talk.settimeout(1.0)
                talk.sendall(json.dumps(make()).encode())
        except OSError as error:  # he has gone, or this process may open no more files
            _log.warning("nobody took the answer", extra={"fields": {"error": str(error)}})

    def close(self) -> None:
        """Remove the socket; that of a gate that has taken over stays."""
        self.socket.close()
        self._place.leave()


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Start threads that never see a signal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _wakeups() -> Iterator[socket.socket]:
    """Turn signals into bytes on a socket."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    signal.set_wakeup_fd(writer.fileno())
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _raise_descriptors(config: Config) -> None:
    """Raise the soft limit to what may be needed; the hard limit was checked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = descriptors_needed(config)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

"""A gate as a process: signals, reload, readiness, logs.

The main thread only waits: for a signal, or for somebody at the reload socket. Threads of the gate never see a signal,
because they are started while all of them are blocked.
"""

from __future__ import annotations

import json
import logging
import os
import resource
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
from tidegate.errors import ConfigError, GateError, TidegateError
from tidegate.gate.admin import reload_path
from tidegate.gate.service import Gate, check_learned
from tidegate.gate.state import Keeper, read_state
from tidegate.units import Duration

__all__ = ["run_gate"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_KEEP_S = 30.0
"""Between two times that what was learned is written."""
_log = logging.getLogger("tidegate.gate")


def run_gate(file: Path, *, ready: Callable[[dict[str, str]], None], until_eof: bool = False) -> None:
    """Run the gate that ``file`` describes until it is told to end.

    Parameters
    ----------
    ready
        Called once with the address of each service when everything is bound.
    until_eof
        End at once when stdin closes, so that a gate never outlives the supervisor that holds the other end.

    Raises
    ------
    ConfigError
        When the file is wrong or this machine cannot run it; nothing is bound then.
    GateError
        When the gate refuses the plan; nothing is bound then.
    """
    _log_json()
    config = load_config(file)
    found = check_machine(config, file)
    if found.problems:
        raise ConfigError(found.problems)
    _raise_descriptors(config)
    admin = Path(config.gate.admin.partition(":")[2])
    try:
        admin.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        hint = "let systemd make it (RuntimeDirectory=tidegate), or name another socket as gate.admin"
        raise GateError(f"the folder {admin.parent} cannot be made: {error.strerror}", hint=hint) from None
    with _wakeups() as signals:
        learned = _learned(config)
        with _blocked_signals():
            gate = Gate(config, learned)
        keeper = Keeper(config, gate.learned, _log.warning)
        with gate, closing(_Talk(reload_path(admin))) as talk:
            _log.info("running", extra={"fields": {"file": str(file), "services": gate.addresses()}})
            _warn(gate)
            ready(gate.addresses())
            _notify("READY=1")
            try:
                _serve(gate, file, config, talk, signals, keeper=keeper, until_eof=until_eof)
            finally:
                keeper.save()


def _learned(config: Config) -> dict[str, dict[str, Any]]:
    if config.gate.state is None:
        return {}
    return read_state(config.gate.state, config, lambda learned: check_learned(config, learned), _log.warning)


def _serve(  # noqa: PLR0913 (what a process is made of)
    gate: Gate, file: Path, config: Config, talk: _Talk, signals: socket.socket, *, keeper: Keeper, until_eof: bool
) -> None:
    """Wait for signals and for reloads until the gate has ended; keep what it learns."""
    due = time.monotonic() + _KEEP_S
    with selectors.DefaultSelector() as waiting:
        waiting.register(signals, selectors.EVENT_READ)
        waiting.register(talk.socket, selectors.EVENT_READ)
        if until_eof:
            waiting.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            found = waiting.select(max(0.0, due - time.monotonic()))
            if time.monotonic() >= due:
                keeper.save()
                due = time.monotonic() + _KEEP_S
            for key, _ in found:
                if key.fileobj is talk.socket:
                    talk.answer(lambda: _reload(gate, file, keeper))
                    continue
                if key.fileobj is not signals:
                    if not os.read(sys.stdin.fileno(), 4096):
                        return
                    continue
                for number in signals.recv(64):
                    if number == signal.SIGHUP:
                        _reload(gate, file, keeper)
                    elif number in (signal.SIGTERM, signal.SIGINT):
                        _drain(gate, config, signals)
                        return


def _reload(gate: Gate, file: Path, keeper: Keeper) -> dict[str, Any]:
    """Read the file again; return what ``gate reload`` prints. A file that is wrong changes nothing."""
    _notify("RELOADING=1")
    try:
        config = load_config(file)
        report = gate.apply(config)
        keeper.follow(config)
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
        _notify("READY=1")
    _log.info("reloaded", extra={"fields": {"report": report}})
    _warn(gate)
    return {"format": 1, "kind": "reloaded", "report": report}


def _warn(gate: Gate) -> None:
    for warning in gate.status()["warnings"]:
        _log.warning(warning)


def _drain(gate: Gate, config: Config, signals: socket.socket) -> None:
    """Drain; a second signal ends the wait."""
    _notify("STOPPING=1")
    deadline = max((service.io.drain for service in config.service.values()), default=Duration(0))
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
        self._path = path
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self.socket.bind(str(path))
        finally:
            os.umask(before)
        self.socket.listen(8)

    def answer(self, make: Callable[[], dict[str, Any]]) -> None:
        """Answer whoever is there; one who does not take the answer within a second goes without."""
        with closing(self.socket.accept()[0]) as talk:
            talk.settimeout(1.0)
            try:
                talk.sendall(json.dumps(make()).encode())
            except OSError as error:
                _log.warning("nobody took the answer", extra={"fields": {"error": str(error)}})

    def close(self) -> None:
        """Remove the socket."""
        self.socket.close()
        self._path.unlink(missing_ok=True)


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


def _notify(state: str) -> None:
    """Tell systemd (``Type=notify``), when it asked for it; protocol of sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if state == "RELOADING=1":
        state += f"\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as talk:
        try:
            talk.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            _log.warning("systemd was not told", extra={"fields": {"error": str(error)}})


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        head = {"time": round(record.created, 3), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**head, **fields}, default=str)


def _log_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    _log.handlers = [handler]
    _log.setLevel(logging.INFO)
    _log.propagate = False

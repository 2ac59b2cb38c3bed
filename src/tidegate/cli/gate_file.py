"""Commands that take a configuration file: ``gate check`` and ``gate run``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tidegate.cli.other_files import reader_of
from tidegate.cli.printer import Follow, Output, Printer
from tidegate.config.check import Checked, check_machine
from tidegate.config.load import load_config
from tidegate.config.model import Config
from tidegate.errors import ConfigError, Exit, GateError, GateUnreachable, Problem
from tidegate.gate.admin import AdminClient

__all__ = ["check", "examine", "run"]


def check(*files: Path, output: Output = "text") -> int:
    """Say everything that is wrong with configuration files, before a port is bound.

    Looks at keys and values, at how they fit together, and at this machine: certificates, addresses in use, file
    descriptors. An address that the gate itself has (it is running with this file) is no problem. A file that
    describes a storm to rehearse, or a run over a fleet, is checked as such.

    Examples
    --------
    ``tidegate gate check /etc/tidegate/gate.toml``

    Parameters
    ----------
    files
        TOML files, each for a gate of its own.
    output
        For people, or as one JSON object.
    """
    printer = Printer(output)
    if not files:
        from tidegate.errors import UsageError

        raise UsageError("no file to check", hint="name at least one: `tidegate gate check gate.toml`")
    reports = [_report(printer, file) for file in files]
    printer.data({"format": 1, "files": reports})
    return Exit.FINE if all(report["ok"] for report in reports) else Exit.USAGE


def _report(printer: Printer, file: Path) -> dict[str, Any]:
    summary, found = "", Checked((), ())
    try:
        if read := reader_of(file):
            summary = read(file)
        else:
            config = load_config(file)
            summary = _summary(config)
            found = examine(config, file)
    except ConfigError as error:
        found = Checked(error.problems, ())
    for problem in (*found.problems, *found.notes):
        printer.text(f"{problem}" if problem in found.problems else f"{problem} (note)")
        if problem.hint:
            printer.text(f"  hint: {problem.hint}")
    count = len(found.problems)
    printer.text(f"{file}: {count} problem{'s' * (count != 1)}" if count else f"{file}: fine: {summary}")
    return {
        "file": str(file),
        "ok": not count,
        "problems": [_plain(problem) for problem in found.problems],
        "notes": [_plain(note) for note in found.notes],
    }


def _plain(problem: Problem) -> dict[str, Any]:
    plain = asdict(problem)
    return {"line": plain["line"], "key": plain["where"], "message": plain["message"], "hint": plain["hint"]}


def _summary(config: Config) -> str:
    return "; ".join(
        f"service {name}: {service.listen}, {service.protocol}, "
        f"{service.tls.kind if service.tls else 'cleartext'}, {service.mode}, {_servers(len(service.server))}"
        for name, service in config.service.items()
    )


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"


def examine(config: Config, file: Path) -> Checked:
    """Look at the machine and let Rust look at the plan."""
    found = check_machine(config, file, is_ours=_RunningAt(config))
    if found.problems:
        return found
    try:
        from tidegate.gate.service import check_plan

        check_plan(config)
    except GateError as error:
        said = Problem(file, 0, "", error.message, error.hint)
        if error.slug == "no-core":  # a checkout that is not built yet can still check everything else
            return Checked((), (*found.notes, said))
        return Checked((said,), found.notes)
    return found


class _RunningAt:
    """Tells whether the gate behind the file's admin socket listens at an address; asks it at most once."""

    def __init__(self, config: Config) -> None:
        self._admin = Path(config.gate.admin.partition(":")[2])
        self._listens: frozenset[str] | None = None

    def __call__(self, address: str) -> bool:
        if self._listens is None:
            try:
                services = AdminClient(self._admin, timeout_s=2.0).status()["services"]
                self._listens = frozenset(service["listen"] for service in services)
            except (GateUnreachable, KeyError, TypeError):
                self._listens = frozenset()
        return address in self._listens


def run(
    file: Path,
    *,
    until_eof: Annotated[bool, Parameter(negative="", help="End at once when stdin closes: for a supervisor.")] = False,
    replace: Annotated[
        bool, Parameter(negative="", help="Take over from the gate that runs with this admin socket.")
    ] = False,
    output: Follow = "text",
) -> int:
    """Run a gate until TERM or INT; HUP reads the file again, USR2 starts a successor that takes over.

    TERM drains: nothing new is taken, held calls are turned away, calls in flight may end (``io.drain``); a second TERM
    ends at once. Logs go to stderr as JSON lines.

    Examples
    --------
    ``tidegate gate run /etc/tidegate/gate.toml``

    Parameters
    ----------
    file
        The TOML file.
    output
        How to say on stdout where the services listen.
    """
    from tidegate.gate.process import run_gate

    printer = Printer(output)

    def ready(addresses: dict[str, str]) -> None:
        printer.data({"format": 1, "kind": "ready", "services": addresses})
        for name, address in addresses.items():
            printer.text(f"{name} listens at {address}")

    run_gate(file, ready=ready, until_eof=until_eof, replace=replace)
    return Exit.FINE

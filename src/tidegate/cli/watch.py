"""``tidegate watch``: leave it running, ask it, steer it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from tidegate.cli.gate_talk import keep_looking
from tidegate.cli.printer import Follow, Output, Printer
from tidegate.cli.watch_check import check
from tidegate.cli.watch_view import status_text
from tidegate.errors import Exit
from tidegate.harmless import harmless
from tidegate.watch.live.admin import ADMIN_DEFAULT, WatchClient

__all__ = ["act_approve", "act_off", "act_on", "act_ran", "reload", "run", "status", "view", "watch"]

Admin = Annotated[Path, Parameter(name="--admin", env_var="TIDEGATE_WATCH_ADMIN", help="The watch's admin socket.")]

watch = App(name="watch")


@watch.default
def run(
    file: Path,
    *,
    until_eof: Annotated[bool, Parameter(negative="", help="End at once when stdin closes: for a supervisor.")] = False,
    output: Follow = "text",
) -> int:
    """Watch logs, syslog and devices until TERM or INT, and tell receivers once per storm; HUP reads the file again.

    What was read, what the windows hold and what is still to be said is kept in one transaction per step: after a crash
    it goes on where it was. Logs go to stderr as JSON lines.

    Examples
    --------
    ``tidegate watch /etc/tidegate/watch.toml``

    Parameters
    ----------
    file
        The TOML file; examples/watch.toml is one to start from.
    output
        How to say on stdout that it watches.
    """
    from tidegate.watch.live.runner import run_watch

    printer = Printer(output)

    def ready(answer: dict[str, Any]) -> None:
        printer.data(answer)
        for name, addresses in answer["sources"].items():
            printer.text(f"{name} listens at {', '.join(addresses)}" if addresses else f"{name} is watched")
        if answer["metrics"]:
            printer.text(f"metrics are at http://{answer['metrics']}/metrics")

    run_watch(file, ready=ready, until_eof=until_eof)
    return Exit.FINE


def status(*, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Show windows against their thresholds, open episodes, gaps, sources and receivers.

    Exit code 1 while an episode is open, or nothing can be said because of gaps.

    Examples
    --------
    ``tidegate watch status --output json``
    """
    printer, answer = Printer(output), WatchClient(admin).status()
    printer.data(answer)
    printer.text(status_text(answer))
    return Exit.FINE if answer["verdict"] == "quiet" else Exit.BAD


def view(*, admin: Admin = ADMIN_DEFAULT, output: Follow = "text") -> int:
    """Look at the same every second until interrupted: windows as they fill up, episodes as they open and clear.

    Examples
    --------
    ``tidegate watch view``
    """
    keep_looking(output, WatchClient(admin).status, status_text)


def act_on(*, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let the watch do what its file allows. It stays so over restarts."""
    return _act(admin, output, on=True)


def act_off(*, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let the watch do nothing by itself from now on: the kill switch. It stays so over restarts."""
    return _act(admin, output, on=False)


def act_approve(matter: str, /, *, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let a gate be told what is proposed; a probe must show the trouble now.

    Parameters
    ----------
    matter
        As `tidegate watch status` lists it.
    """
    return _act(admin, output, approve=matter, by=getpass.getuser())


def act_ran(matter: str, /, *, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Say that a proposed fleet run is over: the same rule is watched then until it has been silent long enough.

    Parameters
    ----------
    matter
        As `tidegate watch status` lists it.
    """
    return _act(admin, output, ran=matter)


def _act(admin: Path, output: Literal["text", "json"], **what: object) -> int:
    printer = Printer(output)
    answer = WatchClient(admin).act(**what)
    printer.data(answer)
    printer.text(f"acting is {'on' if answer['on'] else 'off'}")
    for one in answer["matters"]:
        printer.text(harmless(f"  {one['act']['name']} ({one['id']}): {one['state']}; {one['says']}"))
    return Exit.FINE


def reload(*, admin: Admin = ADMIN_DEFAULT, output: Output = "text") -> int:
    """Let the watch read its file and its rules again. A mistake in either changes nothing: the old ones stay."""
    printer = Printer(output)
    answer = WatchClient(admin).reload()
    printer.data(answer)
    printer.text(f"reloaded: {answer['rules']} rules")
    for note in answer["notes"]:
        printer.words(f"note: {note}")
    return Exit.FINE


act = App(name="act", help="Switch on or off what the watch may do by itself; approve what it proposes.")
act.command(act_on, name="on")
act.command(act_off, name="off")
act.command(act_approve, name="approve")
act.command(act_ran, name="ran")
watch.command(check)
watch.command(status)
watch.command(view)
watch.command(act)
watch.command(reload)

"""``tidegate demo fleet``: a phased restart over hosts of the lab, by controllers that may be killed meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table

from tidegate.cli.fleet_view import FleetView
from tidegate.cli.printer import Output, Printer
from tidegate.cli.promises import kept
from tidegate.cli.reports import write_report
from tidegate.errors import UsageError
from tidegate.fleet.guards import Measured
from tidegate.fleet.report import report_page
from tidegate.lab.fleet import GUARD_S, Variant
from tidegate.lab.fleet_play import FleetDemo, play_fleet

__all__ = ["fleet"]

_PAUSES_S = 14.0
"""Seconds that all pauses between batches may take together."""
_GUARD = Measured("provider", "provider-response", GUARD_S, "the provider's 95th percentile", "s")
"""What the controllers go by, for the page."""
_ROWS = {
    "hosts": "hosts",
    "restarted": "restarted",
    "restarted_twice": "restarted twice, as the hosts themselves count",
    "batches": "batches",
    "max_batch": "hosts in the largest batch",
    "guard_stops": "stops by a guard",
    "kills": "controllers killed (SIGKILL)",
    "provider_sessions": "sessions that the provider has opened",
    "provider_p95_ms_max": "the provider's worst 95th percentile (ms)",
    "storm_p95_ms": "the same, all hosts at once, in the first 4 s (ms)",
    "seconds": "seconds",
}


def fleet(
    *,
    hosts: Annotated[int, Parameter(help="How many hosts, 1 to 1000.")] = 40,
    variant: Annotated[
        Variant, Parameter(help="Stop all and start in batches, or restart batch by batch.")
    ] = "stop-all",
    kill_at: Annotated[
        Literal["random"] | None, Parameter(name="--kill-at", help="Kill the controller at random times, and resume.")
    ] = None,
    seed: Annotated[int, Parameter(help="Of all randomness.")] = 1,
    report: Annotated[Path | None, Parameter(help="Where to write a page about the run.")] = None,
    keep: Annotated[bool, Parameter(negative="", help="Leave the folder of the world to look at.")] = False,
    output: Output = "text",
) -> int:
    """Restart a service on many hosts as KB 412434 says: stop everywhere, start in batches, look at the provider.

    The controller is a process of its own with a journal; hosts outlive it, count their restarts themselves, and
    reconnect by sockets to the lab's provider. Pauses are scaled down.
    """
    for name, value, least, most in (("hosts", hosts, 1, 1000), ("seed", seed, 0, 2**63 - 1)):
        if not least <= value <= most:
            raise UsageError(f"--{name} {value} is out of range", hint=f"choose {least} to {most}")
    printer = Printer(output)
    demo = FleetDemo(hosts, variant, kill_at is not None, seed, _speed(hosts))
    with FleetView(printer, "demo") as view:
        result = play_fleet(demo, view.watch, keep=keep)
    numbers: dict[str, Any] = dict(result.numbers)
    if report is not None:
        write_report(report, report_page("demo", result.events, [_GUARD]))
        numbers["report"] = str(report)
    printer.data(numbers)
    printer.text(_table(numbers))
    return kept(printer, _broken(numbers, killing=kill_at is not None))


def _speed(hosts: int) -> float:
    """Return what durations are divided by, so that pauses take a quarter of a minute at the most."""
    batches = 2 + hosts / 10
    return max(50.0, 150 * batches / _PAUSES_S)


def _table(numbers: dict[str, Any]) -> Table:
    table = Table(
        title=f"{numbers['hosts']} hosts, {numbers['variant']}",
        caption=f"Pauses are divided by {numbers['speed']:g}; the provider's times are real. Seed {numbers['seed']}.",
        show_header=False,
    )
    for key, label in _ROWS.items():
        table.add_row(label, str(numbers[key]))
    return table


def _broken(numbers: dict[str, Any], *, killing: bool) -> list[str]:
    sentences = []
    if numbers["restarted"] < numbers["hosts"]:
        sentences.append(f"only {numbers['restarted']} of {numbers['hosts']} hosts were restarted")
    if numbers["restarted_twice"]:
        sentences.append(f"{numbers['restarted_twice']} hosts were restarted twice")
    if killing and not numbers["kills"]:
        sentences.append("no controller was killed")
    return sentences

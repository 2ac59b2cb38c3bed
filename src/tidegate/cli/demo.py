"""``tidegate demo``: one storm, without and with the gate, live; one table, one page."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tidegate.cli.demo_view import view_on
from tidegate.cli.printer import Output, Printer
from tidegate.cli.promises import kept
from tidegate.cli.reports import write_report
from tidegate.errors import UsageError
from tidegate.lab.play import Result, play
from tidegate.lab.report import comparison, report_page
from tidegate.lab.scenario import Law, Scenario

__all__ = ["demo"]


def demo(
    *,
    hosts: Annotated[int, Parameter(help="How many hosts reconnect, 1 to 4000.")] = 300,
    law: Annotated[Law, Parameter(help="How the provider's throughput falls past its knee.")] = "usl",
    knee: Annotated[int, Parameter(help="Calls in flight at which the provider does most work, 2 to 200.")] = 22,
    limit: Annotated[int | None, Parameter(help="The gate's limit, 1 to 65536; left out, it finds one.")] = None,
    seed: Annotated[int, Parameter(help="Of all randomness; the same seed gives the same storm.")] = 1,
    speed: Annotated[float, Parameter(help="Divides every duration; 1 is real time.")] = 5.0,
    passthrough: Annotated[bool, Parameter(negative="", help="The hosts speak TLS through the gate.")] = False,
    report: Annotated[Path, Parameter(help="Where to write the page.")] = Path("report.html"),
    keep: Annotated[bool, Parameter(negative="", help="Leave the folder of each world to look at.")] = False,
    output: Output = "text",
) -> int:
    """Play a reconnect storm without and with the gate, and compare."""
    scenario = _checked(Scenario(hosts, law, knee, seed, speed, passthrough, limit))
    printer = Printer(output)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the worlds clean up after TERM as after Ctrl-C
    with view_on(printer.errors, scenario) as view:
        without = play(scenario, gate=False, watch=view.watch(gate=False), keep=keep)
        through = play(scenario, gate=True, watch=view.watch(gate=True), keep=keep)
    numbers = _numbers(scenario, without, through)
    broken = _broken(scenario, without, through)
    write_report(report, report_page(scenario, numbers, without, through))
    printer.data({**numbers, "report": str(report)})
    printer.text(comparison(scenario, numbers))
    printer.text(f"report: {report}")
    return kept(printer, broken)


def _checked(scenario: Scenario) -> Scenario:
    for name, value, least, most in (
        ("hosts", scenario.hosts, 1, 4000),
        ("knee", scenario.knee, 2, 200),
        ("speed", scenario.speed, 0.1, 50),
        ("seed", scenario.seed, 0, 2**63 - 1),
        ("limit", 1 if scenario.limit is None else scenario.limit, 1, 65_536),
    ):
        if not least <= value <= most:
            raise UsageError(f"--{name} {value:g} is out of range", hint=f"choose {least:g} to {most:g}")
    return scenario


def _numbers(scenario: Scenario, without: Result, through: Result) -> dict[str, Any]:
    return {
        "format": 1,
        "hosts": scenario.hosts,
        "law": scenario.law,
        "knee": scenario.knee,
        "limit": scenario.limit,
        "limit_found": through.limit_found,
        "seed": scenario.seed,
        "speed": scenario.speed,
        "passthrough": scenario.passthrough,
        "window_s": round(through.window_s, 2),
        "floor_s": round(through.floor_s, 2),
        "without_gate": without.numbers(),
        "with_gate": through.numbers(),
    }


def _broken(scenario: Scenario, without: Result, through: Result) -> list[str]:
    """Return what the gate promised and did not keep, and what makes the figures worthless."""
    seen, sentences = through.numbers(), []
    if seen["connected"] < scenario.hosts:
        sentences.append(f"only {seen['connected']} of {scenario.hosts} hosts are connected through the gate")
    if seen["timeouts"]:
        sentences.append(f"{seen['timeouts']} calls timed out through the gate")
    for result in (without, through):
        if sentence := result.bottleneck():
            where = "through the gate" if result.gate else "without the gate"
            sentences.append(f"the lab was the bottleneck {where}, so the figures mean nothing: {sentence}")
    return sentences

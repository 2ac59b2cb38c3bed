"""``tidegate sim run``: rehearse a storm under one policy or under many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tidegate.cli.printer import Output, Printer
from tidegate.cli.reports import write_report
from tidegate.cli.sim_view import figures_table, progress_on, seeded
from tidegate.errors import Exit, UsageError
from tidegate.sim.compare import names_of, rehearse_all, scenario_json
from tidegate.sim.load import load_scenario
from tidegate.sim.report import report_page

__all__ = ["run"]


def run(
    scenario: Path,
    *,
    policy: Annotated[str, Parameter(help="What stands in front of the server.")] = "tidegate",
    compare: Annotated[str | None, Parameter(help='Several policies, with commas between them, or "all".')] = None,
    seed: Annotated[int | None, Parameter(help="Of all randomness, in place of the scenario's.")] = None,
    report: Annotated[Path | None, Parameter(help="Where to write a page about it.")] = None,
    output: Output = "text",
) -> int:
    """Rehearse a storm in virtual time, with the decisions of the very gate that runs live.

    The policies: none, kb-manual (KB 412434's restart by hand), nginx-conn, nginx-req, haproxy-default, haproxy-best,
    envoy-adaptive, envoy-admission, tidegate, and those of the scenario's own tables [policy.NAME].

    Examples
    --------
    ``tidegate sim run examples/vasa-restart.toml --compare all --report storm.html``

    Parameters
    ----------
    scenario
        The TOML file.
    """
    printer = Printer(output)
    storm = seeded(load_scenario(scenario), seed)
    names = names_of(storm, policy if compare is None else compare)
    if compare is None and len(names) != 1:
        raise UsageError("--policy names more than one policy", hint=f"write --compare {policy}")
    with progress_on(printer.errors) as tell:
        runs = rehearse_all(storm, names, tell)
    about = scenario_json(storm)
    if report is not None:
        write_report(report, report_page(about, runs))
    many = {"format": 1, "scenario": about, "policies": runs}
    printer.data(many if compare is not None else {**runs[names[0]], "scenario": about})
    printer.text(figures_table(about, runs))
    if report is not None:
        printer.words(f"report: {report}")
    return _judged(printer, about, runs)


def _judged(printer: Printer, about: dict[str, Any], runs: dict[str, dict[str, Any]]) -> int:
    """Say what the gate did not do; what becomes of the others is a figure, not a failure."""
    ours = runs.get("tidegate")
    if ours is None or ours["connected"] == about["hosts"]:
        return Exit.FINE
    printer.words(f"through the gate only {ours['connected']} of {about['hosts']} hosts are connected at the end")
    return Exit.BAD

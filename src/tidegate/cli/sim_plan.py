"""``tidegate sim plan``: what a storm to come will be like, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tidegate.cli.printer import Output, Printer
from tidegate.cli.sim_view import progress_on, seeded
from tidegate.errors import Exit, UsageError
from tidegate.sim.advice import sentences
from tidegate.sim.load import load_scenario
from tidegate.sim.plan import plan as answer_for
from tidegate.sim.plan import storm_of
from tidegate.sim.rules import HOSTS_MAX
from tidegate.sim.scenario import Law, Scenario, Server
from tidegate.units import Duration

__all__ = ["plan"]


def plan(
    scenario: Path | None = None,
    *,
    hosts: Annotated[int | None, Parameter(help="How many hosts reconnect: a plan without a file.")] = None,
    law: Annotated[Law | None, Parameter(help="With --hosts: how the server gives way (usl).")] = None,
    knee: Annotated[
        int | None, Parameter(help="With --hosts: calls in flight at which most work is done (22).")
    ] = None,
    unit: Annotated[str | None, Parameter(help="With --hosts: how long opening a session takes alone (500ms).")] = None,
    down: Annotated[str | None, Parameter(help="With --hosts: how long the server is down at first (0s).")] = None,
    timeout: Annotated[str | None, Parameter(help="With --hosts: how long a host waits for an answer (30s).")] = None,
    seed: Annotated[int | None, Parameter(help="Of all randomness, in place of the scenario's.")] = None,
    output: Output = "text",
) -> int:
    """Answer what to expect of a storm: when the last host is in, what a gate wins, how to restart by hand.

    Examples
    --------
    ``tidegate sim plan examples/vcenter-2500.toml``

    ``tidegate sim plan --hosts 300 --knee 22 --unit 500ms --down 10s``

    Parameters
    ----------
    scenario
        The TOML file.
    """
    printer = Printer(output)
    if (scenario is None) == (hosts is None):
        hint = "`tidegate sim plan examples/vasa-restart.toml`, or `tidegate sim plan --hosts 300 --knee 22`"
        raise UsageError("a plan is about a scenario's file or about --hosts", hint=hint)
    figures = {"law": law, "knee": knee, "unit": unit, "down": down, "timeout": timeout}
    given = {name: value for name, value in figures.items() if value is not None}
    if scenario is None:
        storm = _storm(hosts if hosts is not None else 0, given)
    elif given:
        raise UsageError(f"--{next(iter(given))} goes with --hosts", hint=f"write it into {scenario}")
    else:
        storm = load_scenario(scenario)
    storm = seeded(storm, seed)
    with progress_on(printer.errors) as tell:
        answer = answer_for(storm, tell)
    printer.data(answer)
    for sentence in sentences(answer):
        printer.text(sentence)
    return Exit.FINE if answer["gate"]["last_connected_s"] is not None else Exit.BAD


def _storm(hosts: int, given: dict[str, str | int]) -> Scenario:
    knee = int(given.get("knee", 22))
    for name, value, most in (("hosts", hosts, HOSTS_MAX), ("knee", knee, 65_536)):
        if not 1 <= value <= most:
            raise UsageError(f"--{name} {value} is out of range", hint=f"choose 1 to {most}")
    server = Server.model_validate(
        {
            "law": given.get("law", "usl"),
            "knee": knee,
            "unit": _duration("unit", given.get("unit", "500ms")),
            "down_until": _duration("down", given.get("down", "0s")),
        }
    )
    return storm_of(hosts, server, _duration("timeout", given.get("timeout", "30s")))


def _duration(name: str, text: str | int) -> Duration:
    try:
        value = Duration.parse(str(text))
    except ValueError as error:
        raise UsageError(f"--{name}: {error}", hint='a duration has a unit, as "500ms" or "30s"') from None
    if value.count == 0 and name != "down":
        raise UsageError(f"--{name} is no time at all", hint="write the time that you mean")
    return value

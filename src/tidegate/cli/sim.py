"""``tidegate sim``: the list of its commands."""

from __future__ import annotations

from cyclopts import App

from tidegate.cli import sim_plan, sim_replay, sim_run

__all__ = ["sim"]

sim = App(name="sim")
sim.command(sim_run.run)
sim.command(sim_plan.plan)
sim.command(sim_replay.replay)

"""``tidegate fleet``: the list of its commands."""

from __future__ import annotations

from cyclopts import App

from tidegate.cli import fleet_run, fleet_talk

__all__ = ["fleet"]

fleet = App(name="fleet")
fleet.command(fleet_run.check)
fleet.command(fleet_run.restart)
fleet.command(fleet_run.apply)
fleet.command(fleet_talk.status)
fleet.command(fleet_talk.approve)
fleet.command(fleet_talk.resume)
fleet.command(fleet_talk.abort)
# By path: it is seldom wanted, and needs what the others do not.
fleet.command("tidegate.cli.fleet_pace:pace", name="pace")

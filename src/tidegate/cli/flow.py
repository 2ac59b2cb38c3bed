"""``tidegate flow``: the list of its commands."""

from __future__ import annotations

from cyclopts import App

from tidegate.cli import flow_stats, flow_watch

__all__ = ["flow"]

flow = App(name="flow")
flow.command(flow_stats.stats)
flow.command(flow_watch.watch)

"""``tidegate demo``: the storm itself, and the other things that can be shown without any estate."""

from __future__ import annotations

from cyclopts import App

from tidegate.cli import demo, demo_fleet, demo_half_open, demo_ports, demo_vcenter, demo_watch

__all__ = ["demos"]

demos = App(name="demo")
demos.default(demo.demo)
demos.command(demo_fleet.fleet)
demos.command(demo_half_open.half_open)
demos.command(demo_ports.ports)
demos.command(demo_vcenter.vcenter)
demos.command(demo_watch.watch)

"""``tidegate gate``: the list of its commands."""

from __future__ import annotations

from cyclopts import App

from tidegate.cli import gate_file, gate_init, gate_ports, gate_record, gate_sessions, gate_talk

__all__ = ["gate"]

gate = App(name="gate")
gate.command(gate_init.init)
gate.command(gate_file.check)
gate.command(gate_file.run)
gate.command(gate_talk.status)
gate.command(gate_talk.explain)
gate.command(gate_ports.ports)
gate.command(gate_sessions.sessions)
gate.command(gate_talk.maintenance)
gate.command(gate_talk.bypass)
gate.command(gate_talk.drain)
gate.command(gate_talk.reload)
gate.command(gate_talk.restart)
gate.command(gate_record.record)

"""``tidegate rules``: the list of its commands."""

from __future__ import annotations

from cyclopts import App

from tidegate.cli import rules_check, rules_export, rules_runbook, rules_show

__all__ = ["rules"]

rules = App(name="rules")
rules.command(rules_show.list_, name="list")
rules.command(rules_show.show)
rules.command(rules_check.lint)
rules.command(rules_check.try_, name="test")
rules.command(rules_export.export)
rules.command(rules_runbook.runbook)

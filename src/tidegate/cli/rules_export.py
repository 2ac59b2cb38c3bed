"""``tidegate rules export``: alerts for the engines that people already have."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Literal

from tidegate.cli.printer import Output, Printer
from tidegate.cli.rules_show import OwnRules, rule_named
from tidegate.errors import Exit
from tidegate.harmless import harmless
from tidegate.watch.export import aria, loki, prometheus
from tidegate.watch.export.text import as_text
from tidegate.watch.load import load_rules

__all__ = ["export"]

_EXPORTERS = {"aria": aria.export, "loki": loki.export, "prometheus": prometheus.export}


def export(
    target: Literal["aria", "loki", "prometheus"], /, *names: str, rules: OwnRules = None, output: Output = "text"
) -> int:
    """Write rules as alerts for another engine, to stdout: JSON bodies for Aria, YAML for Loki and Prometheus.

    Each alert has been held against the rule's tests as that engine counts. What it would miss or count twice is
    refused with the reason, on stderr; the others are written, and the exit code is 1.

    Examples
    --------
    ``tidegate rules export aria 440879``

    Parameters
    ----------
    target
        The engine.
    names
        Ids of rules, or numbers of their articles; all rules when there are none.
    """
    printer = Printer(output)
    known = load_rules(rules)
    chosen = list({rule.id: rule for rule in (rule_named(known, name) for name in names)}.values())
    made = _EXPORTERS[target](chosen if names else known.rules)
    printer.data(
        {
            "format": 1,
            "target": target,
            "alerts": list(made.alerts),
            "refusals": [asdict(refusal) for refusal in made.refusals],
        }
    )
    if printer.is_text and made.alerts:
        sys.stdout.write(as_text(made))
        sys.stdout.flush()
    for refusal in made.refusals:
        printer.words(harmless(f"refused: {refusal}"))
    return Exit.BAD if made.refusals else Exit.FINE

"""A rule that is good, as a file: tests change one line of it."""

from __future__ import annotations

from pathlib import Path

from tidegate.watch.load import parse_rule
from tidegate.watch.rule import Rule

__all__ = ["GOOD", "NAME", "SAMPLE", "rule_of", "written"]

NAME = "lab.pump.stuck.yaml"
SAMPLE = (
    "2025-08-08T12:17:14.610Z Er(163) Pumpd[2255518]: [Originator@6876 sub=Default] Pump p-7 is stuck: PRESSURE_FAULT"
)

GOOD = f"""\
schema: 1
id: lab.pump.stuck
rev: 1
title: A pump is stuck
kind: log
article: 123456
source: {{title: About pumps, url: "https://example.org/pumps", retrieved: 2026-11-25}}
severity: critical
products: [vasa]
explains: The pump does not turn, so its tank runs over.
logs: [{{program: pumpd}}]
signatures:
  - id: stuck
    says: A pump does not turn.
    literals: [PRESSURE_FAULT]
    all: ['Pump\\s+(?P<pump>p-\\d+)\\s+is\\s+stuck']
    not: [rehearsal]
    programs: [pumpd]
    line: 'is stuck: PRESSURE_FAULT'
windows:
  - {{id: storm, kind: count, of: [stuck], over: 300s, more_than: 10, severity: critical, says: Eleven of them.}}
  - {{id: pumps, kind: distinct, of: [stuck], field: pump, at_least: 3, over: 60s, says: Three pumps in a minute.}}
versions:
  product: vasa
  affected: [{{range: "4.1.2.1", basis: observed}}]
  fixed: [{{branch: "4.1", from: 4.1.2.3}}]
  fix: listed
discriminate:
  - {{if: 'valve \\d+ closed', then: A closed valve looks the same.}}
remedies:
  - id: turn
    title: Turn it by hand
    prefer: true
    impact: The tank is empty meanwhile
    steps: [{{do: Turn the wheel., run: wheel --turn, on: pump}}]
    verify: [{{say: Nothing more for ten minutes., quiet: stuck, for: 10m}}]
tests:
  positive:
    - name: sample
      signature: stuck
      fields: {{pump: p-7}}
      text: |-
        {SAMPLE}
  negative:
    - name: a rehearsal
      text: 'Pump p-7 is stuck in a rehearsal: PRESSURE_FAULT'
  replay:
    - {{name: eleven, signature: stuck, every: 29.9999s, count: 11, window: storm, fires: 1}}
    - {{name: eleven in 300 s, signature: stuck, every: 30s, count: 11, window: storm, fires: 0}}
    - {{name: three pumps, signature: stuck, every: 1s, count: 3, spread: true, window: pumps, fires: 1}}
    - {{name: one pump, signature: stuck, every: 1s, count: 9, window: pumps, fires: 0}}
"""


def rule_of(text: str) -> Rule:
    """Read a rule from its text, without asking the compiled part."""
    return parse_rule(text.encode(), Path(NAME), compiled=False)


def written(folder: Path, text: str = GOOD, name: str = NAME) -> Path:
    """Write a rule file; return its path."""
    file = folder / name
    file.write_text(text)
    return file

"""Measures that only a probe has: rules may compare them, and a diagnosis leaves such rules alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.errors import ConfigError
from tidegate.watch.load import load_rules
from tidegate.watch.measures import ALL, LIVE
from tidegate.watch.ports import MEASURES, Bucket, PortReading
from tidegate.watch.probes import probe_findings

RULE = """\
schema: 1
id: lab.nsx.enhanced
rev: 1
title: A host runs in Enhanced Datapath mode
kind: probe
source: {{title: About modes, url: "https://example.org/modes", retrieved: 2026-11-25}}
severity: notice
products: [nsx]
explains: Such a host can meet KB 433412.
probe: {{measure: {measure}, at_least: 1}}
remedies:
  - {{id: look, title: Look at it, steps: [{{do: Look at the host.}}]}}
"""


def written(folder: Path, measure: str) -> Path:
    file = folder / "lab.nsx.enhanced.yaml"
    file.write_text(RULE.format(measure=measure))
    return file


@pytest.mark.parametrize("name", ALL)
def test_every_measure_can_stand_in_a_rule(tmp_path: Path, name: str) -> None:
    (rule,) = load_rules([written(tmp_path, name)], shipped=False).rules
    assert rule.probe is not None
    assert rule.probe.measure == name


def test_no_measure_has_two_meanings() -> None:
    assert not set(LIVE) & set(MEASURES)


def test_a_measure_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rules([written(tmp_path, "nsx.ens_switch")], shipped=False)
    assert 'did you mean "nsx.ens_switches"?' in caught.value.problems[0].hint


def test_a_dump_says_nothing_about_them(tmp_path: Path) -> None:
    rules = load_rules([written(tmp_path, "nsx.ens_switches")], shipped=False)
    full = PortReading("f5-connections", (Bucket("10.0.0.5", "10.0.1.1", 443, 1000, 1000, ""),))
    assert not list(probe_findings(rules, {}, [("dump.txt", full)]))

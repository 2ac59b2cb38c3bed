"""The dashboard in packaging/grafana asks for metrics that there are, with labels that they have."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "packaging" / "grafana" / "tidegate-watch.json").read_text())
PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text()
ROWS = re.findall(r"^\| `(tidegate_watch_\S+)` \| (\w+) \| ([a-z, ]*?) ?\| .* \|$", PAGE, re.MULTILINE)
KNOWN = {name: (kind, {*labels.split(", ")} - {""}) for name, kind, labels in ROWS}
ADDED = {"job", "instance"}
"""Labels that Prometheus adds to everything it scrapes."""


def panels() -> Iterator[dict[str, Any]]:
    """Yield the panels that show something."""
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> list[str]:
    """Return everything that is asked."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    return asked + [one["definition"] for one in DASHBOARD["templating"]["list"] if "definition" in one]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_is_there_with_its_labels(expression: str) -> None:
    named = re.findall(r"(tidegate_[a-z_]+)(?:\{([^}]*)\})?", expression)
    assert named
    for name, selector in named:
        assert name in KNOWN
        assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", selector)) <= KNOWN[name][1] | ADDED


@pytest.mark.parametrize("expression", expressions())
def test_rates_are_of_counters(expression: str) -> None:
    for name in re.findall(r"(?:rate|increase)\((tidegate_[a-z_]+)", expression):
        assert KNOWN[name][0] == "counter"


def test_legends_name_labels_that_there_are() -> None:
    for panel in panels():
        for target in panel["targets"]:
            (name,) = set(re.findall(r"tidegate_[a-z_]+", target["expr"].partition(" or ")[0]))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= KNOWN[name][1]


def test_the_dashboard_says_what_is_open_what_was_missed_and_what_waits() -> None:
    asked = " ".join(expressions())
    for name in ("window_count", "episodes_open", "gaps_total", "lag_bytes", "clock_offset_seconds", "outbox_rows"):
        assert f"tidegate_watch_{name}" in asked


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] for panel in panels())


@pytest.mark.peer("promtool")
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    plain = [re.sub(r"\$\w+", ".*", one) for one in expressions() if not one.startswith("label_values")]
    rules = [{"record": f"asked:{number}", "expr": text} for number, text in enumerate(plain)]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", file], check=True, capture_output=True)

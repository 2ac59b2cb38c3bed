"""Metric names, types, labels and help texts are a contract: docs/reference/metrics.md lists them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidegate import Gate, load_config

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "metrics.md"
SHAPE = re.compile(r"tidegate_(?:gate|admission|client|server|relay|ports|broker|tasks)_[a-z_]+")
CLOSED = {
    "service", "server", "reason", "class", "state", "switch", "direction", "phase", "mode", "cause", "ending",
    "source", "destination", "use", "kind", "shape",
}  # fmt: skip
# Only while calls are held, once a limit was learned, while a server recovers, or once a port was leased.
AT_TIMES = {
    "tidegate_admission_all_in_seconds",
    "tidegate_broker_refused_calls_total",
    "tidegate_ports_exhausted_in_seconds",
    "tidegate_ports_foreign",
    "tidegate_ports_free",
    "tidegate_ports_high_water",
    "tidegate_ports_leased",
    "tidegate_ports_leases_total",
    "tidegate_ports_quarantined",
    "tidegate_ports_used_ratio",
    "tidegate_server_limit_base_seconds",
    "tidegate_server_limit_best_calls",
    "tidegate_server_limit_unit_seconds",
    "tidegate_server_recovery_batch",
    "tidegate_server_recovery_begun_clients",
    "tidegate_server_recovery_complete_clients",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str, str]]:
    """Return name -> (type, labels, help) as a gate shows them."""
    folder = tmp_path_factory.mktemp("metrics")
    file = folder / "gate.toml"
    file.write_text(
        f'[gate]\nadmin = "unix:{folder}/admin.sock"\n'
        '[service.web]\nlisten = "127.0.0.1:0"\nprotocol = "http"\n'
        '[service.web.server.a]\naddress = "127.0.0.1:9"\nlimit = "static:4"\n'
        '[service.vc]\nlisten = "127.0.0.1:0"\nprotocol = "vcenter"\nmode = "enforce"\n'
        '[service.vc.server.a]\naddress = "127.0.0.1:9"\nlimit = "static:4"\n'
    )
    with Gate(load_config(file)) as gate:
        text = gate.metrics()
    found = {}
    for name, help_text in re.findall(r"^# HELP (\S+) (.*)\.$", text, re.MULTILINE):
        kind = re.search(rf"^# TYPE {name} (\S+)$", text, re.MULTILINE)
        sample = re.search(rf"^{name}(?:_total)?\{{(.*)\}} ", text, re.MULTILINE)
        assert kind
        assert sample
        labels = ", ".join(re.findall(r'([a-z_]+)="', sample.group(1)))
        found[name + ("_total" if kind.group(1) == "counter" else "")] = (kind.group(1), labels, help_text)
    return found


def listed() -> dict[str, tuple[str, str, str]]:
    """Return the same from the page's table; those of a watch are compared by unit/test_watch_metrics.py."""
    rows = re.findall(r"^\| `(\S+)` \| (\w+) \| ([a-z, ]*?) ?\| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: tuple(rest) for name, *rest in rows if not name.startswith("tidegate_watch_")}


def test_the_page_lists_what_the_gate_shows(shown: dict[str, tuple[str, str, str]]) -> None:
    page = listed()
    assert {name: page.get(name) for name in shown} == shown
    assert set(page) - set(shown) == AT_TIMES


def test_names_and_labels_keep_to_the_rules(shown: dict[str, tuple[str, str, str]]) -> None:
    for name, (_, labels, _) in shown.items():
        assert SHAPE.fullmatch(name)
        assert set(filter(None, labels.split(", "))) <= CLOSED


def test_other_pages_name_metrics_that_there_are() -> None:
    known = set(listed())
    others = [ROOT / name for name in ("README.md", "SECURITY.md", "ARCHITECTURE.md")]
    others += [page for page in sorted((ROOT / "docs").rglob("*.md")) if page != PAGE]
    prefixes = "gate|admission|client|server|relay|ports|broker|tasks|not"
    for page in others:
        named = set(re.findall(rf"\btidegate_(?:{prefixes})_[a-z_]+[a-z]\b(?!…|\*)", page.read_text()))
        assert named <= known, page

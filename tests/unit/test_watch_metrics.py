"""Metrics of a watch: what its status says, as Prometheus reads it; and their page."""

from __future__ import annotations

import logging
import re
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tidegate.errors import UsageError
from tidegate.watch.export.prometheus import GAUGE
from tidegate.watch.live.metrics import Watched, serving, shown_scope
from tidegate.watch.live.model import Json

LOG = logging.getLogger("tidegate.watch")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
VIEW: Json = {
    "windows": [{"rule": "r", "window": "storm", "scope": {"host": 'e"1', "provider": "p"}, "count": 7, "limit": 11}],
    "episodes": [{"rule": "r", "severity": "critical"}, {"rule": "r", "severity": "critical"}],
    "clocks": [{"host": "e1", "offset_s": 120}],
    "late": 3,
    "skewed": 4,
    "timeless": 6,
    "forgotten": 5,
    "refused": 0,
    "counts": {"notices": 2, "hits": 20, "bytes": 100},
    "queue": {"batches": 1},
    "sources": [{"name": "files.a", "lag_bytes": 10, "troubles": []}, {"name": "probe.b", "troubles": ["x"]}],
    "gap_counts": [{"source": "syslog.c", "kind": "kernel_drops", "gaps": 2}],
    "receivers": [{"name": "webhook.o", "waiting": 6}],
    "reloads": {"refused": 1},
    "acting": {"on": True},
}


def shown(view: Json) -> str:
    registry = CollectorRegistry()
    registry.register(Watched(lambda: view))
    return generate_latest(registry).decode()


@pytest.mark.parametrize(
    "line",
    [
        'window_limit{rule="r",scope="host=e\\"1, provider=p",window="storm"} 11.0',
        'window_count{rule="r",scope="host=e\\"1, provider=p",window="storm"} 7.0',
        'episodes_open{rule="r",severity="critical"} 2.0',
        'clock_offset_seconds{host="e1"} 120.0',
        "late_total 3.0",
        'lag_bytes{source="files.a"} 10.0',
        'source_troubles{source="probe.b"} 1.0',
        'gaps_total{kind="kernel_drops",source="syslog.c"} 2.0',
        'outbox_rows{receiver="webhook.o"} 6.0',
        "reloads_refused_total 1.0",
        "acting 1.0",
    ],
)
def test_metrics_are_what_status_says(line: str) -> None:
    assert f"tidegate_watch_{line}\n" in shown(VIEW)


def test_a_watch_that_has_only_begun_shows_its_counters() -> None:
    empty = {name: [] if isinstance(value, list) else value for name, value in VIEW.items()} | {"counts": {}}
    assert "tidegate_watch_notices_total 0.0\n" in shown(empty)


def test_a_store_that_does_not_answer_hides_only_what_it_has() -> None:
    says = shown({**VIEW, "receivers": [{"name": "webhook.o", "waiting": None}], "counts": {"store_failures": 9}})
    assert "tidegate_watch_store_failures_total 9.0\n" in says
    assert "tidegate_watch_outbox_rows{" not in says


def test_the_gauge_is_the_one_that_exported_rules_ask_for() -> None:
    assert f"# TYPE {GAUGE} gauge" in shown(VIEW)
    assert not shown_scope({})


def test_the_page_lists_every_metric() -> None:
    rows = re.findall(
        r"^\| `(tidegate_watch_\S+)` \| (\w+) \| ([a-z, ]*?) ?\| (.*) \|$", PAGE.read_text(), re.MULTILINE
    )
    metrics = {
        (f"{one.name}_total" if one.type == "counter" else one.name): (
            one.type,
            ", ".join(one.samples[0].labels),
            one.documentation.rstrip("."),
        )
        for one in Watched(lambda: VIEW).collect()
    }
    assert {name: rest for name, *rest in map(list, rows)} == {name: list(rest) for name, rest in metrics.items()}


def test_they_are_scraped_from_a_thread_of_their_own() -> None:
    with serving("127.0.0.1:0", lambda: VIEW, LOG) as address:
        answer = httpx.get(f"http://{address}/metrics", trust_env=False)
        assert answer.status_code == 200
        assert "tidegate_watch_hits_total 20.0" in answer.text


def test_an_address_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"metrics cannot be shown at 127.0.0.1:{port}") as caught,
            serving(f"127.0.0.1:{port}", lambda: VIEW, LOG),
        ):
            pass
    assert "watch.metrics" in caught.value.hint

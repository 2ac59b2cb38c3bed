"""What a running watch tells Prometheus: taken from the same view as ``tidegate watch status``, at the scrape.

Labels come from rules, the configuration and the scopes of windows, of which the view has 200 at the most. Numbers that
only grow count from the start of the process.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tidegate.errors import UsageError
from tidegate.watch.live.model import Json

__all__ = ["Watched", "serving", "shown_scope"]

_Rows = Iterable[tuple[tuple[str, ...], float]]


class Watched(Collector):
    """Metrics of what ``view`` returns: the answer of ``tidegate watch status``."""

    def __init__(self, view: Callable[[], Json]) -> None:
        self._view = view

    def describe(self) -> list[Metric]:
        """Return nothing: a registry must not ask a watch that is only starting."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        view = self._view()
        yield from _of_windows(view)
        yield from _of_sources(view)
        yield from _of_store(view)


def _of_windows(view: Json) -> Iterator[Metric]:
    windows = [((one["rule"], one["window"], shown_scope(one["scope"])), one["count"]) for one in view["windows"]]
    says = "What a window holds now: records, different values, steps of a sequence, or seconds of an absence"
    yield _gauge("window_count", says, ("rule", "window", "scope"), windows)
    limits = [((one["rule"], one["window"], shown_scope(one["scope"])), one["limit"]) for one in view["windows"]]
    yield _gauge("window_limit", "At which count a window fires", ("rule", "window", "scope"), limits)
    opened = Counter((one["rule"], one["severity"]) for one in view["episodes"])
    yield _gauge("episodes_open", "Episodes that are open", ("rule", "severity"), opened.items())
    yield _total("notices_total", "Notices made", view["counts"].get("notices", 0))
    yield _total("hits_total", "Records that met a signature, and values past a limit", view["counts"].get("hits", 0))
    yield _total("late_total", "Records that came too late to count exactly", view["late"])
    yield _total("skewed_total", "Records whose time was not to be believed", view["skewed"])
    yield _total("timeless_total", "Records without a time, which no window could count", view["timeless"])
    yield _total("forgotten_total", "Scopes that were forgotten for want of room", view["forgotten"])
    yield _total("refused_total", "Episodes that were not opened for want of room", view["refused"])
    says = "How far a host's clock is behind, where that is more than a minute"
    yield _gauge("clock_offset_seconds", says, ("host",), [((one["host"],), one["offset_s"]) for one in view["clocks"]])


def _of_sources(view: Json) -> Iterator[Metric]:
    lags = [((one["name"],), one["lag_bytes"]) for one in view["sources"] if "lag_bytes" in one]
    yield _gauge("lag_bytes", "Bytes that are there and not read yet", ("source",), lags)
    troubles = [((one["name"],), len(one["troubles"])) for one in view["sources"]]
    yield _gauge("source_troubles", "Things that are wrong with a source", ("source",), troubles)
    gaps = [((one["source"], one["kind"]), one["gaps"]) for one in view["gap_counts"]]
    yield _counter("gaps_total", "Gaps in what was seen", ("source", "kind"), gaps)
    yield _total("read_bytes_total", "Bytes read, from all sources", view["counts"].get("bytes", 0))
    yield _gauge("queue_batches", "Batches that wait to be judged", (), [((), view["queue"]["batches"])])


def _of_store(view: Json) -> Iterator[Metric]:
    waiting = [((one["name"],), one["waiting"]) for one in view["receivers"] if one["waiting"] is not None]
    yield _gauge("outbox_rows", "Notices that a receiver has not taken yet", ("receiver",), waiting)
    failures = view["counts"].get("store_failures", 0)
    yield _total("store_failures_total", "Tries to keep a step that failed", failures)
    says = "Files or rules that were wrong when they were to be read again"
    yield _total("reloads_refused_total", says, view["reloads"]["refused"])
    yield _gauge("acting", "Whether the watch may act by itself", (), [((), float(view["acting"]["on"]))])


def shown_scope(scope: Json) -> str:
    """Return a scope as a label has it: ``host=esx01, provider=vp1``."""
    return ", ".join(f"{name}={value}" for name, value in scope.items())


def _gauge(name: str, says: str, labels: tuple[str, ...], rows: _Rows) -> Metric:
    family = GaugeMetricFamily(f"tidegate_watch_{name}", f"{says}.", labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _counter(name: str, says: str, labels: tuple[str, ...], rows: _Rows) -> Metric:
    family = CounterMetricFamily(f"tidegate_watch_{name}", f"{says}.", labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _total(name: str, says: str, number: float) -> Metric:
    return _counter(name, says, (), [((), number)])


@contextmanager
def serving(listen: str, view: Callable[[], Json], log: logging.Logger) -> Iterator[str]:
    """Show metrics at ``HOST:PORT``, in a thread of its own; give the address.

    Raises
    ------
    UsageError
        When nothing can listen there.
    """
    registry = CollectorRegistry()
    registry.register(Watched(view))
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        hint = "name another port as watch.metrics"
        raise UsageError(f"metrics cannot be shown at {listen}: {error.strerror}", hint=hint) from None
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
        if thread.is_alive():
            log.warning("a scrape did not end")

"""The guards: what each stops at, that none is no zero, and that none flaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tidegate.clients.hysteresis import RELEASE
from tidegate.config.urls import broken_url, shown_url
from tidegate.errors import ConfigError
from tidegate.fleet.act import Guard, Readings
from tidegate.fleet.guard_tables import (
    AlertTable,
    DatastoreLatencyTable,
    ErrorRateTable,
    FailedHostsTable,
    GuardTable,
    ProviderResponseTable,
    WindowTable,
)
from tidegate.fleet.guards import (
    FRESH_S,
    HOSTS_FAILED,
    AlertGuard,
    DatastoreLatency,
    FailedHosts,
    Level,
    Measured,
    WindowGuard,
    broken_guards,
    guards_of,
)
from tidegate.fleet.load import parse_plan

NOW = 1_800_000_000.0
RESPONSE = Measured("g", "provider-response", 2.0, "the provider's response time", "s")
ERRORS = Measured("g", "error-rate", 0.05, "the share of calls that fail", "%")
DISK = DatastoreLatency("g", 0.020, 0.025)
FAILED = FailedHosts("g", 2)
ALERT = AlertGuard("g")
SAMPLED: list[Guard] = [RESPONSE, ERRORS, DISK, FAILED, ALERT]
THRESHOLDS: list[tuple[Guard, float]] = [(RESPONSE, 2.0), (ERRORS, 0.05), (DISK, 0.020)]

values = st.floats(0, 100, allow_nan=False)


def read(*series: float, name: str = "g", end: float = NOW) -> Readings:
    """Return readings of one sample in 20 s; the last one is at ``end``."""
    readings = Readings()
    for place, value in enumerate(series):
        readings.add(name, end - 20 * (len(series) - 1 - place), value)
    return readings


def stops(guard: Guard, series: Sequence[float], age: float = 0.0) -> bool:
    name = HOSTS_FAILED if guard is FAILED else "g"
    return guard.judge(read(*series, name=name), NOW + age) is not None


@pytest.mark.parametrize("guard", SAMPLED, ids=lambda guard: guard.kind)
@given(
    value=values,
    age=st.integers(int(FRESH_S) * 1000 + 1, 10**9).map(lambda ms: ms / 1000),
    sign=st.sampled_from([1, -1]),
)
def test_an_old_sample_always_stops(guard: Guard, value: float, age: float, sign: int) -> None:
    assert stops(guard, [value], sign * age)


@pytest.mark.parametrize("guard", SAMPLED, ids=lambda guard: guard.kind)
def test_no_sample_stops_and_says_so(guard: Guard) -> None:
    trip = guard.judge(Readings(), NOW)
    assert trip is not None
    assert "none is not zero" in trip.why
    assert not trip.halve


@pytest.mark.parametrize("guard", SAMPLED, ids=lambda guard: guard.kind)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_is_no_value_stops(guard: Guard, value: float) -> None:
    assert stops(guard, [value])


@pytest.mark.parametrize("guard", SAMPLED, ids=lambda guard: guard.kind)
@given(one=values, other=values)
def test_more_never_stops_less(guard: Guard, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert stops(guard, [high]) >= stops(guard, [low])


@pytest.mark.parametrize(("guard", "threshold"), THRESHOLDS, ids=lambda it: getattr(it, "kind", ""))
@given(before=st.lists(values, max_size=20), last=values, more=st.floats(0, 10))
def test_more_never_stops_less_whatever_was_before(
    guard: Guard, threshold: float, before: list[float], last: float, more: float
) -> None:
    del threshold
    assert stops(guard, [*before, last + more]) >= stops(guard, [*before, last])


@pytest.mark.parametrize(("guard", "threshold"), THRESHOLDS, ids=lambda it: getattr(it, "kind", ""))
@given(before=st.lists(values, max_size=10), within=st.lists(st.floats(RELEASE, 1, exclude_max=True), min_size=1))
def test_within_its_band_a_guard_never_changes(
    guard: Guard, threshold: float, before: list[float], within: list[float]
) -> None:
    band = [threshold * part for part in within]
    assume(all(threshold * RELEASE <= value < threshold for value in band))
    said = [stops(guard, [*before, *band[:count]]) for count in range(len(band) + 1)]
    if before:
        assert len(set(said)) == 1
    else:
        assert not any(said[1:])  # nothing has tripped it yet


@pytest.mark.parametrize(("guard", "threshold"), THRESHOLDS, ids=lambda it: getattr(it, "kind", ""))
def test_it_stops_at_the_threshold_and_is_quiet_below_the_band(guard: Guard, threshold: float) -> None:
    assert stops(guard, [threshold])
    assert not stops(guard, [threshold * 0.99])
    assert stops(guard, [threshold, threshold * 0.95])
    assert not stops(guard, [threshold, threshold * 0.89])
    assert not stops(guard, [threshold, threshold * 0.89, threshold * 0.95])


def test_latency_says_what_it_is_and_what_it_must_be() -> None:
    trip = DISK.judge(read(0.0311), NOW)
    assert trip is not None
    assert trip.why == "datastore latency is 31 ms, and the guard stops at 20 ms"
    trip = DISK.judge(read(0.031, 0.019), NOW)
    assert trip is not None
    assert trip.why == "datastore latency was 20 ms or more and is 19 ms; it must fall below 18 ms"


@given(value=st.floats(0, 1))
@example(value=0.018)
@example(value=0.020)
@example(value=0.025)
def test_20_ms_stop_and_25_ms_halve(value: float) -> None:
    level = DISK.level(value)
    assert (level is Level.HALVE) == (value >= 0.025)
    assert (level is Level.QUIET) == (value < 0.020 * RELEASE)
    if level is Level.HALVE:
        assert stops(DISK, [value])
    if level is Level.QUIET:
        assert not stops(DISK, [value])


@given(one=st.floats(0, 1), other=st.floats(0, 1))
def test_more_latency_never_asks_for_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert DISK.level(high) >= DISK.level(low)


def test_what_is_no_number_halves() -> None:
    assert DISK.level(math.nan) is Level.HALVE


def test_as_many_may_fail_as_may() -> None:
    assert not stops(FAILED, [2])
    assert stops(FAILED, [3])


def test_the_window_says_when_it_opens() -> None:
    (guard,) = guards_of(
        {"night": WindowTable.model_validate({"kind": "window", "from": "01:00", "to": "05:00", "zone": "UTC"})}
    )
    assert isinstance(guard, WindowGuard)
    assert guard.judge(Readings(), datetime(2026, 6, 1, 3, tzinfo=UTC).timestamp()) is None
    trip = guard.judge(Readings(), datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp())
    assert trip is not None
    assert trip.why == "the window is closed; it opens Tue 2026-06-02 01:00 UTC"


def test_a_plan_gives_its_guards_in_order() -> None:
    tables: dict[str, GuardTable] = {
        "vp": ProviderResponseTable(kind="provider-response", url="https://vp.example:8443/vasa/version.xml"),
        "bad": ErrorRateTable(kind="error-rate", url="https://vp.example/"),
        "disk": DatastoreLatencyTable(kind="datastore-latency"),
        "hosts": FailedHostsTable(kind="failed-hosts"),
        "page": AlertTable(kind="alert", url="http://alerts.example/api/v2/alerts"),
    }
    assert not list(broken_guards(tables))
    guards = guards_of(tables)
    assert [guard.name for guard in guards] == list(tables)
    assert [guard.kind for guard in guards] == [table.kind for table in tables.values()]
    assert guards[2] == DatastoreLatency("disk", 0.020, 0.025)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"kind": "provider-response"}, "has nothing to read: neither gate nor url"),
        ({"kind": "provider-response", "gate": "/run/g.sock", "url": "http://a/"}, "has gate and url both"),
        ({"kind": "error-rate", "url": "vp.example"}, '"vp.example" is no URL'),
        ({"kind": "alert"}, "has nothing to read: neither file nor url"),
        ({"kind": "alert", "url": "https://a/", "token_env": "T", "token_file": "t"}, "stands beside token_env"),
        ({"kind": "alert", "url": "http://a/", "token_env": "T"}, "shown to everybody on the way"),
        ({"kind": "error-rate", "gate": "/run/g.sock", "token_file": "t"}, "shown to everybody on the way"),
        ({"kind": "datastore-latency", "halve_above": "10ms"}, "is less than stop_above, which is 20ms"),
        ({"kind": "window", "from": "01:00", "to": "01:00"}, "never opens"),
    ],
)
def test_a_guard_that_cannot_work_is_a_problem(table: dict[str, str], says: str) -> None:
    made: GuardTable = TypeAdapter(GuardTable).validate_python(table)
    assert any(says in broken.message for broken in broken_guards({"g": made}))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://me:5EC2E7@am.example/api/v2/alerts", "holds a user or a password"),
        ("https://5EC2E7@am.example/", "holds a user or a password"),
        ("https://am.example/api/v2/alerts?token=5EC2E7", 'holds a secret in its query ("token")'),
        ("https://am.example/?filter=a&x-api-key=5EC2E7", 'holds a secret in its query ("x-api-key")'),
        ("https://am.example/?filter=a&apikey=5EC2E7", 'holds a secret in its query ("apikey")'),
        ("https://am.example/?access_token=5EC2E7", 'holds a secret in its query ("access_token")'),
        ("https://am.example/?Password=5EC2E7", 'holds a secret in its query ("Password")'),
        ("me:5EC2E7@am.example/", "is no URL"),
        ("https://me:5EC2E7/x@am.example/", "is no URL"),
        ("https://me:5EC2E7?x@am.example/", "is no URL"),
        ("https://[5EC2E7@am.example/", "is no URL"),
    ],
)
@pytest.mark.parametrize("kind", ["alert", "provider-response", "error-rate"])
def test_a_secret_in_the_url_of_a_guard_is_refused_and_not_shown(kind: str, url: str, says: str) -> None:
    text = (
        '[run]\nplan = "vvold-phased-restart"\n[targets]\ninventory = "hosts.toml"\n'
        f'[guard.a]\nkind = "{kind}"\nurl = "{url}"\n'
    )
    with pytest.raises(ConfigError) as caught:
        parse_plan(text, Path("plan.toml"))
    (problem,) = caught.value.problems
    assert (str(problem), problem.line) == (f"plan.toml:7: guard.a.url: {says}", 7)
    assert ("token_env" in problem.hint) == ("holds" in says)
    assert "5EC2E7" not in f"{problem} {problem.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "https://am.example/api/v2/alerts?filter=alertname%3D%22Storm%22&active=true",
        "http://[2001:db8::1]:9093/a@b?sortkeys=1&monkey=2",
        "HTTPS://vp.example:8443/vasa/version.xml#x",
    ],
)
def test_other_urls_are_taken_and_shown_without_their_query(url: str) -> None:
    assert broken_url(url) is None
    assert shown_url(url) == url.partition("?")[0].partition("#")[0]


@given(st.text(st.characters(exclude_characters="@?#"), max_size=20))
def test_what_stands_before_the_host_or_in_the_query_is_never_shown(secret: str) -> None:
    host = "am.example/api"
    shown = shown_url(f"https://{secret.replace('/', '')}@{host}?{secret}#{secret}")
    assert shown == f"https://{host}"


@given(st.text(max_size=60))
def test_no_text_breaks_the_check_of_urls(text: str) -> None:
    broken_url(text)
    broken_url(f"https://{text}")
    shown_url(text)


def test_a_plan_with_such_a_guard_is_refused_with_its_line() -> None:
    text = '[run]\nplan = "vvold-phased-restart"\n[targets]\ninventory = "hosts.toml"\n[guard.a]\nkind = "alert"\n'
    with pytest.raises(ConfigError) as caught:
        parse_plan(text, Path("plan.toml"))
    assert "plan.toml:5: guard.a: has nothing to read: neither file nor url" in map(str, caught.value.problems)

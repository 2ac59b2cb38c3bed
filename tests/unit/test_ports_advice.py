"""Advice in numbers, measures for rules, and the JSON form."""

from __future__ import annotations

import json

import pytest

from tidegate.watch.ports import MEASURES, as_json, measure, read_dump, what_if
from tidegate.watch.ports.advice import says
from tidegate.watch.ports.measures import measure as same_measure
from tidegate.watch.ports.model import Bucket, Gauge, PortReading

FULL = Bucket("10.20.0.5", "10.30.0.10", 8443, 63_890, 64_512, "", active=340, idle=63_000, ended_by_half=50_000)


def by_change(reading: PortReading) -> dict[str, tuple[int | None, int | None]]:
    return {answer.change: (answer.then, answer.addresses) for answer in what_if(reading)}


def test_sentence() -> None:
    bucket = Bucket("10.20.0.5", "10.30.0.10", 8443, 63_890, 64_512, "")
    assert says(bucket) == "10.20.0.5 → 10.30.0.10:8443: 63 890 of 64 512 source ports in use (99 %): exhausted"


def test_three_changes() -> None:
    answers = what_if(PortReading("ss", (FULL,)))
    assert [(answer.change, answer.now, answer.then, answer.addresses) for answer in answers] == [
        ("multiplexing", 63_890, 414, None),
        ("source-addresses", 63_890, 31_945, 2),
        ("idle-timeout", 63_890, 13_890, None),
    ]
    assert "340 + 74 (4·√n, for peaks) = 414" in answers[0].says


@pytest.mark.parametrize(("connections", "addresses"), [(32_256, 2), (64_511, 2), (64_512, 3), (500_000, 16)])
def test_addresses_bring_it_under_half(connections: int, addresses: int) -> None:
    bucket = Bucket("a", "b", 1, connections, 64_512, "")
    (needed,) = [answer for answer in what_if(PortReading("ss", (bucket,))) if answer.change == "source-addresses"]
    assert needed.addresses == addresses
    assert connections / addresses < 64_512 / 2


def test_what_the_dump_does_not_tell_is_said() -> None:
    bucket = Bucket("a", "b", 1, 60_000, 64_512, "")
    assert by_change(PortReading("ss", (bucket,)))["multiplexing"] == (None, None)
    unknown = [answer.says for answer in what_if(PortReading("ss", (bucket,))) if answer.then is None]
    assert all("not known from this dump" in text for text in unknown)
    assert "ss -tani" in unknown[1]


def test_bytes_passed_on_cannot_be_shared() -> None:
    bucket = Bucket("a", "b", 1, 60_000, 64_512, "", active=1, shareable=False)
    assert by_change(PortReading("haproxy", (bucket,)))["multiplexing"] == (None, None)


def test_calm_needs_no_advice() -> None:
    assert what_if(PortReading("ss", (Bucket("a", "b", 1, 10, 64_512, "", active=1),))) == []


def test_a_range_pasted_beside_the_dump_is_believed() -> None:
    rows = "".join(f"ESTAB 0 0 10.0.0.5:{15_000 + at} 10.0.0.9:443\n" for at in range(900))
    reading = read_dump("ss", "net.ipv4.ip_local_port_range = 15000\t15999\n" + rows)
    (got,) = reading.buckets
    assert (got.capacity, got.level) == (1000, "critical")
    assert read_dump("ss", rows, capacity=2000).buckets[0].capacity == 2000


def test_a_few_bound_ports_do_not_widen_the_range() -> None:
    rows = "".join(f"ESTAB 0 0 10.0.0.5:{33_000 + at} 10.0.0.9:443\n" for at in range(500))
    rows += "".join(f"ESTAB 0 0 10.0.0.5:{800 + at} 10.0.0.8:2049\n" for at in range(3))
    rows += "ESTAB 0 0 10.0.0.5:5000 10.0.0.7:443\n"
    assert {bucket.capacity for bucket in read_dump("ss", rows).buckets} == {28_232}


def test_measures() -> None:
    service = Gauge("vs", "service", 65_112, open_requests=340, dropped=3)
    bound = Bucket("a", "one server of c", None, 64_000, 64_512, "", at_most=True)
    reading = PortReading("avi", (FULL, bound), gauges=(service,))
    assert [(one.scope, round(one.value, 3)) for one in measure(reading, "ports.share")] == [(FULL.scope, 0.99)]
    assert len(measure(reading, "ports.share_at_most")) == 2
    assert [one.value for one in measure(reading, "ports.connections")] == [64_000, 63_890]
    assert [one.line for one in measure(reading, "service.idle")] == ["service vs: idle 64772"]
    assert measure(reading, "server.open_connections") == []
    assert all(isinstance(same_measure(reading, name), list) for name in MEASURES)
    with pytest.raises(ValueError, match=r'^"ports\.sahre" is no measure of ports; there are '):
        measure(reading, "ports.sahre")


def test_json_is_whole_and_bounded() -> None:
    told = as_json(PortReading("avi", (FULL,) * 3, gauges=(Gauge("vs", "service", 1),) * 2, read=5), most=1)
    assert json.loads(json.dumps(told)) == told
    assert (len(told["buckets"]), len(told["gauges"]), told["more"]) == (1, 1, {"buckets": 2, "gauges": 1})
    assert sorted(told) == [
        "buckets", "gauges", "kind", "left_out", "more", "other_lines", "read", "sides", "what_if",
    ]  # fmt: skip
    assert sorted(told["buckets"][0]) == [
        "active", "active_exact", "at_most", "by_state", "capacity", "capacity_why", "connections", "destination",
        "ended_by_half", "exhausted", "idle", "idle_why", "level", "messages", "port", "said", "says", "scope", "share",
        "shareable", "source",
    ]  # fmt: skip

"""From what a probe was told to hits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.live.probe_hits import Told, hits_of, wanted_of
from tidegate.watch.load import load_rules
from tidegate.watch.ports import Bucket, Measured, PortReading
from tidegate.watch.rule import Rule

PORTS = [rule for rule in load_rules().rules if rule.probe is not None and rule.probe.measure == "ports.share"]


def reading(*held: int) -> PortReading:
    buckets = [Bucket("10.0.0.5", f"10.0.1.{at}", 443, count, 1000, "") for at, count in enumerate(held)]
    return PortReading("f5-connections", tuple(buckets))


def test_only_what_is_past_the_rule_is_a_hit_and_the_largest_is_first() -> None:
    hits, left_out = hits_of(PORTS, Told((reading(899, 900, 1000),)), source="probe.edge", place=7, arrival=5)
    assert left_out == 0
    assert [hit.values["scope"] for hit in hits] == [
        "edge: 10.0.0.5 → 10.0.1.2:443",
        "edge: 10.0.0.5 → 10.0.1.1:443",
    ]
    first = hits[0]
    assert (first.rule, first.signature, first.source, first.stream) == (
        "avi.ports.source-exhaustion",
        "probe",
        "probe.edge",
        "probe.edge",
    )
    assert (first.time, first.arrival, first.place, first.live, first.quoted) == (5, 5, 7, True, False)
    assert first.values["value"] == "1"
    assert "1 000 of 1 000 source ports" in first.record


@given(st.lists(st.integers(0, 1500), max_size=20))
def test_each_value_at_the_threshold_or_above_is_one_hit(held: list[int]) -> None:
    hits, _ = hits_of(PORTS, Told((reading(*held),)), source="probe.a", place=0, arrival=0)
    assert len(hits) == sum(count >= 900 for count in held) * len(PORTS)
    assert all(float(hit.values["value"]) >= 0.9 for hit in hits)


def test_values_that_no_dump_has_are_compared_too() -> None:
    probe = PORTS[0].probe
    assert probe is not None
    rule = PORTS[0].model_copy(
        update={"probe": probe.model_copy(update={"measure": "nsx.ens_switches", "at_least": 1})}
    )
    values = {"nsx.ens_switches": (Measured("esx-1", 1.0, "esx-1\x1b[2J has one"), Measured("esx-2", 0.0, ""))}
    ((hit,), _) = hits_of([rule], Told(values=values), source="probe.nsx", place=1, arrival=2)
    assert hit.values["scope"] == "nsx: esx-1"
    assert hit.record == "esx-1\\x1b[2J has one"
    assert wanted_of([rule, *log_rules()]) == {"nsx.ens_switches"}


def test_more_than_a_thousand_values_are_counted_but_no_hits() -> None:
    probe = PORTS[0].probe
    assert probe is not None
    rule = PORTS[0].model_copy(update={"probe": probe.model_copy(update={"measure": "nsx.ens_switches"})})
    values = {"nsx.ens_switches": tuple(Measured(f"esx-{at}", float(at), "") for at in range(1, 1504))}
    hits, left_out = hits_of([rule], Told(values=values), source="probe.nsx", place=1, arrival=2)
    assert (len(hits), left_out, hits[0].values["scope"]) == (1000, 503, "nsx: esx-1503")


def log_rules() -> list[Rule]:
    return [rule for rule in load_rules().rules if rule.probe is None]

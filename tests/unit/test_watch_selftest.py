"""The runner of the tests inside rules: counts what it tried, and says what does not hold."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from rule_texts import GOOD, SAMPLE, rule_of
from tidegate.watch.damage import damaged
from tidegate.watch.selftest import run_tests

NEGATIVE = "Pump p-7 is stuck in a rehearsal: PRESSURE_FAULT"


def failures_of(old: str, new: str) -> list[str]:
    text = GOOD.replace(old, new)
    assert text != GOOD
    return [str(failure) for failure in run_tests([rule_of(text)]).failures]


def test_a_good_rule_holds_and_everything_is_counted() -> None:
    told: list[str] = []
    outcome = run_tests([rule_of(GOOD)], told.append)
    assert outcome.failures == ()
    assert told == ["lab.pump.stuck"]
    transforms = len(list(damaged(SAMPLE, ["PRESSURE_FAULT"]))) + len(list(damaged(NEGATIVE)))
    assert outcome.counts.as_json() == {
        "rules": 1,
        "positives": 1,
        "transforms": transforms,
        "splits": len(SAMPLE) - 1,
        "negatives": 1,
        "replays": 4,
        "captures": 0,
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "is\\s+stuck'",
            "is\\s+broken'",
            'lab.pump.stuck: "sample": the signature stuck finds nothing in it',
        ),
        (
            "Pump\\s+(?P<pump>p-\\d+)\\s+is",
            "Pump (?P<pump>p-\\d+) is",
            '"sample" (tabs for spaces and spaces for tabs): the signature stuck finds 0 records instead of 1',
        ),
        ("fields: {pump: p-7}", "fields: {pump: p-8}", 'the field pump is "p-7" instead of "p-8"'),
        ("programs: [pumpd]", "programs: [valved]", "the signature stuck finds nothing in it"),
        ("not: [rehearsal]", "not: [exercise]", '"a rehearsal": it is found by stuck, and must not be'),
        ("more_than: 10,", "more_than: 9,", '"eleven in 300 s": the window storm fires 1 times instead of 0'),
        ("spread: true", "spread: false", '"three pumps": the window pumps fires 0 times instead of 1'),
    ],
)
def test_what_does_not_hold_is_said(old: str, new: str, message: str) -> None:
    assert any(message in failure for failure in failures_of(old, new)), failures_of(old, new)


def test_a_probe_is_tried_on_dumps() -> None:
    dumps = Path(__file__).parents[1] / "data" / "ports"
    full = indent((dumps / "avi-pool.txt").read_text(), " " * 8)
    text = (
        GOOD[: GOOD.index("logs:")].replace("kind: log", "kind: probe")
        + "probe: {measure: server.open_connections, at_least: 60000}\n"
        + f"tests:\n  positive:\n    - name: full\n      text: |-\n{full}\n"
        + "  negative:\n    - {name: prose, text: no dump at all}\n"
    )
    outcome = run_tests([rule_of(text)])
    assert outcome.failures == ()
    assert (outcome.counts.positives, outcome.counts.negatives) == (1, 1)
    (failure,) = run_tests([rule_of(text.replace("60000", "70000"))]).failures
    assert failure.message == "server.open_connections is 63871, less than 70000"
    (failure,) = run_tests(
        [rule_of(text.replace("positive", "negative", 1).replace("  negative:\n    - {", "    - {"))]
    ).failures
    assert failure.message == "server.open_connections is 63871, and must be less than 60000"


def test_an_answer_that_does_not_come() -> None:
    text = GOOD.replace(
        "  - {id: pumps, kind: distinct, of: [stuck], field: pump, at_least: 3,",
        "  - {id: pumps, kind: absence, after: stuck, of: [stuck],",
    ).replace("spread: true, ", "")
    failures = [failure.message for failure in run_tests([rule_of(text)]).failures]
    assert failures == ["the window pumps fires 1 times instead of 0"]  # after the last of nine

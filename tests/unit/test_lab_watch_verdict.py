"""What was told beside what had to be told: every way in which they can differ."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tidegate.lab.watch_expected import Expected
from tidegate.lab.watch_sink import ALERTS, HOOK, Post
from tidegate.lab.watch_verdict import Verdict, judge

SECOND = 10**9
SCOPE = (("provider", "vasa-1"),)
STORM = Expected("storm", SCOPE, 10 * SECOND, 20 * SECOND, 7, 11 * SECOND)


def iso(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hook(what: str = "opened", at: float = 10, key: str = "k1", **changed: Any) -> Post:
    body = {
        "what": what, "rule": "storm", "scope": dict(SCOPE), "at": iso(at), "until": iso(20), "count": 7, **changed,
    }  # fmt: skip
    return Post(12 * SECOND, HOOK, f"{key}/{what}", body)


def labels(at: float = 10, **changed: str) -> Post:
    alert = {"labels": {"alertname": "x", "rule": "storm", "scope_provider": "vasa-1", **changed}, "startsAt": iso(at)}
    return Post(12 * SECOND, ALERTS, "", [alert])


def fine(verdict: Verdict) -> bool:
    return not verdict.lost and not verdict.spurious and not verdict.wrong


def test_both_were_told() -> None:
    verdict = judge([STORM], [hook(), labels(), labels(), hook("cleared")])
    assert fine(verdict)
    assert (verdict.alerts, verdict.cleared, verdict.repeats) == (1, 1, 0)
    assert verdict.times_to_alert_ms == [1000.0]


def test_a_repeat_carries_a_known_key() -> None:
    verdict = judge([STORM], [hook(), hook(), labels()])
    assert fine(verdict)
    assert (verdict.alerts, verdict.repeats) == (1, 1)


def test_told_to_one_receiver_only_is_lost() -> None:
    assert judge([STORM], [hook()]).lost == [STORM]
    assert judge([STORM], [labels()]).lost == [STORM]
    assert judge([STORM], []).lost == [STORM]


def test_the_first_that_is_told_may_be_a_later_moment_and_none_outside() -> None:
    assert fine(judge([STORM], [hook(at=15), labels(at=15)]))
    for at in (9.999, 20.001):
        assert len(judge([STORM], [hook(at=at), labels()]).spurious) == 1
        assert len(judge([STORM], [hook(), labels(at=at)]).spurious) == 1


def test_another_key_for_the_same_alert_is_spurious() -> None:
    assert len(judge([STORM], [hook(), hook(key="k2"), labels()]).spurious) == 1


def test_another_rule_or_scope_is_spurious() -> None:
    assert len(judge([STORM], [hook(), hook(key="k2", rule="other"), labels()]).spurious) == 1
    assert len(judge([STORM], [hook(), labels(), labels(scope_provider="vasa-2")]).spurious) == 1


def test_what_is_over_must_be_right() -> None:
    differences: tuple[dict[str, Any], ...] = ({"at": 11}, {"until": iso(19)}, {"count": 6})
    for wrong in differences:
        assert len(judge([STORM], [hook(), labels(), hook("cleared", **wrong)]).wrong) == 1

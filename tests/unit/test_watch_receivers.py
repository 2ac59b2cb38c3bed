"""What receivers are told: requests made of notices, without a receiver."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_watches import NOON, SECOND, a_notice
from tidegate.errors import UsageError
from tidegate.watch.live.alertmanager import Alertmanager
from tidegate.watch.live.model import Notice
from tidegate.watch.live.receiver import Post, stamp
from tidegate.watch.live.webhook import Webhook, signature
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

MINUTE = 60 * SECOND


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules()


def alerts(post: Post) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(post.content)
    return told


@given(time=st.integers(0, 4_000_000_000 * SECOND))
def test_a_stamp_sorts_like_its_time(time: int) -> None:
    assert len(stamp(time)) == len("2025-08-08T11:00:00.000000000Z")
    assert stamp(time) < stamp(time + 1)


def test_a_webhook_is_told_once_with_the_key(rules: RuleSet) -> None:
    post = Webhook("hook", "http://127.0.0.1/x").post([a_notice()], rules, NOON)
    body = json.loads(post.content)
    assert post.headers == {"Content-Type": "application/json", "Idempotency-Key": a_notice().key}
    assert body["key"] == a_notice().key
    assert (body["format"], body["what"], body["kb"], body["count"]) == (1, "opened", "440879", 11)
    assert (body["hosts"], body["hosts_total"]) == (["vc1", "vc2"], 2)
    assert (body["at"], body["cleared"]) == ("2025-08-08T11:00:00.000000000Z", None)
    assert body["scope"] == {"host": "vc1"}
    assert "10" in body["says"]
    assert b"topsecret" not in post.content
    assert "NotAuthenticated" in body["evidence"][0]


def test_a_webhook_is_signed(rules: RuleSet) -> None:
    post = Webhook("hook", "http://127.0.0.1/x", secret=b"k").post([a_notice()], rules, NOON + 5)
    seconds, _, code = post.headers["Tidegate-Signature"].partition(",v1=")
    signed = seconds.removeprefix("t=").encode() + b"." + post.content
    assert code == hmac.new(b"k", signed, hashlib.sha256).hexdigest()
    assert seconds == f"t={NOON // SECOND}"
    assert signature(b"other", post.content, NOON) != post.headers["Tidegate-Signature"]
    assert "k" not in repr(post)


def test_an_alert_has_labels_that_stay(rules: RuleSet) -> None:
    am = Alertmanager("am", "http://127.0.0.1:9093/", token="t0ken")
    post = am.post([a_notice()], rules, NOON + SECOND)
    (alert,) = alerts(post)
    assert post.url == "http://127.0.0.1:9093/api/v2/alerts"
    assert post.headers["Authorization"] == "Bearer t0ken"
    assert alert["labels"] == {
        "alertname": "vcenter.hgw.nfc-not-authenticated",
        "by": "host",
        "rule": "vcenter.hgw.nfc-not-authenticated",
        "kb": "440879",
        "severity": "warning",
        "scope_host": "vc1",
    }
    assert alert["startsAt"] == stamp(NOON)
    assert alert["endsAt"] == stamp(NOON + SECOND + 3 * MINUTE)
    told = alert["annotations"]
    assert (told["count"], told["hosts"], told["hosts_total"]) == ("11", "vc1, vc2", "2")
    assert b"topsecret" not in post.content
    again = am.renewal([a_notice(count=25).episode], rules, NOON + 2 * MINUTE)
    assert again is not None
    (renewed,) = alerts(again)
    assert renewed["labels"] == alert["labels"]
    assert renewed["annotations"]["count"] == "25"
    assert renewed["endsAt"] == stamp(NOON + 5 * MINUTE)


def test_a_token_that_is_none_is_refused() -> None:
    for token in ("tökèn", "two\nlines"):
        with pytest.raises(UsageError, match="printable ASCII") as caught:
            Alertmanager("am", "http://x", token=token)
        assert token not in caught.value.message


def test_an_alert_ends_when_it_is_cleared(rules: RuleSet) -> None:
    am, cleared = Alertmanager("am", "http://127.0.0.1"), a_notice("cleared")
    am.took([a_notice().episode], NOON)
    ended, *milder = alerts(am.post([cleared], rules, NOON + 20 * MINUTE))
    assert ended["endsAt"] == stamp(NOON + 400 * SECOND)
    assert [alert["labels"]["severity"] for alert in milder] == ["notice"]
    assert [alert["endsAt"] for alert in milder] == [stamp(NOON + 19 * MINUTE)]


@pytest.mark.parametrize("told", [True, False])
def test_nobody_misses_an_alert_that_is_over_when_it_is_told(rules: RuleSet, told: bool) -> None:
    am, late = Alertmanager("am", "http://127.0.0.1"), NOON + 60 * MINUTE
    if told:
        am.took([a_notice().episode], late)
    ended = alerts(am.post([a_notice("cleared")], rules, late))[0]
    assert ended["endsAt"] == stamp(late + 6 * MINUTE)


def test_a_worse_severity_ends_the_milder_alert(rules: RuleSet) -> None:
    notice = a_notice("escalated/1", severity="critical")
    worse, *milder = alerts(Alertmanager("am", "http://x").post([notice], rules, NOON + MINUTE))
    assert worse["labels"]["severity"] == "critical"
    assert worse["endsAt"] == stamp(NOON + 4 * MINUTE)
    assert {alert["labels"]["severity"]: alert["endsAt"] for alert in milder} == {
        "warning": stamp(NOON),
        "notice": stamp(NOON),
    }


def test_the_milder_alert_that_ends_is_the_one_that_was_told(rules: RuleSet) -> None:
    """Windows of a rule that share an episode have names of their own, and each its severity."""
    am, escalated = Alertmanager("am", "http://x"), a_notice("escalated/1", window="many-hosts", severity="critical")
    (opened,) = alerts(am.post([a_notice()], rules, NOON))
    worse, *milder = alerts(am.post([escalated], rules, NOON + MINUTE))
    assert opened["labels"] in [alert["labels"] for alert in milder]
    assert worse["annotations"]["window"] == "many-hosts"
    same = am.renewal([a_notice(window="many-hosts").episode], rules, NOON + MINUTE)
    assert same is not None
    assert alerts(same)[0]["labels"] == opened["labels"], "another window of that severity speaks for it now"


def test_groups_of_a_rule_are_told_apart_though_a_field_is_empty(rules: RuleSet) -> None:
    ways = ((("provider", "vp"),), (("host", ""), ("provider", "vp")))
    posts = [Alertmanager("am", "http://x").post([replaced(scope)], rules, NOON) for scope in ways]
    one, other = (alerts(post)[0]["labels"] for post in posts)
    assert one != other


def replaced(scope: tuple[tuple[str, str], ...]) -> Notice:
    notice = a_notice()
    return replace(notice, episode=replace(notice.episode, scope=scope))


def test_an_episode_whose_rule_was_removed_burns_under_no_new_name(rules: RuleSet) -> None:
    am = Alertmanager("am", "http://x")
    am.took([a_notice(rule="gone.rule").episode], NOON)
    for alert in alerts(am.post([a_notice("cleared", rule="gone.rule")], rules, NOON + 7 * MINUTE)):
        assert alert["endsAt"] <= stamp(NOON + 7 * MINUTE)
    am = Alertmanager("am", "http://x")
    for alert in alerts(am.post([a_notice("cleared", rule="gone.rule")], rules, NOON + 7 * MINUTE)):
        assert alert["endsAt"] <= stamp(NOON + 7 * MINUTE)


def test_a_clock_that_is_ahead_makes_no_alert_that_ends_before_it_starts(rules: RuleSet) -> None:
    (alert,) = alerts(Alertmanager("am", "http://x").post([a_notice(at=NOON + 5 * MINUTE)], rules, NOON))
    assert alert["startsAt"] == stamp(NOON) < alert["endsAt"]


def test_a_rule_that_is_gone_is_told_all_the_same(rules: RuleSet) -> None:
    notice = a_notice(rule="gone.rule")
    (alert,) = alerts(Alertmanager("am", "http://x").post([notice], rules, NOON))
    assert alert["labels"]["alertname"] == "gone.rule"
    assert "kb" not in alert["labels"]
    assert json.loads(Webhook("h", "http://x").post([notice], rules, NOON).content)["title"] == "gone.rule"


def test_what_was_told_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.watch.live.alertmanager._TOLD_MAX", 2)
    am = Alertmanager("am", "http://x")
    for number in range(5):
        am.took([a_notice(number=number).episode], NOON + number)
    assert list(am._told.values()) == [NOON + 3, NOON + 4]

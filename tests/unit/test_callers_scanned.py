"""Who storms, from text to answer through the real scan: its counts are those that the other tests make by hand."""

from __future__ import annotations

import json
from typing import Any

from tallied import tallied
from tidegate import _core
from tidegate.watch.caller_lines import TALLIES
from tidegate.watch.callers import callers

LIMITS = {"hits": 1000, "evidence": 10, "keys": 2000}
EVENT = (
    "<14>1 {at} vcsa vpxd 58650 - -  Event [{key}] [1-1] [{at}] [vim.event.{kind}] [info] [{user}] [] [{key}] [{says}]"
)
USERS = (
    ("CORP\\svc-backup", "10.20.0.31", "VMware VI Client/4.0.0"),
    ("automation@vsphere.local", "10.20.7.9", "pyvmomi Python/3.7.5 (Linux; 4.19.84-1.ph3; x86_64)"),
)


def lines() -> list[str]:
    """Return a few minutes of a vCenter: events, calls with a local zone, and two kinds of Envoy's log."""
    told = []
    for second in range(120):
        user, ip, agent = USERS[second % 5 == 0]
        at = f"2026-11-25T02:{second // 60:02d}:{second % 60:02d}.250Z"
        login = f"User {user}@{ip} logged in as {agent}"
        told.append(EVENT.format(at=at, key=575_792 + second, kind="UserLoginSessionEvent", user=user, says=login))
        if second % 5 == 0:
            logout = (
                f"User {user}@{ip} logged out (login time: Wednesday, 25 November, 2026 02:00:00 AM, "
                f"number of API invocations: 12, user agent: {agent})"
            )
            told.append(EVENT.format(at=at, key=1, kind="UserLogoutSessionEvent", user=user, says=logout))
        local = at.replace("T02:", "T05:").replace("Z", "+03:00")
        told.append(
            f"{local} info vpxd[07890] [Originator@6876 sub=vpxLro opID=4f-{second}] [VpxLRO] -- BEGIN lro-{second} -- "
            "propertyCollector -- vmodl.query.PropertyCollector.retrieveContents -- "
            "52a1b8c9-1a2b-3c4d-5e6f-000000000000(52d0c0de-0000-0000-0000-00000000beef)"
        )
        told.append(
            f"{local} info vpxd[07890] [Originator@6876 sub=vpxLro opID=4f-{second}] [VpxLRO] -- FINISH lro-{second}"
        )
        told.append(
            f'[{at}] "POST /sdk/vimService HTTP/1.1" 200 - 154 0 226 100 "{ip}" "{agent}" "cc21" "vc" "10.0.2.1:80"'
        )
    told.append(
        "2026-11-25T02:01:00.000Z In(166) envoy-access[525191]: POST /sdk HTTP/1.1 200 via_upstream - 591 463 gzip 12 "
        f"11 0 {USERS[0][1]}:51188 HTTP/1.1 TLSv1.2 10.1.2.10:443 127.0.0.1:42066 HTTP/1.1 - 127.0.0.1:8085 - -"
    )
    return told


def scanned(text: str) -> list[dict[str, Any]]:
    plan = {"format": 1, "now": 1_795_600_000_000_000_000, "signatures": [], "marks": [], "dumps": [], "limits": LIMITS}
    scanner = _core.Scanner(json.dumps(plan | {"tallies": list(TALLIES)}).encode())
    tallies: list[dict[str, Any]] = json.loads(scanner.scan_text("vc.log", text.encode()))["tallies"]
    return tallies


def in_order(tallies: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(tally | {"by": tally["by"] or {}}, sort_keys=True) for tally in tallies)


def test_the_scan_counts_as_the_tests_do() -> None:
    text = lines()
    assert in_order(scanned("\n".join(text) + "\n")) == in_order(tallied(text))


def test_from_text_to_answer() -> None:
    found = callers(scanned("\n".join(lines()) + "\n"))
    assert found is not None
    assert [one["user"] for one in found["top"][:2]] == [USERS[0][0], USERS[1][0]]
    assert [one["logins"] for one in found["top"][:2]] == [96, 24]
    assert found["totals"]["calls_from"] == "access"
    assert found["stands_out"]["user"] == USERS[0][0]
    assert (found["from"], found["to"]) == ("2026-11-25T02:00:00Z", "2026-11-25T02:01:59Z")


def test_every_session_of_one_record_is_known() -> None:
    line = "--> /SessionStats/SessionPool/Session/Id='{id}'/Username='u{id}'/ClientIP='10.0.0.1'/x/total 3"
    text = "\n".join(
        ["2026-11-25T02:00:00.000Z info vpxd-profiler[1] [a]", *(line.format(id=each) for each in range(1000))]
    )
    assert len([tally for tally in scanned(text + "\n") if tally["tally"] == "caller/session"]) == 1000

"""Who storms: forms of lines, what is laid to whom, when somebody is named, and what the numbers admit to."""

from __future__ import annotations

from typing import Any

import pytest

from tallied import tallied
from tidegate.watch.caller_join import gather
from tidegate.watch.caller_lines import LOGIN_OPERATIONS, TALLIES
from tidegate.watch.callers import callers

BACKUP = ("CORP\\svc-backup", "10.20.0.31", "VMware VI Client/4.0.0")
SCRIPT = ("automation@vsphere.local", "10.20.7.9", "pyvmomi Python/3.7.5 (Linux; 4.19.84-1.ph3; x86_64)")
UI = ("VSPHERE.LOCAL\\vsphere-ui-1f2e", "127.0.0.1", "VMware vim-java 1.0")
SESSIONS = [f"52a1b8c9-1a2b-3c4d-5e6f-{number:012x}" for number in range(4)]


def at(second: float) -> str:
    return f"2026-11-25T02:{int(second) // 60:02d}:{second % 60:06.3f}Z"


def event(second: float, kind: str, user: str, says: str) -> str:
    key, kind = 575792 + int(second), f"vim.event.User{kind}SessionEvent"
    return (
        f"<14>1 {at(second)} vcsa vpxd 58650 - -  Event [{key}] [1-1] [{at(second)}] [{kind}] "
        f"[info] [{user}] [] [{key}] [{says}]"
    )


def login(second: float, who: tuple[str, str, str]) -> str:
    user, ip, agent = who
    return event(second, "Login", user, f"User {user}@{ip} logged in as {agent}")


def logout(second: float, who: tuple[str, str, str], calls: int = 3) -> str:
    user, ip, agent = who
    says = (
        f"User {user}@{ip} logged out (login time: Wednesday, 25 November, 2026 02:00:00 AM, "
        f"number of API invocations: {calls}, user agent: {agent})"
    )
    return event(second, "Logout", user, says)


def begin(second: float, session: str, operation: str, entity: str = "propertyCollector") -> str:
    return (
        f"{at(second)} info vpxd[07890] [Originator@6876 sub=vpxLro opID=4f-{int(second)}] [VpxLRO] -- BEGIN "
        f"lro-{210450 + int(second * 10)} -- {entity} -- {operation} -- {session}(52d0c0de-0000-0000-0000-00000000beef)"
    )


def profile(session: str, who: tuple[str, str, str]) -> str:
    return (
        f"--> /SessionStats/SessionPool/Session/Id='{session}'/Username='{who[0]}'/ClientIP='{who[1]}'"
        "/PropertyCollector/FilterCount/total 3"
    )


def told(lines: list[str], **options: Any) -> dict[str, Any]:
    found = callers(tallied(lines), **options)
    assert found is not None
    return found


def storm() -> list[str]:
    """Ten minutes: a backup that logs in 70 times a minute and never leaves, and two that behave."""
    lines = [login(second * 60 / 70, BACKUP) for second in range(700)]
    for minute in range(10):
        lines += [login(60 * minute + 5, SCRIPT), logout(60 * minute + 20, SCRIPT, calls=40)]
    return [*lines, login(1, UI), profile(SESSIONS[0], BACKUP), profile(SESSIONS[1], SCRIPT)]


def test_a_storm_is_named() -> None:
    found = told(storm())
    first = found["top"][0]
    assert (first["user"], first["ip"], first["agent"]) == BACKUP
    assert (first["logins"], first["logouts"], first["left_open"]) == (700, 0, 700)
    assert first["logins_per_minute"]["peak"] == 70
    assert first["logins_per_minute"]["mean"] == pytest.approx(70, abs=0.5)
    assert first["share_of_logins"] == round(700 / 711, 4)
    out = found["stands_out"]
    assert (out["by"], out["of"], out["why"], out["count"]) == ("caller", "logins", "rate", 700)
    assert out["says"] == (
        "CORP\\svc-backup from 10.20.0.31 (VMware VI Client/4.0.0) opened 700 of 711 sessions (98%), "
        "up to 70 in one minute. It left 700 of them open."
    )
    assert found["totals"]["left_open"] == 701
    assert found["series"]["step_s"] == 60
    assert [count for _, count in found["series"]["logins"]] == [72, *[71] * 9]


def test_users_with_an_at_sign_and_agents_with_brackets() -> None:
    lines = [login(1, SCRIPT), logout(2, SCRIPT, calls=34), logout(3, SCRIPT, calls=6)]
    (one,) = told(lines)["top"]
    assert (one["user"], one["ip"], one["agent"]) == SCRIPT
    assert (one["logins"], one["logouts"], one["left_open"]) == (1, 2, 0)
    assert told(lines)["totals"] | {"calls": 40, "calls_from": "logout"} == told(lines)["totals"]
    assert one["calls_per_minute"]["peak"] is None


def test_hostd_and_a_log_without_user_agents() -> None:
    line = (
        f"{at(1)} info hostd[2099631] [Originator@6876 sub=Vimsvc.ha-eventmgr opID=esxui-e70a-159a user=root] "
        "Event 147 : User root@10.0.0.7 logged out (login time: Thursday, 16 February, 2023 01:26:42 PM, "
        "number of API invocations: 12)"
    )
    (one,) = told([line])["top"]
    assert (one["user"], one["ip"], one["agent"], one["calls"]) == ("root", "10.0.0.7", None, 12)


def test_calls_are_laid_to_the_user_of_their_session() -> None:
    lines = [
        *storm(),
        *(begin(second / 2, SESSIONS[1], "vmodl.query.PropertyCollector.retrieveContents") for second in range(300)),
    ]
    lines += [begin(second, SESSIONS[2], "vim.VirtualMachine.createSnapshot", "vm-118") for second in range(5)]
    lines += [f"{at(1)} info vpxd[1] [Originator@6876 sub=vpxLro] [VpxLRO] -- FINISH lro-210450"]
    found = told(lines)
    script = next(one for one in found["top"] if one["user"] == SCRIPT[0])
    assert script["calls"] == 300
    assert script["operations"] == [{"name": "vmodl.query.PropertyCollector.retrieveContents", "calls": 300}]
    assert script["calls_per_minute"]["peak"] == 120
    unknown = next(one for one in found["top"] if one["session"])
    assert (unknown["session"], unknown["user"], unknown["calls"]) == ("52a1b8c9", None, 5)
    totals = found["totals"]
    assert (totals["calls"], totals["calls_from"], totals["calls_without_user"]) == (305, "vpxd", 5)
    assert (totals["begun"], totals["finished"], totals["errors"]) == (305, 1, 0)
    assert any("vpxd-profiler" in note for note in found["notes"])
    assert SESSIONS[2] not in str(found)


def test_an_old_line_with_one_id_and_no_entity() -> None:
    line = (
        "[2012-04-16 21:42:11.096 02584 info 'App'] [VpxLRO] -- BEGIN task-internal-1788204 -- -- "
        "vim.SessionManager.loginBySSPI -- 0CCF336E-E963-44C9-8AF6-90D4B10EFE74"
    )
    found = told([line])
    assert "vim.SessionManager.loginBySSPI" in LOGIN_OPERATIONS
    assert found["totals"]["logins"] == 1
    assert found["totals"]["logins_from"] == "calls"
    assert found["totals"]["left_open"] is None
    assert found["top"][0]["session"] == "0ccf336e"
    assert (found["from"], found["minutes"]) == (None, 1.0)


def test_calls_of_a_hosts_agent_are_not_vcenters() -> None:
    line = begin(1, SESSIONS[0], "vpxapi.VpxaService.fetchQuickStats", "vpxa")
    found = told([line])
    assert (found["totals"]["calls"], found["totals"]["begun"], found["top"]) == (0, 1, [])


def test_requests_in_envoys_default_format() -> None:
    line = '[2026-11-25T02:00:{:02d}.310Z] "POST /sdk/vimService HTTP/{}" 200 - 154 0 226 100 "{}" "{}" "cc21" "vc" "tcp://10.0.2.1:80"'
    lines = [
        line.format(second, version, "10.20.7.9, 10.1.1.1", SCRIPT[2])
        for second in range(3)
        for version in ("1.1", "2")
    ]
    lines += [line.format(9, "2", "-", "-"), login(1, SCRIPT), login(2, (UI[0], SCRIPT[1], "other"))]
    found = told(lines)
    script = next(one for one in found["top"] if one["user"] == SCRIPT[0])
    assert (script["calls"], script["operations"]) == (6, [{"name": "POST /sdk/vimService", "calls": 6}])
    assert found["totals"]["calls_from"] == "access"
    assert found["totals"]["calls_without_user"] == 1


def test_requests_with_istios_columns_and_other_proxies() -> None:
    istio = (
        '[2026-11-25T02:00:01.000Z] "GET /a/b/c?d HTTP/1.1" 200 - via_upstream - "-" 0 22 5 4 "-" "curl/7" "x" "y" "z" '
        "inbound|80|| 127.0.0.1:50594 10.4.1.7:80 10.4.1.1:0"
    )
    nginx = '10.244.1.10 - - [25/Nov/2026:02:00:01 +0000] "GET / HTTP/1.1" 200 896 "-" "curl/8.5.0" "10.224.0.7"'
    found = told([istio, nginx])
    assert [(one["ip"], one["agent"], one["operations"]) for one in found["top"]] == [
        (None, "curl/7", [{"name": "GET /a/b", "calls": 1}])
    ]


def test_requests_in_vmwares_format() -> None:
    line = (
        f"{at(1)} In(166) envoy-access[525191]: POST /sdk HTTP/1.1 200 via_upstream - 591 463 gzip 12 11 0 "
        "10.20.0.31:51188 HTTP/1.1 TLSv1.2 10.1.2.10:443 127.0.0.1:42066 HTTP/1.1 - 127.0.0.1:8085 - -"
    )
    found = told([line, login(1, BACKUP)])
    (one,) = found["top"]
    assert (one["user"], one["calls"]) == (BACKUP[0], 1)


def test_failed_logins() -> None:
    line = (
        f'{at(3)} {{"user":"automation@vsphere.local","client":"10.20.7.9","timestamp":"11/25/2026 02:00:03 GMT",'
        '"description":"User automation@vsphere.local@10.20.7.9 failed to log in with response code 401",'
        '"eventSeverity":"INFO","type":"com.vmware.sso.LoginFailure"}'
    )
    (one,) = told([line, line, login(1, SCRIPT)])["top"]
    assert (one["logins"], one["failed_logins"]) == (1, 2)


def test_nobody_is_named_in_a_quiet_log() -> None:
    assert told([login(second, SCRIPT) for second in range(9)])["stands_out"] is None
    assert told([login(minute * 60, SCRIPT) for minute in range(60)])["stands_out"] is None


def test_more_than_half_is_named_from_ten_a_minute() -> None:
    many = [login(second, SCRIPT) for second in range(10)]
    out = told([*many, *(login(second, BACKUP) for second in range(9))])["stands_out"]
    assert (out["user"], out["why"], out["peak"], out["share"]) == (SCRIPT[0], "share", 10, round(10 / 19, 4))
    assert told([*many, *(login(second, BACKUP) for second in range(10))])["stands_out"] is None


def test_a_user_on_many_machines_is_named_as_one() -> None:
    lines = [login(second, (BACKUP[0], f"10.20.0.{proxy}", "agent")) for proxy in range(40) for second in (1, 2)]
    out = told(lines)["stands_out"]
    assert (out["by"], out["user"], out["ip"], out["callers"]) == ("user", BACKUP[0], None, 40)
    assert out["says"].startswith("CORP\\svc-backup, as 40 callers, opened 80 of 80 sessions (100%), up to 80 in one")


def test_calls_can_stand_out_too() -> None:
    lines = [begin(second / 20, SESSIONS[0], "vim.view.ViewManager.createContainerView") for second in range(700)]
    out = told([*lines, profile(SESSIONS[0], SCRIPT)])["stands_out"]
    assert (out["of"], out["user"], out["why"], out["peak"]) == ("calls", SCRIPT[0], "share", 700)


def test_the_span_of_what_was_read_is_the_measure() -> None:
    first = 1_795_572_000_000_000_000
    found = told([login(second, SCRIPT) for second in range(30)], span=(first, first + 600_000_000_000), cut=7)
    assert found["top"][0]["logins_per_minute"] == {"mean": 3.0, "peak": 30}
    assert found["minutes"] == 10.0
    assert any("left out 7 counts" in note for note in found["notes"])


def test_the_answer_is_bounded() -> None:
    lines = [login(second, (f"user{second}", "10.0.0.1", "x" * 5000)) for second in range(200)]
    lines += [begin(1, SESSIONS[0], f"vim.Thing.op{number}") for number in range(50)]
    found = told(lines)
    assert len(found["top"]) == 10
    assert max(len(one["agent"] or "") for one in found["top"]) == 240
    assert len(found["operations"]) == 10
    year = {"tally": "caller/login", "key": {"user": "a", "ip": "b", "agent": "c"}, "total": 2, "by": {}}
    year |= {"first": 0, "last": 2**63 - 1, "minutes": [[0, 1], [150_000_000, 1]]}
    for span, points in ((None, 703), ((0, 60_000_000_000), 2)):
        far = callers([year], span)
        assert far is not None
        assert len(far["series"]["logins"]) == points


def test_no_callers_in_what_was_read() -> None:
    assert callers([]) is None
    assert callers(tallied(["2026-11-25T02:00:00Z info vpxd[1] [Originator@6876 sub=x] nothing of interest"])) is None
    assert callers([{"tally": "other/thing", "key": {}, "total": 3, "minutes": [], "by": {}}]) is None


def test_the_plan_parts() -> None:
    assert len({plan["id"] for plan in TALLIES}) == len(TALLIES)
    for plan in TALLIES:
        assert set(plan) - {"every"} == {"id", "literals", "regex", "key", "by"}
        assert all(len(text.encode()) >= 10 for text in plan["literals"])
    assert gather([]) == []

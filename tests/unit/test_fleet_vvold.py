"""What a host says of its vvold, and what it means: parsed, compared and judged without a host."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host, Remembers
from tidegate.fleet.model import Plan
from tidegate.fleet.plans import work_for
from tidegate.fleet.plans.nsx_check import EnsCheck
from tidegate.fleet.plans.nsx_mode import ModeWork
from tidegate.fleet.plans.vvold import VvoldRestart
from tidegate.fleet.plans.vvold_look import identity_known, judge, parse, same_process, sessions

NOON = 1_754_650_800
FAILED = (
    "VasaSession::DoSetContext: setContext for VP {vp} (url: https://vp-a:8443/vasa/services/vasaService?version=4) "
    "failed [connectionState: TransportError]: TRANSPORT_FAULT (Timeout / SSL_connect() failed in tcp_connect())"
)
CONNECTED = "Issuing 'getEvents' to VP {vp} (#outstanding 0/5) [session state: Connected]"


def stamped(at: int, text: str, vp: str = "vp-a") -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.610Z")
    return f"{stamp} Er(163) VVold[2255518]: [Originator@6876 sub=Default OpId=Session] {text.format(vp=vp)}"


def shown(
    *log: str, now: int = NOON + 600, began: int = NOON, listed: str | None = None, state: str = "running"
) -> str:
    rc, body = (1, "") if listed is None else (0, listed)
    return "\n".join(
        [
            "pid=2255518", f"start_time={began}", "ps=", "host_id=h", "boot_id=b", "uptime_us=86400000000",
            f"now={now}", f"status={0 if state == 'running' else 3}", f"said=vvold is {state}", "==list", body,
            f"==log {rc}", *log,
        ]
    )  # fmt: skip


BEFORE: Evidence = {"state": "stopped", "host_time": NOON}
ONLINE = "vp-a\n   VP Name: vp-a\n   URL: https://vp-a:8443/vasa/version.xml\n   Status: online\n   Colour: blue"


@pytest.mark.parametrize(
    ("said", "status", "state"),
    [
        ("vvold is running", 0, "running"),
        ("vvold is not running.", 3, "stopped"),
        ("vvold: stopped", 1, "stopped"),
        ("", 0, "running"),
        ("", 3, "stopped"),
        ("what?", 1, "unknown"),
        ("sh: /etc/init.d/vvold: not found", 127, "missing"),
    ],
)
def test_states(said: str, status: int, state: str) -> None:
    assert parse(f"status={status}\nsaid={said}")["state"] == state


def test_evidence_of_a_host_with_everything_and_of_one_with_nothing() -> None:
    seen = parse(shown())
    assert seen == {
        "state": "running", "pid": 2255518, "start_time": NOON, "host_id": "h", "boot_id": "b",
        "boot_time": NOON + 600 - 86400, "host_time": NOON + 600,
    }  # fmt: skip
    bare = parse("pid=\nps=4711\nboot_id=\nuptime_us=\nnow=\nstatus=0\nsaid=")
    assert bare == {
        "state": "running", "pid": 4711, "start_time": None, "host_id": None, "boot_id": None, "boot_time": None,
        "host_time": None,
    }  # fmt: skip
    assert identity_known(bare)
    assert not identity_known(parse(shown(state="not running")))


def test_one_vvold_is_told_from_the_next() -> None:
    old = parse(shown())
    assert same_process(old, parse(shown(now=NOON + 602)))
    assert not same_process(old, {**old, "pid": 2255519})
    assert not same_process(old, {**old, "start_time": NOON + 60})
    assert not same_process(old, {**old, "boot_id": "c"})
    # A computed time of boot moves with the clock; it counts only where there is nothing better.
    assert same_process(old, {**old, "boot_time": NOON})
    bare = {**old, "boot_id": None, "start_time": None}
    assert same_process(bare, {**bare, "boot_time": NOON + 602 - 86400})
    assert not same_process(bare, {**bare, "boot_time": NOON})


def test_the_articles_own_lines() -> None:
    article = """
2025-08-08T12:17:14.610Z Er(163) VVold[2255518]: [Originator@6876 sub=Default OpId=Session] VasaSession::DoSetContext: \
setContext for VP HIDDEN (url: https://HIDDEN:8443/vasa/services/vasaService?version=4) failed [connectionState: \
TransportError]: TRANSPORT_FAULT (Timeout / SSL_connect() failed in tcp_connect())
25331:2025-08-08T17:37:07.849Z Er(163) VVold[2317367]: [Originator@6876 sub=Default OpId=Session] \
VasaSession::DoSetContext: setContext for VP HIDDEN (url: https://HIDDEN/axis2/services/vasa2) failed \
[connectionState: Connected]: STORAGE_FAULT (ADB conversion error. Details: Invalid Fault Id / )"""
    found = sessions(article.splitlines(), 0)
    assert list(found) == ["HIDDEN"]
    assert (found["HIDDEN"].why, found["HIDDEN"].connected_at) == ("Connected", None)
    assert found["HIDDEN"].failed_at == datetime(2025, 8, 8, 17, 37, 7, 849000, UTC).timestamp()


def test_a_continuation_line_has_the_time_of_its_head() -> None:
    lines = [
        stamped(NOON + 5, "VasaOp::EventPollerCB"),
        f"--> VasaOp::EventPollerCB [#8]: ===> {CONNECTED.format(vp='x')}",
    ]
    assert sessions(lines, NOON)["x"].connected_at == NOON + 5.61
    assert sessions(lines[1:], NOON) == {}
    assert sessions(lines, NOON + 6) == {}


@pytest.mark.parametrize(
    ("text", "ok", "says"),
    [
        (shown(stamped(NOON + 9, CONNECTED)), True, "connected"),
        (shown(listed=ONLINE), True, "connected"),
        (shown(listed=""), True, "no provider is registered"),
        (shown(), False, "nothing shows yet"),
        (shown(stamped(NOON + 9, FAILED)), False, "has not reconnected to vp-a; last failure of vp-a: TransportError"),
        (shown(stamped(NOON + 9, CONNECTED), stamped(NOON + 20, FAILED)), False, "has not reconnected"),
        (shown(stamped(NOON + 9, FAILED), stamped(NOON + 20, CONNECTED)), True, "connected"),
        (shown(stamped(NOON + 500, FAILED), stamped(NOON + 501, CONNECTED)), False, "no failure for 99 s of 180 s"),
        (shown(stamped(NOON + 9, CONNECTED), now=NOON + 100), False, "no failure for 100 s of 180 s"),
        # What was logged before the restart is another vvold's.
        (shown(stamped(NOON - 9, FAILED), stamped(NOON + 9, CONNECTED)), True, "connected"),
        (shown(stamped(NOON - 9, CONNECTED)), False, "nothing shows yet"),
        (shown(stamped(NOON + 9, CONNECTED), began=NOON + 30), False, "nothing shows yet"),
        # A log that does not reach back over the quiet time shows nothing.
        (shown(stamped(NOON + 421, CONNECTED)), False, "to see 180 s back: it begins 178 s ago"),
        (shown(stamped(NOON + 420, CONNECTED)), True, "connected"),
        (shown(stamped(NOON + 421, "chatter"), listed=ONLINE), False, "its log is too busy"),
        # Every provider counts.
        (shown(stamped(NOON + 9, CONNECTED), stamped(NOON + 9, FAILED, "vp-b")), False, "not reconnected to vp-b"),
        (shown(stamped(NOON + 9, CONNECTED), state="not running"), False, "vvold is stopped after its start"),
        (shown(listed=ONLINE.replace("online", "offline")), False, "has not reconnected to vp-a"),
        ("status=0\nsaid=vvold is running", False, "does not say what time"),
        ("", False, "unknown"),
    ],
)
def test_what_a_started_host_is_worth(text: str, ok: bool, says: str) -> None:
    verdict = judge(text, BEFORE, 180, positive=True)
    assert (verdict.ok, verdict.sure) == (ok, ok)
    assert says in verdict.says


def test_quiet_alone_when_no_sign_is_wanted() -> None:
    assert judge(shown(), BEFORE, 180, positive=False).ok
    assert not judge(shown(stamped(NOON + 599, FAILED)), BEFORE, 180, positive=False).ok


EVENTS = st.lists(st.tuples(st.integers(NOON - 300, NOON + 600), st.sampled_from([FAILED, CONNECTED])), max_size=12)


@given(EVENTS, st.integers(0, 400))
def test_no_host_is_fine_with_a_failure_inside_the_quiet_time(events: list[tuple[int, str]], quiet: int) -> None:
    log = [stamped(at, text) for at, text in sorted(events)]
    verdict = judge(shown(*log), BEFORE, quiet, positive=True)
    assert not (verdict.ok and log and min(at for at, _ in events) > NOON + 600 - quiet)
    after = [(at, text) for at, text in events if at >= NOON]
    failures = [at for at, text in after if text == FAILED]
    if verdict.ok:
        assert all(NOON + 600 - at >= quiet for at in failures)
        assert any(text == CONNECTED and at >= max(failures, default=0) for at, text in after)
    # Nothing is ever a sure failure: the runner's deadline decides that.
    assert verdict.sure == verdict.ok


@given(st.text(max_size=400))
def test_no_text_of_a_host_breaks_the_judge(text: str) -> None:
    judge(text, BEFORE, 1, positive=True)
    judge(shown(text, listed=text), BEFORE, 1, positive=True)
    parse(text)


def plan(**run: Any) -> Plan:
    return Plan.model_validate(
        {"run": {"plan": "vvold-phased-restart", **run.pop("run", {})}, "targets": {"inventory": "hosts.toml"}, **run}
    )


def test_phases_of_both_variants() -> None:
    stop, start = work_for(plan()).phases
    assert (stop.step, stop.batched, stop.approval) == ("stop", False, True)
    assert (start.step, start.batched, start.deadline_s) == ("start", True, 600)
    (only,) = work_for(plan(run={"variant": "rolling"})).phases
    assert (only.step, only.batched, only.approval) == ("restart", True, True)


def test_what_has_stopped_is_started_again_whatever_ends_the_run() -> None:
    work = work_for(plan())
    assert (work.undo("stop"), work.undo("restart"), work.undo("start")) == ("start", "start", None)


def test_steps_that_have_happened() -> None:
    work = work_for(plan())
    old = parse(shown())
    new = {**old, "pid": 2255600, "start_time": NOON + 99}
    down = parse(shown(state="not running"))
    assert not work.done("stop", old, old)
    assert work.done("stop", old, down)
    assert not work.done("start", down, down)
    assert work.done("start", down, new)
    assert not work.done("restart", old, old)
    assert not work.done("restart", old, down)
    assert work.done("restart", old, new)
    assert not work.done("restart", down, down)
    assert work.done("restart", down, new)


def test_commands_are_what_a_person_would_type() -> None:
    work = work_for(plan())
    host = Host("esx-1", "esx-1.example")
    assert work.commands("stop", host)[0] == "ssh esx-1.example /etc/init.d/vvold stop"
    assert work.commands("start", host)[0] == "ssh esx-1.example /etc/init.d/vvold start"
    assert work.commands("restart", host)[:2] == [work.commands("stop", host)[0], work.commands("start", host)[0]]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"run": {"variant": "all"}}, "no variant"),
        ({"options": {"colour": "blue"}}, "no options"),
        ({"verify": {"quiet": "10m", "deadline": "5m"}}, "no host could ever be verified"),
        ({"ssh": {"open_ssh": True}}, "needs a vCenter"),
    ],
)
def test_plans_that_are_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(FleetError, match=says):
        work_for(plan(**more))


SSH = {"ssh": {"open_ssh": True}, "vcenter": {"address": "vc.example", "user": "me"}}
OLD, CLOSED, OPENED = {"state": "running"}, {"ssh_opened": False}, {"ssh_opened": True}


@pytest.mark.parametrize(
    ("recorded", "opened"),
    [
        ([], False),
        ([OPENED], True),
        ([OPENED, OLD], True),
        ([CLOSED, OPENED, OPENED], True),
        ([OPENED, OPENED, CLOSED], False),
        ([OPENED, CLOSED, OPENED], True),
    ],
)
def test_ssh_that_a_dead_controller_opened_and_did_not_close_is_remembered(
    recorded: list[Evidence], opened: bool
) -> None:
    work, host = work_for(plan(**SSH)), Host("esx-01", "192.0.2.1")
    assert isinstance(work, VvoldRestart)
    assert isinstance(work, Remembers)
    for evidence in recorded:
        work.remember(host, evidence)
    work._access.adopt(host, CLOSED)  # what was recorded before a step says nothing of what was opened since
    assert work._access.opened(host) is opened


@pytest.mark.parametrize("name", ["nsx-ens-check", "nsx-ens-to-standard", "nsx-standard-to-ens"])
def test_plans_about_nsx_remember_it_too(name: str) -> None:
    options: dict[str, Any] = {"host_check": True, **({"mode": "ENS"} if name.endswith("to-ens") else {})}
    nsx = {"address": "nsx.example", "user": "admin"}
    work, host = work_for(plan(run={"plan": name}, nsx=nsx, options=options, **SSH)), Host("esx-01", "192.0.2.1")
    assert isinstance(work, Remembers)
    assert isinstance(work, (EnsCheck, ModeWork))
    proof = work.estate.proof
    assert proof is not None
    work.remember(host, OPENED)
    assert proof.note(host) == OPENED
    work.remember(host, CLOSED)
    assert proof.note(host) == CLOSED

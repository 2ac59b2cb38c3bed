"""The state file of paced work: folded, cut by a crash, damaged, of another version, taken."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import FleetError
from tidegate.fleet.pace_state import Past, StateFile, command_digest, fold, is_running, process_start

COMMAND = ("snapshot", "--token=secret", "{vm}")


def opened(path: Path, *, command: tuple[str, ...] = COMMAND, fresh: bool = False) -> StateFile:
    return StateFile.open(path, "pace.toml", command, 1.0, fresh=fresh)


def filled(path: Path) -> None:
    with opened(path) as state:
        for vm, ok, code in (("a", True, 0), ("b", False, 3)):
            state.began(vm, 2.0)
            state.runs(vm, 2.0, os.getpid())
            state.ended(vm, 3.0, ok=ok, code=code)
        state.began("c", 4.0)


def test_what_happened_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "state"
    filled(path)
    with opened(path) as state:
        assert state.past == {"a": Past("done", 0), "b": Past("failed", 3), "c": Past("unknown")}


def test_nobody_else_reads_it_and_no_argument_stands_in_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.touch(0o644)
    filled(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "secret" not in path.read_text()


def test_every_prefix_that_a_crash_may_leave_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state"
    filled(path)
    whole = path.read_bytes()
    head = whole.index(b"\n") + 1
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        with opened(path) as state:
            kept = whole[head:length].rpartition(b"\n")[0].splitlines() if length > head else []
            assert state.past == fold([json.loads(line) for line in kept])
            state.began("z", 9.0)  # what is written next does not stick to what was cut
        with opened(path) as state:
            assert state.past["z"] == Past("unknown")


def test_another_command_is_refused_and_fresh_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "state"
    filled(path)
    before = path.read_bytes()
    with pytest.raises(FleetError, match="belongs to another command"):
        opened(path, command=("other", "{vm}"))
    with opened(path, command=("other", "{vm}"), fresh=True) as state:
        assert not state.past
    old = tmp_path / "state.old"
    assert old.read_bytes() == before
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"format": 2, "kind": "pace", "command": "x"}\n', r"another version \(format 2, this one reads 1\)"),
        ('{"format": 1, "kind": "gate", "command": "x"}\n', "is no state file"),
        ("[gate]\n", "is no state file"),
        ("a list of machines", "is no state file"),
        ("web1\nweb2", "is no state file"),
        ("[]\n", "is no state file"),
    ],
)
def test_what_is_no_state_of_ours_is_refused_and_not_touched(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "state"
    path.write_text(text)
    with pytest.raises(FleetError, match=says):
        opened(path)
    with pytest.raises(FleetError):
        opened(path, command=("other", "{vm}"))
    assert path.read_text() == text


def test_fresh_does_not_empty_what_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "vms.txt"
    path.write_text("web1\nweb2\n")
    path.chmod(0o644)
    with pytest.raises(FleetError, match="is no state file"):
        opened(path, fresh=True)
    assert path.read_text() == "web1\nweb2\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("line", ["garbage", "[]", '{"vm": "a"}', '{"vm": "a", "did": "flew"}', '{"did": "began"}'])
def test_damage_in_the_middle_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "state"
    filled(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], line, *lines[3:]]) + "\n")
    with pytest.raises(FleetError, match="is damaged"):
        opened(path)


def test_one_controller_has_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with opened(path), pytest.raises(FleetError, match="another controller works with"):
        opened(path)
    with opened(path):
        pass


def test_where_it_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be opened: No such file"):
        opened(tmp_path / "nowhere" / "state")
    with pytest.raises(FleetError, match="cannot be opened: Is a directory"):
        opened(tmp_path)


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        past = Past("unknown", pid=process.pid, start=process_start(process.pid))
        assert is_running(past)
        assert not is_running(Past("unknown", pid=process.pid, start="other/1"))
        process.communicate(b"\n")
    assert not is_running(past)
    assert not is_running(Past("unknown"))


names = st.sampled_from(["a", "b"])
happened = st.one_of(
    st.fixed_dictionaries({"vm": names, "did": st.just("began")}),
    st.fixed_dictionaries({"vm": names, "did": st.just("runs"), "pid": st.just(1), "start": st.just("x")}),
    st.fixed_dictionaries({"vm": names, "did": st.just("ended"), "ok": st.booleans(), "code": st.none() | st.just(1)}),
)


@given(st.lists(happened))
def test_the_last_word_about_a_machine_counts(events: list[dict[str, object]]) -> None:
    known = fold(events)
    for vm in ("a", "b"):
        its = [event for event in events if event["vm"] == vm]
        assert (vm in known) == bool(its)
        if its and its[-1]["did"] == "ended":
            assert known[vm].state == ("done" if its[-1]["ok"] else "failed")
        elif its:
            assert known[vm].state == "unknown"


def test_a_digest_knows_where_arguments_end() -> None:
    assert command_digest(["a b"]) != command_digest(["a", "b"])

"""``gate sessions`` against a stand-in for a gate's admin socket."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Run
from fakes import SESSIONS, FakeAdmin, fake_admin


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[FakeAdmin]:
    with fake_admin(tmp_path / "admin.sock") as fake:
        yield fake


def test_who_holds_what(run: Run, admin: FakeAdmin) -> None:
    ran = run("gate", "sessions", "--admin", admin.path)
    assert ran.code == 0
    assert [line.rstrip() for line in ran.out.splitlines()] == [
        "vc  2 sessions there for 13 clients; 1 calls wait for one",
        "",
        "  CORP\\svc-backup (backup)  clients 12, waiting 1, password verified 31s ago",
        "  session  state     age  idle  lent to   objects",
        "  shared   live   10m10s  0.5s  -               2",
        "  clone    live      42s  3.0s  10.0.0.7        3",
        "",
        "  unknown user  clients 1, waiting 0, password never verified",
    ]


def test_as_json_it_is_what_the_gate_said(run: Run, admin: FakeAdmin) -> None:
    assert run("gate", "sessions", "--admin", admin.path, "--output", "json").json() == SESSIONS
    lines = run("gate", "sessions", "--admin", admin.path, "--output", "jsonl").out.splitlines()
    principals = SESSIONS["services"][0]["principals"]
    assert [json.loads(line) for line in lines] == [{"service": "vc", **one} for one in principals]


def test_a_name_does_nothing_to_the_terminal(run: Run, admin: FakeAdmin) -> None:
    admin.sessions["services"][0]["principals"][0]["user"] = "a\x1b[2Jb"
    assert "\x1b" not in run("gate", "sessions", "--admin", admin.path).out


def test_users_that_are_left_out_are_counted(run: Run, admin: FakeAdmin) -> None:
    admin.sessions["services"][0]["more"] = 7
    assert "and 7 users more" in run("gate", "sessions", "--admin", admin.path).out


def test_nothing_is_shared(run: Run, admin: FakeAdmin) -> None:
    admin.sessions["services"] = []
    assert 'that takes protocol = "vcenter"' in run("gate", "sessions", "--admin", admin.path).out


def test_nobody_there_is_exit_4(run: Run, tmp_path: Path) -> None:
    ran = run("gate", "sessions", "--admin", tmp_path / "none.sock")
    assert ran.code == 4
    assert "no gate answers at" in ran.err

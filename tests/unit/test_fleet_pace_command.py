"""One command for one machine, with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import UsageError
from tidegate.fleet.pace_command import Outcome, Tail, environment, filled, run_command


def ran(code: str, *arguments: str, timeout_s: float = 30.0, output_max: int = 65536, **env: str) -> Outcome:
    command = [sys.executable, "-c", code, *arguments]
    return asyncio.run(run_command(command, {**os.environ, **env}, timeout_s=timeout_s, output_max=output_max))


@given(st.text())
def test_a_name_stays_one_element(vm: str) -> None:
    parts = filled(["tool", "--vm={vm}", "x"], vm)
    assert parts == ["tool", f"--vm={vm}", "x"]


def test_a_name_reaches_the_command_as_it_is() -> None:
    name = 'a b\'; rm -rf $HOME `id` "x" *'
    outcome = asyncio.run(
        run_command(
            filled([sys.executable, "-c", "import sys; print(sys.argv[1:])", "{vm}"], name),
            os.environ,
            timeout_s=30,
            output_max=1000,
        )
    )
    assert outcome.ok
    assert outcome.stdout.text().strip() == str([name])


def test_a_name_that_looks_like_an_option_is_refused_where_it_would_be_one() -> None:
    with pytest.raises(UsageError, match="for an option"):
        filled(["rm", "{vm}"], "-rf")
    assert filled(["tool", "--vm={vm}"], "-rf") == ["tool", "--vm=-rf"]


def test_a_command_without_a_place_is_refused() -> None:
    with pytest.raises(UsageError, match=r"names no \{vm\}"):
        filled(["tool"], "a")


def test_the_session_is_given_and_the_password_is_not() -> None:
    base = {"PATH": "/bin", "TIDEGATE_VCENTER_PASSWORD": "secret", "TIDEGATE_SESSION": "of another"}
    assert environment("a", None, base) == {
        "PATH": "/bin",
        "TIDEGATE_VCENTER_PASSWORD": "secret",
        "TIDEGATE_VM": "a",
    }
    with_session = environment("a", "token", base, ["TIDEGATE_VCENTER_PASSWORD"])
    assert with_session == {"PATH": "/bin", "TIDEGATE_VM": "a", "TIDEGATE_SESSION": "token"}


def test_both_outputs_and_the_code_are_kept() -> None:
    outcome = ran("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (outcome.code, outcome.why) == (3, "exit code 3")
    assert (outcome.stdout.text(), outcome.stderr.text()) == ("out\n", "err\n")


def test_only_the_end_of_an_output_is_kept() -> None:
    outcome = ran("import sys; sys.stdout.write('x' * 3_000_000 + 'end')", output_max=1000)
    assert outcome.ok
    assert len(outcome.stdout.text()) == 1000
    assert outcome.stdout.text().endswith("xend")
    assert outcome.stdout.dropped == 3_000_003 - 1000


@given(st.lists(st.binary(max_size=30)), st.integers(0, 40))
def test_a_tail_is_the_end(pieces: list[bytes], most: int) -> None:
    tail = Tail(most)
    for piece in pieces:
        tail.add(piece)
    whole = b"".join(pieces)
    assert tail.text() == whole[max(0, len(whole) - most) :].decode(errors="replace")
    assert tail.dropped == max(0, len(whole) - most)


@given(st.text("ab"), st.integers(1, 30))
def test_a_session_is_not_shown_even_where_it_was_cut(before: str, most: int) -> None:
    tail = Tail(most)
    tail.add(f"{before}5EC2E7{before}".encode())
    assert "5EC2E7" not in tail.text("5EC2E7")
    assert not tail.text("5EC2E7").startswith(("EC2E7", "2E7", "E7", "7"))


def test_it_has_no_input() -> None:
    assert ran("import sys; print(repr(sys.stdin.read()))").stdout.text() == "''\n"


def test_one_that_cannot_be_started_is_said() -> None:
    outcome = asyncio.run(run_command(["/nowhere/tool"], {}, timeout_s=1, output_max=10))
    assert (outcome.code, outcome.why) == (None, "cannot be started: No such file or directory")
    outcome = asyncio.run(run_command(["true", "a\0b"], {}, timeout_s=1, output_max=10))
    assert outcome.why.startswith("cannot be started")


def test_a_signal_is_named() -> None:
    assert ran("import os; os.kill(os.getpid(), 9)").why == "ended by SIGKILL"


def test_when_its_time_is_over_its_children_end_too(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 600 & echo $! > {mark}; wait"]
    outcome = asyncio.run(run_command(command, os.environ, timeout_s=2.0, output_max=100))
    assert outcome.why == "timed out after 2 s"
    pid = int(mark.read_text())
    for _ in range(500):  # init may need a moment to take it away
        if not Path(f"/proc/{pid}/stat").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.01)
    else:
        raise AssertionError("the child still runs")


def test_what_it_leaves_behind_does_not_hold_it() -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)']).pid)"
    outcome = ran(code)
    assert outcome.ok
    os.kill(int(outcome.stdout.text()), 9)

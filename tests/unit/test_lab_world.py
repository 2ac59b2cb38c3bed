"""One world's processes: ready lines, ends, and that nothing is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate.errors import LabError
from tidegate.lab.world import World

READY = "import sys, json; print(json.dumps({'kind': 'ready', 'n': 1}), flush=True)\n"
ECHO = READY + "for line in sys.stdin: print(line.strip(), flush=True)\n"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_child_is_ready_hears_and_answers() -> None:
    with World() as world:
        child, ready = world.start("echo", python(ECHO))
        assert ready == {"kind": "ready", "n": 1}
        child.say({"kind": "hello"})
        assert next(world.hear(10)) == ("echo", {"kind": "hello"})


def test_all_children_end_with_the_world_and_the_folder_goes() -> None:
    with World() as world:
        pids = [world.start(name, python(ECHO))[0].process.pid for name in ("a", "b")]
        folder = world.folder
    assert all(gone(pid) for pid in pids)
    assert not folder.exists()


def test_a_child_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.lab.world._END_S", 0.2)
    deaf = READY + "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    with World() as world:
        pid = world.start("deaf", python(deaf))[0].process.pid
    assert gone(pid)


def test_children_end_when_their_supervisor_is_killed() -> None:
    code = (
        "import os, signal, sys; from tidegate.lab.world import World\n"
        f"world = World(); child, _ = world.start('echo', [sys.executable, '-c', {ECHO!r}])\n"
        "print(child.process.pid, world.folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run(python(code), stdout=subprocess.PIPE, text=True, check=False)
    pid, folder = ended.stdout.split()
    shutil.rmtree(folder)
    assert ended.returncode == -signal.SIGKILL
    while not gone(int(pid)):  # the test's own time limit ends this when it is never so
        time.sleep(0.01)


def test_keep_leaves_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with World(keep=True) as world:
        world.write("spec.json", "{}")
    assert (world.folder / "spec.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit('no such law')", "ended before it was ready: no such law"),
        ("pass", "ended before it was ready: it said nothing"),
        ("print('hello')", "says something that is not JSON: b'hello'"),
        ("print('[]')", "says something that is not JSON"),
        ('print(\'{"kind": "sample"}\')', "did not begin with its ready line"),
    ],
)
def test_a_child_that_does_not_get_ready(code: str, words: str) -> None:
    with World() as world, pytest.raises(LabError, match="child") as caught:
        world.start("child", python(code))
    assert words in str(caught.value)


def test_a_child_that_says_nothing() -> None:
    with World() as world, pytest.raises(LabError, match=r"was not ready within 0\.2 s"):
        world.start("child", python("import sys; sys.stdin.read()"), within_s=0.2)


def test_a_program_that_is_not_there() -> None:
    with World() as world, pytest.raises(LabError, match="child cannot be started: No such file"):
        world.start("child", ["/nowhere/tidegate-lab"])


def test_the_end_of_a_child_is_told_with_its_last_words() -> None:
    with World() as world:
        child, _ = world.start("child", python(READY + "sys.stdin.readline(); sys.exit('out of memory')"))
        child.say({"cmd": "go"})
        assert list(world.hear(10)) == [("child", {"kind": "ended", "why": "out of memory"})]


def test_many_messages_in_one_piece_and_one_in_many() -> None:
    code = READY + (
        "import time; sys.stdin.readline()\n"
        'sys.stdout.write(\'{"kind": "a"}\\n{"kind": "b"}\\n{"ki\'); sys.stdout.flush(); time.sleep(0.05)\n'
        'sys.stdout.write(\'nd": "c"}\\n\'); sys.stdout.flush()\n'
    )
    with World() as world:
        child, _ = world.start("child", python(code))
        child.say({"cmd": "go"})
        assert [message["kind"] for _, message in world.hear(10)] == ["a", "b", "c", "ended"]

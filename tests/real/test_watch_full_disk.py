"""A full disk under a watch's store: said in one sentence, nothing is lost, and it goes on when there is room again.

The disk is a small tmpfs in a mount namespace of its own, so that this file runs itself in there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from live_watches import NOON, a_change, a_notice
from tidegate.errors import Exit, exit_code
from tidegate.watch.live.model import Change
from tidegate.watch.live.store import StoreFull
from tidegate.watch.live.store_sqlite import SqliteStore

_ALONE = ("unshare", "--mount", "--map-root-user")
_BALLAST = 64 << 10


@pytest.mark.peer("unshare", "mount")
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    if subprocess.run([*_ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    command = [*_ALONE, sys.executable, __file__, str(tmp_path)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=50)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["message"].startswith(f"there is no room for the store {tmp_path}/watch.db: ")
    assert told["hint"].startswith("make room there")
    assert told["code"] == Exit.UNREACHABLE
    assert told["kept"] > 3
    assert told["while_full"] == told["kept"], "what was kept is still there, whole"
    assert told["due_while_full"] == told["kept"]
    assert told["after"] == told["kept"] + 1, "the same step was kept when there was room"
    assert told["anew"] == [told["kept"] + 1, told["kept"] + 1]
    assert told["no_room_to_begin"].startswith("there is no room for the store ")


def _world(folder: Path) -> dict[str, object]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * _BALLAST)
    store = SqliteStore(folder / "watch.db", ["am"])
    kept, told = 0, None
    while told is None:
        try:
            store.commit(_step(kept + 1), NOON + kept + 1)
            kept += 1
        except StoreFull as error:
            told = error
    (while_full,) = store.load().positions.values()
    due_while_full = len(store.due("am", NOON + kept, 10_000))
    with (folder / "fill").open("wb", buffering=0) as rest:  # not a byte is left
        try:
            while rest.write(b"x" * 512):
                pass
        except OSError:
            pass
    for _ in range(3):
        try:
            store.commit(_step(kept + 1), NOON + kept + 1)
        except StoreFull:
            continue
        raise AssertionError("there was room")
    no_room = ""
    try:
        SqliteStore(folder / "more" / "watch.db", [])
    except StoreFull as error:
        no_room = error.message
    ballast.unlink()
    (folder / "fill").unlink()
    store.commit(_step(kept + 1), NOON + kept + 1)
    (after,) = store.load().positions.values()
    store.close()
    store = SqliteStore(folder / "watch.db", ["am"])
    (anew,) = store.load().positions.values()
    return {
        "message": told.message,
        "hint": told.hint,
        "code": exit_code(told),
        "kept": kept,
        "while_full": while_full["offset"],
        "due_while_full": due_while_full,
        "after": after["offset"],
        "anew": [anew["offset"], len(store.due("am", NOON + kept + 1, 10_000))],
        "no_room_to_begin": no_room,
    }


def _step(number: int) -> Change:
    return a_change(a_notice(number=number, scope=f"vc{number}"), offset=number)


if __name__ == "__main__":
    print(json.dumps(_world(Path(sys.argv[1]))))

"""The units in packaging/systemd: systemd takes them, and the watch is shut in no less than the gate."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "packaging" / "systemd"
# What a gate needs for its successor and its sources, and a watch does not.
GATES_OWN = {"NotifyAccess", "KillMode", "RuntimeDirectoryPreserve", "RestrictAddressFamilies"}
PLACES = {"ExecStart", "RuntimeDirectory", "StateDirectory"}


def settings(name: str) -> dict[str, str]:
    """Return what stands in a unit, by key."""
    lines = (UNITS / name).read_text().splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def test_a_watch_is_shut_in_no_less_than_a_gate() -> None:
    gate, watch = settings("tidegate-gate@.service"), settings("tidegate-watch.service")
    own = PLACES | GATES_OWN | {"Description"}
    assert {key: watch.get(key) for key in gate.keys() - own} == {key: gate[key] for key in gate.keys() - own}
    families = set(watch["RestrictAddressFamilies"].split())
    assert families < set(gate["RestrictAddressFamilies"].split())


def test_a_watch_keeps_what_it_knows_to_itself() -> None:
    watch = settings("tidegate-watch.service")
    assert (watch["UMask"], watch["StateDirectoryMode"]) == ("0077", "0700")
    text = (UNITS / "tidegate-watch.service").read_text()
    assert f'state = "/var/lib/{watch["StateDirectory"]}/watch.db"' in text
    assert f'admin = "unix:/run/{watch["RuntimeDirectory"]}/admin.sock"' in text


@pytest.mark.peer("systemd-analyze")
def test_systemd_takes_them(tmp_path: Path) -> None:
    """With a program that is there, since systemd looks for it; instances get a name."""
    program = str(shutil.which("true"))
    for unit in UNITS.iterdir():
        name = unit.name.replace("@.", "@vasa.")
        (tmp_path / name).write_text(unit.read_text().replace("/usr/bin/tidegate", program))
    files = sorted(str(path) for path in tmp_path.iterdir())
    command = ["systemd-analyze", "verify", "--man=no", "--generators=no", *files]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    said = [line for line in ran.stderr.splitlines() if str(tmp_path) in line or "tidegate" in line]
    assert (ran.returncode, said) == (0, [])

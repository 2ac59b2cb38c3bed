"""govc, unchanged, through a gate: the same output as straight at the vCenter."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fronts import PASSWORD, USER, Door, Front, front, gated

pytestmark = pytest.mark.peer("govc", "vcsim")

BUILT = Path(__file__).resolve().parents[2] / "target" / "vcsim"
MACHINE = "/DC0/vm/DC0_H0_VM0"
KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Govc:
    """It, with a folder of its own, where it keeps its session between commands."""

    door: Door
    home: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        told = {
            "GOVC_URL": f"https://{self.door.address}/sdk",
            "GOVC_USERNAME": USER,
            "GOVC_PASSWORD": PASSWORD,
            "GOVC_TLS_CA_CERTS": str(self.door.authority.ca),
            "GOVMOMI_HOME": str(self.home),
            "PATH": f"{BUILT}:{os.environ['PATH']}",
        }
        return subprocess.run(
            ["govc", *arguments], env={**os.environ, **told}, capture_output=True, text=True, timeout=50, check=False
        )

    def said(self, *arguments: str) -> str:
        """Run a command that must do well; return its output."""
        ended = self.run(*arguments)
        assert (ended.returncode, ended.stderr) == (0, ""), arguments
        return ended.stdout

    def keys(self) -> set[str]:
        """Return the keys of all sessions that it is shown."""
        return set(KEY.findall(self.said("session.ls")))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Front, Door]]:
    place = tmp_path_factory.mktemp("govc")
    with front(place / "front", inventory={"cluster": 1, "host": 2, "vm": 2}) as vcenter, gated(place, vcenter) as gate:
        yield vcenter, gate


@pytest.fixture
def both(world: tuple[Front, Door], tmp_path: Path) -> tuple[Govc, Govc]:
    """Give one straight at the vCenter, and one through the gate."""
    straight, through = world
    return Govc(straight, tmp_path / "straight"), Govc(through, tmp_path / "through")


@pytest.mark.parametrize(
    "arguments",
    [
        ("about",),
        ("about", "-json"),
        ("ls",),
        ("ls", "-l", "/DC0/vm"),
        ("vm.info", MACHINE),
        ("vm.info", "-json", MACHINE),
        ("host.info",),
        ("events", MACHINE),
        ("events", "-json", MACHINE),
        ("object.collect", MACHINE, "name", "runtime"),
        ("object.collect", "-s", "-type", "m", "/", "name"),
        ("tasks", MACHINE),
        ("snapshot.tree", "-vm", "nothing"),
        ("object.collect", "VirtualMachine:vm-0", "name"),
        ("session.rm", "00000000-0000-0000-0000-000000000000"),
    ],
    ids=" ".join,
)
def test_a_command_says_the_same(both: tuple[Govc, Govc], arguments: tuple[str, ...]) -> None:
    straight, through = (govc.run(*arguments) for govc in both)
    assert straight.stdout + straight.stderr
    assert (through.returncode, through.stdout, through.stderr) == (
        straight.returncode,
        straight.stdout,
        straight.stderr,
    )


def test_it_sees_its_own_session(both: tuple[Govc, Govc]) -> None:
    lines = [KEY.sub("KEY", re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", govc.said("session.ls"))) for govc in both]
    heads = [text.splitlines()[0].split() for text in lines]
    assert heads[0] == heads[1]
    own = [next(line for line in text.splitlines() if "KEY" in line and " . " in line).split() for text in lines]
    assert own[0] == own[1]


@pytest.mark.parametrize("which", [0, 1], ids=["straight", "through"])
def test_a_session_that_it_removes(both: tuple[Govc, Govc], tmp_path: Path, which: int) -> None:
    own = both[which]
    victim = Govc(own.door, tmp_path / "victim")
    before = own.keys()
    victim.said("about")
    assert victim.said("session.ls")
    (key,) = own.keys() - before
    own.said("session.rm", key)
    assert own.keys() == before
    # It logs in again by itself, unasked.
    assert victim.said("about") == own.said("about")
    own.said("session.logout")
    victim.said("session.logout")


def test_it_works(both: tuple[Govc, Govc]) -> None:
    straight, through = both
    through.said("snapshot.create", "-vm", MACHINE, "before")
    assert straight.said("snapshot.tree", "-vm", MACHINE) == through.said("snapshot.tree", "-vm", MACHINE) != ""
    through.said("vm.power", "-off", MACHINE)
    assert straight.said("object.collect", "-s", MACHINE, "runtime.powerState").strip() == "poweredOff"
    assert through.run("vm.power", "-off", MACHINE).returncode == straight.run("vm.power", "-off", MACHINE).returncode
    through.said("vm.power", "-on", MACHINE)
    through.said("snapshot.remove", "-vm", MACHINE, "before")
    assert straight.said("snapshot.tree", "-vm", MACHINE) == ""

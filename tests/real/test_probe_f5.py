"""An F5 by SSH: a real sshd, behind which tmsh is the login shell, or a word of bash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from probing import one_try
from sshd import Sshd, SshSite, site
from tidegate.clients.ssh import Ssh
from tidegate.watch.live.model import Batch
from tidegate.watch.live.probe_f5 import F5ShellProbe

pytestmark = pytest.mark.peer("sshd")

HERE = Path(__file__).parent.parent
SCRIPTS = {"as-host": HERE / "f5" / "as-host", "bin/tmsh": HERE / "f5" / "tmsh"}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[SshSite, Sshd]]:
    with site(tmp_path / "site", 0) as running:
        folder = tmp_path / "f5"
        folder.mkdir()
        device = Sshd(folder, running.public, SCRIPTS)
        device.write("members", (HERE / "data" / "f5-members.txt").read_text())
        with device:
            yield running, device


def asked(made: tuple[SshSite, Sshd], known: str = "") -> Batch:
    """Ask once, trusting the device's host key or the one that is ``known``."""
    running, device = made
    options = running.options()
    (running.folder / "known_hosts").write_text(known or device.known)
    return one_try(F5ShellProbe(Ssh(options), device.address), "ports.share", 0.9)


@pytest.mark.parametrize("shell", ["tmsh", "bash"])
def test_members_are_told_whatever_the_login_shell_is(made: tuple[SshSite, Sshd], shell: str) -> None:
    made[1].write(shell, "")
    batch = asked(made)
    assert not batch.gaps
    (hit,) = batch.hits
    assert hit.values["scope"] == "lab: f5 → 192.0.2.1:8080"
    assert "60 001 of 64 512 source ports" in hit.record


def test_what_tmsh_refuses_is_a_gap(made: tuple[SshSite, Sshd]) -> None:
    (made[1].folder / "members").unlink()
    batch = asked(made)
    assert not batch.hits
    assert "tmsh says" in batch.gaps[0].detail


def test_another_host_key_is_a_gap(made: tuple[SshSite, Sshd]) -> None:
    known = made[1].known
    made[1].new_key()
    batch = asked(made, known)
    assert not batch.hits
    assert batch.gaps

"""ESXi hosts to restart: OpenSSH's sshd on loopback, a port and a host key per host, a folder per host as its world.

sshd runs as from inetd: a thread accepts on a port that the system has chosen and hands every connection to an sshd of
its own, so nothing is waited for and a host is powered off by closing its listener. Its ForceCommand maps the paths of
an ESXi host into the folder, where ``/etc/init.d/vvold``, ``esxcli``, ``ps`` and ``date`` (see ``esxi``) behave, and
misbehave by what the file ``mode`` says. The host's clock is the file ``clock``: a test turns it, nobody sleeps.

Where its world has a file ``provider`` (``register``), a started vvold really reconnects to that address, and tries
again at every look while it has failed to; its log says what really happened. Without the file it says so anyway.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import NAMESPACE_DNS, uuid5

import asyncssh

from tidegate.clients.ssh import SshOptions

__all__ = ["NOON", "SshAppliance", "SshHost", "SshSite", "Sshd", "site"]

NOON = 1_754_650_800
"""What every host's clock says at first: 2025-08-08T11:00:00Z."""

_HERE = Path(__file__).parent
_CONFIG = """HostKey {world}/host_key
AuthorizedKeysFile {world}/authorized_keys
ForceCommand {world}/as-host
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
PidFile none
PrintMotd no
LogLevel ERROR
"""


class Sshd:
    """One machine behind an sshd; as a context manager it is switched on.

    Parameters
    ----------
    scripts
        Files of its world, by the script of this folder that each is a copy of.
    """

    def __init__(self, folder: Path, client_key: str, scripts: Mapping[str, Path]) -> None:
        self.folder = folder
        self._sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        for place, script in scripts.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(script, folder / place)
            (folder / place).chmod(0o755)
        self.new_key()
        self.write("authorized_keys", client_key)
        self.write("sshd_config", _CONFIG.format(world=folder))
        self.write("mode", "fine")
        self.write("proc/sys/kernel/random/boot_id", f"boot-1-{folder.name}")

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """What a plan's inventory names."""
        return f"127.0.0.1:{self.port}"

    @property
    def known(self) -> str:
        """Its line for known_hosts."""
        return f"[127.0.0.1]:{self.port} {(self.folder / 'host_key.pub').read_text()}"

    def new_key(self) -> None:
        """Give it another host key."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        (self.folder / "host_key").unlink(missing_ok=True)
        key.write_private_key(str(self.folder / "host_key"))
        key.write_public_key(str(self.folder / "host_key.pub"))
        (self.folder / "host_key").chmod(0o600)

    def write(self, name: str, text: str) -> None:
        """Write a file of its world."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        """Read a file of its world; empty when there is none."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def __enter__(self) -> Self:
        # A port of the system's choice; it stays the same when the host is switched off and on.
        port = 0 if not (self.folder / "port").exists() else int(self.read("port"))
        self._listener = socket.create_server(("127.0.0.1", port))
        self.write("port", str(self.port))
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._listener is not None
        assert self._thread is not None
        # close() alone does not wake a thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.cut()
        for line in self.read("hung").splitlines():
            with suppress(ProcessLookupError):
                os.kill(int(line), signal.SIGKILL)

    def cut(self) -> None:
        """Break every connection."""
        for child in self._children:
            # The whole session: sshd forks a child per connection, which would keep it.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        self._children.clear()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, (self.folder / "sshd.log").open("ab") as log:
                command = [self._sshd, "-i", "-e", "-f", str(self.folder / "sshd_config")]
                self._children.append(
                    subprocess.Popen(
                        command,
                        stdin=connection.fileno(),
                        stdout=connection.fileno(),
                        stderr=log,
                        start_new_session=True,
                    )
                )


class SshHost(Sshd):
    """An ESXi host."""

    def __init__(self, folder: Path, client_key: str) -> None:
        places = ("as-host", "bin/date", "bin/esxcli", "bin/ps", "etc/init.d/vvold")
        super().__init__(folder, client_key, {place: _HERE / "esxi" / Path(place).name for place in places})
        self.write("clock", str(NOON))
        self.write("booted", str(NOON - 86400))
        self.write("uuid", f"{uuid5(NAMESPACE_DNS, str(folder))}\n")
        self.write("starts", "start\n")
        self.write("process", "2255518\n")
        self.write("var/run/vmware/vvold.pid", "2255518\n")
        os.utime(folder / "var/run/vmware/vvold.pid", (NOON - 3600, NOON - 3600))
        self.write("var/run/log/vvold.log", "")
        command = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tidegate.lab.vasa_host "$@"\n'
        self.write("bin/reconnect", command)
        (folder / "bin/reconnect").chmod(0o755)

    def register(self, provider: str, number: int) -> None:
        """Have its vvold reconnect to the provider at ``provider``, as host ``number``."""
        self.write("provider", f"{provider} {number}\n")

    @property
    def reconnects(self) -> list[str]:
        """What came of its attempts to reconnect, in order, the first word of each."""
        return [line.split()[0] for line in self.read("reconnects").splitlines()]

    @property
    def sessions(self) -> list[str]:
        """The sessions that its provider gave it, in order."""
        lines = [line.split() for line in self.read("reconnects").splitlines()]
        return [words[1] for words in lines if words[0] == "connected"]

    @property
    def restarts(self) -> int:
        """How often vvold was started since the host was made, as the host itself counts."""
        return len(self.read("starts").splitlines()) - 1

    @property
    def runs(self) -> bool:
        """Whether vvold runs."""
        return (self.folder / "process").exists()

    def turn_clock(self, seconds: int) -> None:
        """Let time pass on this host."""
        self.write("clock", str(int(self.read("clock")) + seconds))

    def reboot(self) -> None:
        """Another boot; vvold comes up with it."""
        self.write("proc/sys/kernel/random/boot_id", f"boot-2-{self.folder.name}")
        self.write("booted", self.read("clock"))


class SshAppliance(Sshd):
    """A vCenter appliance."""

    def __init__(self, folder: Path, client_key: str) -> None:
        places = ("as-host", "bin/service-control", "bin/pgrep", "bin/ps")
        super().__init__(folder, client_key, {place: _HERE / "vcsa" / Path(place).name for place in places})
        self.write("last", "4711\n")
        for number, name in enumerate(("vmware-vpxd", "vmware-envoy-hgw", "vmware-sps", "vmdird")):
            self.write(f"services/{name}", f"{4700 + number}\n")

    @property
    def restarts(self) -> list[str]:
        """What was restarted, in order, as the appliance itself counts."""
        return self.read("restarts").split()


class SshSite:
    """Hosts that are switched on, the key that they let in, and what a client must know of them."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.appliance: SshAppliance | None = None
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.identity = folder / "id_ed25519"
        key.write_private_key(str(self.identity))
        self.identity.chmod(0o600)
        self.public = key.export_public_key().decode()
        self.hosts = [SshHost(folder / f"esx-{number:02}", self.public) for number in range(count)]

    def known_hosts(self) -> Path:
        """Write down every host's key as it is now."""
        path = self.folder / "known_hosts"
        machines: list[Sshd] = [*self.hosts, *([] if self.appliance is None else [self.appliance])]
        path.write_text("".join(machine.known for machine in machines))
        return path

    def options(self, **more: object) -> SshOptions:
        """Return how a client reaches them."""
        how = {
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "identity": self.identity,
            "known_hosts": self.known_hosts(),
            "connect_s": 30.0,
        }
        return SshOptions(**{**how, **more})  # type: ignore[arg-type]


@contextmanager
def site(folder: Path, count: int, *, appliance: bool = False) -> Iterator[SshSite]:
    """Switch on ``count`` hosts, and an appliance where one is wanted."""
    if os.geteuid() == 0:
        # What a service manager makes for Debian's sshd.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    made = SshSite(folder, count)
    with ExitStack() as on:
        for host in made.hosts:
            on.enter_context(host)
        if appliance:
            made.appliance = on.enter_context(SshAppliance(folder / "vc", made.public))
        yield made

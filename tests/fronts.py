"""The lab's vCenter as tests start it, and scripts that talk to it by pyVmomi, straight or through a gate."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fakes import Authority
from gates import gate_process
from tidegate.clients.vmomi import SoapStubAdapter, vim, vmodl
from tidegate.lab.world import World

__all__ = ["OTHER", "PASSWORD", "USER", "Door", "Front", "Script", "changed", "front", "gated"]

USER, OTHER, PASSWORD = "operator", "backup", "correct horse"
_VERSION = "vim.version.version11"


class Script:
    """A script with a session of its own; ``like`` another: with its cookie, as scripts share one."""

    def __init__(self, address: str, ca: Path, *, user: str = USER, like: Script | None = None) -> None:
        host, _, port = address.rpartition(":")
        context = ssl.create_default_context(cafile=str(ca))
        self.stub = SoapStubAdapter(host, int(port), sslContext=context, version=_VERSION)
        self.instance = vim.ServiceInstance("ServiceInstance", self.stub)
        try:
            if like is not None:
                self.stub.cookie = like.stub.cookie
            self.content = self.instance.RetrieveContent()
            if like is None:
                self.content.sessionManager.Login(user, PASSWORD, None)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close its connections; its session stays."""
        self.stub.DropConnections()

    def of(self, thing: Any) -> Any:
        """Return another script's object as this one's: the same reference."""
        return type(thing)(thing._moId, self.stub)

    @property
    def collector(self) -> Any:
        """The default property collector."""
        return self.content.propertyCollector

    @property
    def session(self) -> Any:
        """Its ``currentSession``."""
        return self.content.sessionManager.currentSession

    def all(self, kind: Any) -> list[Any]:
        """Return everything of a kind, sorted by name."""
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [kind], True)
        found = sorted(view.view, key=lambda one: str(one.name))
        view.DestroyView()
        return found

    def watch(self, thing: Any, *paths: str) -> Any:
        """Create a filter for properties of one object on the default collector."""
        return self.collector.CreateFilter(self.spec([thing], paths), partialUpdates=False)

    def spec(self, things: list[Any], paths: tuple[str, ...] = ("name",)) -> Any:
        """Return what is to be retrieved of objects of one kind."""
        query = vmodl.query.PropertyCollector
        return query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=thing) for thing in things],
            propSet=[query.PropertySpec(type=type(things[0]), pathSet=list(paths))],
        )

    def page(self, things: list[Any], size: int) -> Any:
        """Retrieve names in pages; return the first."""
        options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=size)
        return self.collector.RetrievePropertiesEx([self.spec(things)], options)

    def seen(self, version: str = "", *, wait_s: int = 0) -> set[str]:
        """Wait for updates on the default collector; return the ids that came."""
        return changed(self.collector.WaitForUpdatesEx(version, _wait(wait_s)))


def _wait(seconds: int) -> Any:
    return vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=seconds)


def changed(update: Any) -> set[str]:
    """Return the ids of the objects in an update."""
    sets = update.filterSet if update else []
    return {one.obj._moId for part in sets for one in part.objectSet}


@dataclass(frozen=True)
class Door:
    """Where scripts come in: a vCenter, or a gate before one. It closes their connections at its end."""

    address: str
    authority: Authority
    scripts: list[Script] = field(default_factory=list)

    def script(self, user: str = USER, *, like: Script | None = None) -> Script:
        """Start a script; ``like`` another: with that one's cookie."""
        made = Script(self.address, self.authority.ca, user=user, like=like)
        self.scripts.append(made)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for script in self.scripts:
            script.close()


@dataclass(frozen=True)
class Front(Door):
    """One that runs."""

    def counters(self) -> dict[str, Any]:
        """Return what it has counted."""
        return dict(self.ask("counters"))

    def control(self, **wish: Any) -> Any:
        """Ask it for a fault."""
        return self.ask("control", json.dumps(wish))

    def ask(self, what: str, body: str | None = None) -> Any:
        """Ask the lab's own interface."""
        status, said = self.http("POST" if body else "GET", f"/lab/{what}", body)
        assert status == 200, said
        return json.loads(said)

    def http(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Ask once; return the status and the body of the answer."""
        host, _, port = self.address.rpartition(":")
        asked = http.client.HTTPSConnection(host, int(port), context=self.context(), timeout=30)
        with contextlib.closing(asked):
            asked.request(method, path, body.encode() if body else None, headers or {})
            answer = asked.getresponse()
            return answer.status, answer.read().decode()

    def soap(self, path: str, body: str) -> tuple[int, str]:
        """Send a body of SOAP without a cookie."""
        return self.http("POST", path, body, {"Content-Type": "text/xml", "SOAPAction": "urn:vim25/6.5"})

    def raw(self, data: bytes) -> bytes:
        """Send bytes; return all that comes until it closes."""
        host, _, port = self.address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), 30) as plain,
            self.context().wrap_socket(plain, server_hostname=host) as tls,
        ):
            tls.sendall(data)
            said = b""
            while piece := tls.recv(65536):
                said += piece
            return said

    def context(self) -> ssl.SSLContext:
        """Return what trusts it."""
        return ssl.create_default_context(cafile=str(self.authority.ca))


@contextlib.contextmanager
def front(place: Path, *, authority: Authority | None = None, **spec: Any) -> Iterator[Front]:
    """Start one that is like ``spec``, with a certificate of an authority; of one in ``place``, as a rule."""
    place.mkdir(exist_ok=True)
    authority = authority or Authority(place)
    certificate, key = authority.issue("127.0.0.1")
    told = {"certificate": str(certificate), "key": str(key), "users": f"{USER},{OTHER}", "task_s": 0.0, **spec}
    with World() as world:
        command = [sys.executable, "-m", "tidegate.lab.vcenter_front", json.dumps(told)]
        _, ready = world.start("vcenter", command, within_s=30)
        with Front(str(ready["address"]), authority) as one:
            yield one


def gate_text(folder: Path, behind: Front, more: str = "", *, plain: str = "") -> str:
    """Return a file for a gate before it, with a certificate of its authority; ``more`` goes to ``vcenter``.

    ``plain``: sessions pass as they are, because the broker is ``off``, or the gate is to ``observe``.
    """
    certificate, key = behind.authority.issue("127.0.0.1")
    mode, broker = "observe" if plain == "observe" else "enforce", "off" if plain == "off" else "on"
    return f"""\
[gate]
admin = "unix:{folder}/admin.sock"
seed = 1

[service.vc]
listen = "127.0.0.1:0"
protocol = "vcenter"
mode = "{mode}"
tls = {{kind = "terminate", certificate = "{certificate}", key = "{key}"}}

[service.vc.vcenter]
broker = "{broker}"
{more}

[service.vc.server.a]
address = "{behind.address}"
tls = {{ca = "{behind.authority.ca}"}}
"""


@contextlib.contextmanager
def gated(folder: Path, behind: Front, more: str = "", *, plain: str = "") -> Iterator[Door]:
    """Run a gate before it; give its door."""
    with (
        gate_process(gate_text(folder, behind, more, plain=plain), folder) as gate,
        Door(gate.address, behind.authority) as door,
    ):
        yield door

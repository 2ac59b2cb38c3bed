"""A vCenter to talk to: vcsim (see ``vcsim``) with a certificate of a test's own authority, and its ``/control``."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fakes import Authority
from tidegate.clients.http import Request
from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.clients.vcenter_session import VcenterOptions
from tidegate.clients.vmomi import id_of, vim

__all__ = ["PASSWORD_ENV", "Vcsim", "known", "tag", "vcsim"]

PASSWORD_ENV = "VCSIM_PASSWORD"
PASSWORD = "correct horse"
_TAGGING = "/rest/com/vmware/cis/tagging"
_BUILT = Path(__file__).resolve().parent.parent / "target" / "vcsim"


class Vcsim:
    """One that runs."""

    def __init__(self, authority: Authority, process: subprocess.Popen[str], port: int) -> None:
        self.authority, self.process, self.port = authority, process, port
        self._context = ssl.create_default_context(cafile=str(authority.ca))

    def options(self, **more: Any) -> VcenterOptions:
        """Return how a client reaches it."""
        how: dict[str, Any] = {
            "address": "127.0.0.1",
            "port": self.port,
            "user": "operator",
            "password_env": PASSWORD_ENV,
            "ca": self.authority.ca,
        }
        return VcenterOptions(**{**how, **more})

    def control(self, what: str, **query: object) -> Any:
        """Change what it shows."""
        url = f"https://127.0.0.1:{self.port}/control/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30, context=self._context) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """End it, as a crash would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def vcsim(place: Path, patch: pytest.MonkeyPatch, **counts: int) -> Iterator[Vcsim]:
    """Start one with so many clusters, hosts, machines, datastores and folders; its password is in the environment."""
    patch.setenv(PASSWORD_ENV, PASSWORD)
    place.mkdir(exist_ok=True)
    authority = Authority(place)
    certificate, key = authority.issue("127.0.0.1")
    program = shutil.which("vcsim", path=f"{_BUILT}:{os.environ.get('PATH', '')}")
    assert program is not None
    command = [program, "-tlscert", str(certificate), "-tlskey", str(key)]
    for name, count in counts.items():
        command += [f"-{name.replace('_', '-')}", str(count)]
    with (place / "vcsim.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (place / "vcsim.log").read_text()
            yield Vcsim(authority, process, int(json.loads(line)["ready"].rpartition(":")[2]))
        finally:
            process.kill()


def tag(running: Vcsim, category: str, name: str, *things: tuple[str, str]) -> None:
    """Make a tag and put it on things, by the simulator's own interface."""

    async def make() -> None:
        rest = VcenterRest(running.options())
        spec = {"name": category, "description": "", "cardinality": "MULTIPLE", "associable_types": []}
        made = await rest.wanted(Request("POST", f"{_TAGGING}/category", body={"create_spec": spec}))
        spec = {"name": name, "description": "", "category_id": made["value"]}
        made = await rest.wanted(Request("POST", f"{_TAGGING}/tag", body={"create_spec": spec}))
        for kind, key in things:
            path = f"{_TAGGING}/tag-association/id:{made['value']}"
            body = {"object_id": {"type": kind, "id": key}}
            await rest.call(Request("POST", path, query={"~action": "attach"}, body=body))
        await rest.close()

    asyncio.run(make())


def known(running: Vcsim) -> tuple[list[str], dict[str, str]]:
    """Return the hosts' ids, and the datastores' ids by name."""

    def read(_: Any, content: Any) -> dict[str, str]:
        return {seen["name"]: id_of(thing) for thing, seen in read_all(content, vim.Datastore, ("name",), 100)}

    async def both() -> tuple[list[str], dict[str, str]]:
        vcenter = Vcenter(running.options())
        try:
            return [host.moid for host in await vcenter.hosts()], await vcenter.session.call(read)
        finally:
            await vcenter.close()

    return asyncio.run(both())

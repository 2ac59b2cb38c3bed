"""Real clients at the lab's vCenter, straight and through a gate: pyVmomi's own SmartConnect, the VCF SDK, and curl."""

from __future__ import annotations

import importlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fronts import PASSWORD, USER, Door, Front, changed, front, gated
from tidegate.clients.vmomi import vim, vmodl

pytestmark = pytest.mark.peer("vcsim")

LOGIN = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><Login xmlns="urn:vim25">\
<_this type="SessionManager">SessionManager</_this><userName>{user}</userName><password>{password}</password>\
</Login></e:Body></e:Envelope>"""
TIME = """\
<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><CurrentTime xmlns="urn:vim25">\
<_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></e:Body></e:Envelope>"""


@pytest.fixture(scope="module", params=["straight", "gate", "off", "observe"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Front, Door]]:
    place = tmp_path_factory.mktemp("clients")
    with front(place / "front", inventory={"cluster": 0, "standalone-host": 1, "vm": 2}) as vcenter:
        if request.param == "straight":
            yield vcenter, vcenter
        else:
            with gated(place, vcenter, plain="" if request.param == "gate" else request.param) as gate:
                yield vcenter, gate


def curl(door: Door, path: str, *arguments: str) -> tuple[int, str]:
    """Ask; return the status and the answer."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", str(door.authority.ca)]
    command += ["--write-out", "\n%{http_code}", f"https://{door.address}{path}", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    said, _, status = ended.stdout.rpartition("\n")
    return int(status), said


@pytest.mark.peer("curl")
def test_curl_keeps_the_cookie(world: tuple[Front, Door], tmp_path: Path) -> None:
    _, door = world
    jar = (
        "--cookie",
        str(tmp_path / "jar"),
        "--cookie-jar",
        str(tmp_path / "jar"),
        "--header",
        "Content-Type: text/xml",
    )
    status, said = curl(door, "/sdk", *jar, "--data", LOGIN.format(user=USER, password="wrong"))
    assert (status, "InvalidLoginFault" in said) == (500, True)
    assert curl(door, "/sdk", *jar, "--data", TIME)[0] == 500  # that login's cookie is nobody's
    status, said = curl(door, "/sdk", *jar, "--data", LOGIN.format(user=USER, password=PASSWORD))
    assert (status, "<userName>operator</userName>" in said) == (200, True)
    assert curl(door, "/sdk", *jar, "--data", TIME)[0] == 200
    (tmp_path / "jar").write_text((tmp_path / "jar").read_text()[:-20])
    status, said = curl(door, "/sdk", *jar, "--data", TIME)
    assert (status, "The session is not authenticated." in said) == (500, True)


@pytest.mark.peer("curl")
def test_curl_has_a_session_of_rest(world: tuple[Front, Door]) -> None:
    _, door = world
    status, said = curl(door, "/api/session", "--request", "POST", "--user", f"{USER}:{PASSWORD}")
    assert status == 201
    token = ("--header", f"vmware-api-session-id: {json.loads(said)}")
    assert curl(door, "/api/cis/tagging/category", *token) == (200, "[]")
    assert curl(door, "/api/session", *token, "--request", "DELETE")[0] in (200, 204)
    assert curl(door, "/api/cis/tagging/category", *token)[0] == 401
    status, said = curl(door, "/rest/com/vmware/cis/session", "--request", "POST", "--user", f"{USER}:{PASSWORD}")
    assert (status, set(json.loads(said))) == (200, {"value"})
    assert curl(door, "/api/session", "--request", "POST", "--user", f"{USER}:wrong")[0] == 401


def test_smart_connect_and_disconnect(world: tuple[Front, Door]) -> None:
    pyvim = importlib.import_module("pyVim.connect")
    vcenter, door = world
    host, _, port = door.address.rpartition(":")
    trust = vcenter.context()
    instance = pyvim.SmartConnect(host=host, port=int(port), user=USER, pwd=PASSWORD, sslContext=trust)
    assert instance.content.sessionManager.currentSession.userName == USER
    pyvim.Disconnect(instance)
    assert instance.content.sessionManager.currentSession is None
    instance._stub.DropConnections()


def test_updates_come_and_a_wait_ends(world: tuple[Front, Door]) -> None:
    _, door = world
    script = door.script()
    machine = script.all(vim.VirtualMachine)[0]
    script.watch(machine, "name")
    first = script.collector.WaitForUpdatesEx("", None)
    assert changed(first) == {machine._moId}
    assert script.seen(first.version, wait_s=1) == set()


def test_hundreds_of_objects_are_named_in_one_call(world: tuple[Front, Door]) -> None:
    vcenter, door = world
    script = door.script()
    clones = vcenter.counters()["clones"]
    names = {machine._moId: machine.name for machine in script.all(vim.VirtualMachine)}
    asked = [script.spec([machine for machine in script.all(vim.VirtualMachine) for _ in range(400)])]
    found = script.collector.RetrievePropertiesEx(asked, vmodl.query.PropertyCollector.RetrieveOptions()).objects
    assert {one.obj._moId: one.propSet[0].val for one in found} == names
    assert vcenter.counters()["clones"] == clones


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own, at import
def test_the_vcf_sdk(world: tuple[Front, Door]) -> None:
    sdk = importlib.import_module("vmware.vapi.vsphere.client")
    unauthenticated = importlib.import_module("com.vmware.vapi.std.errors_client").Unauthenticated
    _, door = world
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(door.authority.ca)
        with pytest.raises(unauthenticated):
            sdk.create_vsphere_client(door.address, USER, "wrong", session=session)
        client = sdk.create_vsphere_client(door.address, USER, PASSWORD, session=session)
        assert client.session_svc.get().user == USER
        assert client.tagging.Category.list() == []
        client.session_svc.delete()
        with pytest.raises(unauthenticated):
            client.tagging.Category.list()

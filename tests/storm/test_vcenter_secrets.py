"""What a gate knows of a vCenter's clients stays in it: planted secrets are looked for wherever it writes."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fronts import USER, front, gate_text
from gates import gate_process
from wires import Wire, call, login, post

pytestmark = [pytest.mark.storm, pytest.mark.peer("vcsim")]

PASSWORD, WRONG = "c4nary-of-the-right-one", "c4nary-of-a-wrong-one"
TOKEN = re.compile(rb"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")


def basic(password: str) -> str:
    """Return what says user and password in a head."""
    return base64.b64encode(f"{USER}:{password}".encode()).decode()


def kept_shut(process: int) -> bool:
    """Say whether no core of it is written, and its memory belongs to root whoever started it."""
    limits = Path(f"/proc/{process}/limits").read_text()
    return bool(re.search(r"Max core file size +0 +0 ", limits)) and Path(f"/proc/{process}/mem").stat().st_uid == 0


def test_no_secret_leaves_the_gate(tmp_path: Path) -> None:
    inventory = {"cluster": 0, "standalone-host": 1, "vm": 2}
    with front(tmp_path / "front", inventory=inventory, password=PASSWORD) as vcenter:
        text = gate_text(tmp_path, vcenter).replace("[gate]\n", f'[gate]\nstate = "{tmp_path}/state"\n')
        with gate_process(text, tmp_path) as gate:
            trace, sessions = tmp_path / "calls.trace", set[str]()
            command = [sys.executable, "-m", "tidegate", "gate", "record", str(trace), "--for", "2s"]
            command += ["--admin", str(gate.admin.path)]
            with (
                subprocess.Popen(command, stdout=subprocess.PIPE) as recorder,
                Wire(gate.address, vcenter.authority.ca) as wire,
            ):
                while not trace.with_name("calls.trace.part").exists():
                    time.sleep(0.01)
                for password in (PASSWORD, WRONG):
                    sessions.add(wire.says(post(login(USER, password))).token)
                    rest = post(b"", f"Authorization: Basic {basic(password)}", path="/api/session")
                    sessions.update(re.findall('^"(.*)"$', wire.says(rest).body))
                sessions.discard("")
                session = min(sessions)
                cookie = f'Cookie: vmware_soap_session="{session}"'
                folder = call("Fetch", "group-d1", "<prop>name</prop>", kind="Folder")
                clone = call("CreateCollectorForEvents", "EventManager", "<filter/>")
                for body in (folder, clone, call("Fetch", "SessionManager", "<prop>sessionList</prop>")):
                    assert wire.says(post(body, cookie)).status == 200
                vcenter.control(kill="*")
                wire.says(post(folder, cookie))
                wire.says(post(folder, f'Cookie: vmware_soap_session="{WRONG}"', "vmware-api-session-id: " + WRONG))
                wire.says(post(b"", cookie, path=f"/ui/{'x' * 20}"))
                told = [json.dumps(ask()) for ask in (gate.admin.status, gate.admin.sessions, gate.admin.explain)]
                told.append(gate.admin.get("/metrics")[1])
                with suppress(ConnectionError):
                    wire.says(post(login(USER, WRONG).replace(b"</e:Body>", b"")))
                assert kept_shut(gate.process.pid)
                recorder.wait()
        written = [tmp_path / "gate.log", tmp_path / "state", trace]
        places = [text.encode() for text in told] + [file.read_bytes() for file in written]
        assert len(sessions) == 2
        for place in places:
            assert place
            assert not TOKEN.search(place), TOKEN.search(place)
            for secret in (PASSWORD, WRONG, basic(PASSWORD), basic(WRONG), *sessions):
                assert secret.encode() not in place

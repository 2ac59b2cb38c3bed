"""Two source addresses, and a device on the way that refuses one of them: the server is not blamed.

The world is in a network namespace of its own: this file runs itself in it.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fakes import web_server
from gates import gate_process, http_config
from peers import PLACES

pytestmark = pytest.mark.storm

_CALLS = 40
_PORTS = """\
[gate.ports]
sources = ["127.0.0.2", "127.0.0.3"]

[service.web.monitor]
kind = "tcp"
interval = "20ms"
fall = 2
"""


@pytest.mark.peer("nft", "ip", "unshare")
def test_a_device_that_refuses_one_source_takes_no_server_down(tmp_path: Path) -> None:
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    command = [*alone, sys.executable, __file__, str(tmp_path)]
    here = [str(Path(__file__).parents[up] / name) for up, name in ((1, ""), (2, "scripts"))]
    path = {"PYTHONPATH": ":".join(here), "PATH": f"{os.environ.get('PATH', '')}:{PLACES}"}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=path, timeout=50)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["statuses"] == [200] * _CALLS
    assert "down" not in told["phases"]
    refused, used = (told["buckets"][source] for source in ("127.0.0.2", "127.0.0.3"))
    assert refused["quarantined"] > 0, "it was tried, and its ports rest"
    assert used["leased_total"]["traffic"] > 0
    assert told["monitor"]["phase"] in {"up", "degraded"}


def _world(folder: Path) -> dict[str, object]:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with web_server({"/": "hello"}) as address:
        port = address.rpartition(":")[2]
        rule = f"ip saddr 127.0.0.2 tcp dport {port} tcp flags & (syn|ack) == syn reject with tcp reset"
        box = f"table ip box {{\nchain in {{\ntype filter hook input priority 0;\n{rule}\n}}\n}}\n"
        subprocess.run(["nft", "-f", "-"], input=box, text=True, check=True)
        with gate_process(http_config(folder, address) + _PORTS, folder) as gate:
            host, _, number = gate.address.partition(":")
            statuses, phases, server = [], set(), {}
            for _ in range(_CALLS):
                with closing(http.client.HTTPConnection(host, int(number), timeout=20)) as client:
                    client.request("GET", "/")
                    statuses.append(client.getresponse().status)
                server = gate.admin.status()["services"][0]["servers"][0]
                phases.add(server["phase"])
            buckets = {bucket["source"]: bucket for bucket in gate.admin.ports()["buckets"]}
    return {"statuses": statuses, "phases": sorted(phases), "monitor": server["monitor"], "buckets": buckets}


if __name__ == "__main__":
    print(json.dumps(_world(Path(sys.argv[1]))))

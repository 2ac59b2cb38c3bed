"""``tidegate demo ports`` with real processes: HAProxy blames healthy servers, the gate does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.config.model import GateTable, Service
from tidegate.lab.ports_play import PortsDemo, play_ports
from tidegate.lab.ports_trial import Moment

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
READY = "ports" in GateTable.model_fields and "monitor" in Service.model_fields


@pytest.mark.peer("haproxy")
def test_haproxy_takes_healthy_servers_out() -> None:
    moments: list[Moment] = []
    result = play_ports(PortsDemo(hold_s=3.0), "haproxy", moments.append)
    assert result.outcome.false_down >= 1
    assert result.outcome.sent == result.outcome.fine + result.outcome.failed
    assert result.backend_connections <= 40
    assert [moment.t for moment in moments] == sorted(moment.t for moment in moments)


@pytest.mark.skipif(not READY, reason="the gate has no ledger of ports and no monitors yet")
def test_the_demo_keeps_its_promise() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "tidegate", "demo", "ports", "--output", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110, check=False)
    assert ran.returncode == 0, ran.stderr
    value = json.loads(ran.stdout)
    assert value["tidegate_false_down"] == 0
    assert value["requests"] == value["answered"] + value["failed_requests"]
    assert value["detect_down_s"] is not None
    assert value["backend_connections"] <= 40

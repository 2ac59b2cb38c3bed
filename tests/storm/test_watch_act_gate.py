"""What a watch tells a gate, against a real gate: recovering, maintenance and its end, and who is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gates import RunningGate, gate_process, http_config
from tidegate.watch.live.act_gate import tell_gate
from tidegate.watch.live.acts import Act, Matter, Order, Told, What


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[RunningGate]:
    with gate_process(http_config(tmp_path, "127.0.0.1:9"), tmp_path) as running:
        yield running


def tell(gate: Path, what: What, service: str = "web") -> tuple[Told, str]:
    act = Act("a", "r", "recovering", ("probe.a",), gate=str(gate), service=service)
    matter = Matter("0123456789ab", act, "telling", "e", (), (), 6, 0, 0, 0)
    return asyncio.run(tell_gate(Order(what, matter)))


def service_of(gate: RunningGate) -> dict[str, Any]:
    service: dict[str, Any] = gate.admin.status()["services"][0]
    return service


@pytest.mark.parametrize("service", ["web", ""])
def test_maintenance_begins_and_ends(gate: RunningGate, service: str) -> None:
    assert tell(gate.admin.path, "maintenance_on", service) == ("done", "the gate is in maintenance")
    assert service_of(gate)["switches"]["maintenance"]
    assert tell(gate.admin.path, "maintenance_off", service)[0] == "done"
    assert not service_of(gate)["switches"]["maintenance"]
    assert tell(gate.admin.path, "maintenance_off", service)[0] == "done"  # as after a crash


def test_recovering_is_a_restart_that_is_over_at_once(gate: RunningGate) -> None:
    """What the gate makes of that is played in tidegate-core: `tests/recovery.rs`."""
    with gate.admin.record(60.0) as recording:
        assert tell(gate.admin.path, "recovering") == ("done", "the gate takes its servers for begun anew")
        recording.enough()
        trace = b"".join(recording)
    assert re.findall(rb'"Maintenance":\s*(true|false)', trace) == [b"true", b"false"]
    assert not service_of(gate)["switches"]["maintenance"]


@pytest.mark.parametrize("what", ["maintenance_on", "recovering"])
def test_a_gate_in_maintenance_is_left_alone(gate: RunningGate, what: What) -> None:
    gate.admin.switch("maintenance", on=True)
    assert tell(gate.admin.path, what) == ("refused", "somebody has web in maintenance already")
    assert service_of(gate)["switches"]["maintenance"]


def test_a_service_that_is_not_there(gate: RunningGate) -> None:
    assert tell(gate.admin.path, "maintenance_on", "vasa") == (
        "refused",
        'the gate has no service "vasa": it has web',
    )
    assert tell(gate.admin.path, "maintenance_off", "vasa")[0] == "done"


def test_no_gate_is_not_told_and_must_still_hear_the_end(tmp_path: Path) -> None:
    assert tell(tmp_path / "nobody.sock", "maintenance_on")[0] == "refused"
    assert tell(tmp_path / "nobody.sock", "maintenance_off")[0] == "unsure"


def test_what_is_no_gate_is_told_nothing(tmp_path: Path) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "other.sock"))
        listener.listen()

        async def other(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
            await writer.drain()
            writer.close()

        async def run() -> tuple[Told, str]:
            act = Act("a", "r", "maintenance", ("probe.a",), gate=str(tmp_path / "other.sock"))
            matter = Matter("0123456789ab", act, "telling", "e", (), (), 6, 0, 0, 0)
            async with await asyncio.start_unix_server(other, sock=listener):
                return await tell_gate(Order("maintenance_on", matter))

        assert asyncio.run(run()) == ("refused", "what answers there is not a gate")

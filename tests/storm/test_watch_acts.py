"""A watch that may act, whole: a forged log does nothing, a probe of a real gate agrees, a person approves."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from commands import Run, commanding
from gates import RunningGate, gate_process, http_config
from tidegate.errors import Exit, UsageError
from watches import RunningWatch, failures, until, watch_file, watch_process

pytestmark = pytest.mark.storm

ROOT = Path(__file__).resolve().parents[2]
RULE = "vcenter.hgw.nfc-not-authenticated"
HELD = 4


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return commanding(capsys)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[RunningGate]:
    """Yield a gate before a server that takes one call and never answers."""
    folder = tmp_path / "gate"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with gate_process(http_config(folder, address, limit=1), folder) as running:
            yield running


@contextmanager
def calls_held(gate: RunningGate) -> Iterator[None]:
    """Make calls of which all but one are held."""
    host, _, port = gate.address.rpartition(":")
    with ExitStack() as stack:
        for _ in range(HELD + 1):
            client = stack.enter_context(socket.create_connection((host, int(port))))
            client.sendall(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n")
        until(lambda: gate.admin.status()["services"][0]["held_total"] >= HELD)
        yield


def acting_file(folder: Path, gate: RunningGate, *, enabled: bool = True) -> Path:
    """Write a file that watches a log and a gate, and may tell the gate and propose a run."""
    rules = folder / "rules"
    rules.mkdir()
    example = ROOT / "examples" / "rules" / "vasa.gate.calls-held.yaml"
    (rules / example.name).write_text(example.read_text().replace("at_least: 50", f"at_least: {HELD}"))
    more = f"""
[probe.gate]
kind = "gate"
address = "unix:{gate.admin.path}"
every = "1s"

[acting]
enabled = {str(enabled).lower()}
proposals = "proposals"

[act.hold]
rule = "{RULE}"
do = "maintenance"
corroborate = "probe.gate/vasa.gate.calls-held"
gate = "unix:{gate.admin.path}"
service = "web"

[act.restart]
rule = "{RULE}"
do = "propose"
corroborate = "probe.gate"
plan = "{ROOT}/examples/vvold.toml"
"""
    return watch_file(folder, more, in_watch='rules = "rules"')


def storm(folder: Path) -> None:
    with (folder / "logs" / "vpxd.log").open("a") as log:
        log.write(failures(20))


def matters(watch: RunningWatch) -> dict[str, dict[str, Any]]:
    """Return what is being done, by act."""
    return {one["act"]["name"]: one for one in watch.client.status()["acting"]["matters"]}


def states(watch: RunningWatch) -> dict[str, str]:
    return {name: one["state"] for name, one in matters(watch).items()}


def in_maintenance(gate: RunningGate) -> bool:
    return bool(gate.admin.status()["services"][0]["switches"]["maintenance"])


def test_a_log_alone_does_nothing(tmp_path: Path, gate: RunningGate) -> None:
    with watch_process(acting_file(tmp_path, gate)) as watch:
        storm(tmp_path)
        until(lambda: states(watch) == {"hold": "wanted", "restart": "wanted"})
        with pytest.raises(UsageError, match="takes no approval"):
            watch.client.act(approve=matters(watch)["hold"]["id"], by="ann")
        assert watch.end() == Exit.FINE
    assert not (tmp_path / "proposals").exists()
    assert not in_maintenance(gate)


def test_a_probe_and_a_person_let_it_act_and_the_switch_gives_back(
    tmp_path: Path, gate: RunningGate, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with calls_held(gate), watch_process(acting_file(tmp_path, gate)) as watch:
        storm(tmp_path)
        until(lambda: states(watch) == {"hold": "proposed", "restart": "proposed"})
        assert not in_maintenance(gate)
        monkeypatch.setenv("TIDEGATE_WATCH_ADMIN", watch.ready["admin"])

        page = tmp_path / "proposals" / f"{matters(watch)['restart']['id']}.md"
        until(page.exists)
        _, rehearse, _, say = json.loads(page.with_suffix(".json").read_text())["commands"]
        assert "Nothing was done." in run(*shlex.split(rehearse)[1:]).out
        assert run(*shlex.split(say)[1:]).code == Exit.FINE
        assert states(watch)["restart"] == "verifying"

        assert run("watch", "act", "approve", matters(watch)["hold"]["id"]).code == Exit.FINE
        until(lambda: states(watch)["hold"] == "holding")
        assert in_maintenance(gate)
        assert run("watch", "act", "off").code == Exit.FINE
        until(lambda: states(watch)["hold"] == "verifying")
        assert not in_maintenance(gate)


def test_a_gate_is_given_back_by_the_watch_that_comes_after_a_kill(tmp_path: Path, gate: RunningGate) -> None:
    file = acting_file(tmp_path, gate)
    file.write_text(file.read_text().replace('service = "web"', 'service = "web"\napproval = "standing"'))
    with calls_held(gate):
        with watch_process(file) as watch:
            storm(tmp_path)
            until(lambda: in_maintenance(gate))
            watch.process.kill()
        with watch_process(file) as watch:
            until(lambda: states(watch)["hold"] == "holding")
            assert in_maintenance(gate)
            watch.client.act(on=False)
            until(lambda: states(watch)["hold"] == "verifying")
    assert not in_maintenance(gate)


def test_nothing_is_begun_where_acting_is_off(tmp_path: Path, gate: RunningGate) -> None:
    with calls_held(gate), watch_process(acting_file(tmp_path, gate, enabled=False)) as watch:
        storm(tmp_path)
        until(lambda: len(watch.client.status()["episodes"]) == 2)
        assert states(watch) == {}
        assert watch.end() == Exit.FINE

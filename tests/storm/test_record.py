"""A live gate is recorded with ``gate record``; ``sim replay`` comes to the same decisions."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from commands import Run
from fakes import web_server
from gates import gate_process, http_config
from tidegate.config.model import Config
from tidegate.lab.play import Moment, play
from tidegate.lab.scenario import Scenario

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120)]


def test_a_live_storm_replays_to_the_same_decisions(run: Run, tmp_path: Path) -> None:
    trace = tmp_path / "storm.trace"
    sockets: list[Path] = []
    recorders: list[subprocess.Popen[str]] = []

    class Recorded(Scenario):
        def gate(self, folder: Path, server: str) -> Config:
            sockets.append(folder / "admin.sock")
            return super().gate(folder, server)

    def watch(moment: Moment) -> None:
        if not recorders:
            command = [sys.executable, "-m", "tidegate", "gate", "record", str(trace), "--admin", str(sockets[0])]
            recorders.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        if moment.connected == 60 and trace.with_name("storm.trace.part").exists():
            recorders[0].send_signal(signal.SIGINT)
            recorders[0].communicate()

    play(Recorded(hosts=60, knee=8, speed=5), gate=True, watch=watch)
    assert recorders[0].wait() == 130
    assert stat.S_IMODE(trace.stat().st_mode) == 0o600
    ran = run("sim", "replay", trace, "--output", "json")
    assert ran.code == 0, ran.out
    report = ran.json()
    assert report["identical"]
    assert report["first_difference"] is None
    assert report["events"] > 60
    assert report["decisions"] > 30
    words = run("sim", "replay", trace).out
    assert "all identical" in words


def test_what_cannot_be_recorded_or_replayed_is_said(run: Run, tmp_path: Path) -> None:
    trace = tmp_path / "web.trace"
    with web_server({"/": "hello"}) as server, gate_process(http_config(tmp_path, server), tmp_path) as gate:
        at = ("--admin", gate.admin.path)
        assert run("gate", "record", trace, "--for", "10ms", *at).code == 0
        again = run("gate", "record", trace, "--for", "10ms", *at)
        assert (again.code, "exists already" in again.err) == (2, True)
        other = tmp_path / "other.trace"
        for wrong in (["--for", "60"], ["--for", "2h"], ["--service", "nope"]):
            ran = run("gate", "record", other, *wrong, *at)
            assert (ran.code, "hint" in ran.err or "for_s" in ran.err) == (2, True), ran.err
            assert not list(tmp_path.glob("other*"))
        assert run("gate", "record", tmp_path / "no" / "folder", *at).code == 2
    assert run("gate", "record", other, *at).code == 4
    assert run("sim", "replay", trace).code == 0
    text = trace.read_text()
    for damaged, word in [
        ("", "not a trace"),
        ("hello\n", "not a trace"),
        (text.replace('"format":1', '"format":7', 1), "format 7"),
        (text[: text.rindex('{"end"')], "cut short"),
        (text.replace('{"end"', '{"cut"', 1), "was cut after 0 events"),
        (text.replace('"seed":1', '"seed":2', 1), "not what was recorded"),
    ]:
        other.write_text(damaged)
        ran = run("sim", "replay", other)
        assert (ran.code, word in ran.err, "hint:" in ran.err) == (2, True, True), ran.err
    missing = run("sim", "replay", tmp_path / "missing")
    assert (missing.code, "cannot be read" in missing.err) == (2, True)

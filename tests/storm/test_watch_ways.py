"""A running watch by its other ways in and out: syslog, PostgreSQL, a file that breaks on a reload, metrics."""

from __future__ import annotations

import resource
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import psycopg
import pytest

from peers import PLACES
from postgres import postgres
from sinks import Sink, sink
from tidegate.errors import UsageError
from watches import RunningWatch, failures, until, watch_file, watch_process

pytestmark = pytest.mark.storm

HEAP = "esxi.vmkernel.heap-full"
SYSLOG = '[syslog.esx]\nudp = "127.0.0.1:0"\ntcp = "127.0.0.1:0"\n'


def hook(told: Sink) -> str:
    return f'[webhook.ops]\nurl = "{told.url}"\n'


def rules_told(told: Sink) -> list[str]:
    return [body["rule"] for _, body in told.got if body["what"] == "opened"]


def port(watch: RunningWatch, way: str) -> int:
    """Return where it listens; a source says ``udp port 514``."""
    said = next(each for each in watch.ready["sources"]["syslog.esx"] if each.startswith(way))
    return int(said.rpartition(" ")[2])


def test_syslog_over_udp_and_tcp_is_judged_by_its_sender(tmp_path: Path) -> None:
    with sink() as told, watch_process(watch_file(tmp_path, SYSLOG + hook(told))) as watch:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(f"<182>{failures(1, name='heap')}".encode(), ("127.0.0.1", port(watch, "udp")))
        until(lambda: rules_told(told) == [HEAP])
        assert next(body for _, body in told.got)["scope"] == {"host": "127.0.0.1"}
        with socket.create_connection(("127.0.0.1", port(watch, "tcp"))) as tcp:
            tcp.sendall("".join(f"<166>{line}\n" for line in failures(12).splitlines()).encode())
            until(lambda: watch.client.status()["counts"]["hits"] > 1)
        assert watch.end() == 0


def test_syslog_that_was_not_heard_is_a_gap(tmp_path: Path) -> None:
    file = watch_file(tmp_path, SYSLOG)
    with watch_process(file) as watch:
        assert watch.client.status()["verdict"] == "quiet", "a first start has missed nothing"
        assert watch.end() == 0
    with watch_process(file) as watch:
        until(lambda: watch.client.status()["verdict"] == "unknown")
        assert [gap["kind"] for gap in watch.client.status()["gaps"]] == ["not_running"]


@pytest.mark.peer("postgres")
def test_a_state_in_postgres_outlives_a_kill_and_has_one_watch(tmp_path: Path) -> None:
    with postgres() as server, sink() as told:
        file = watch_file(tmp_path, hook(told), state=server.url)
        log = tmp_path / "logs" / "vpxd.log"
        log.write_text(failures(6))
        with watch_process(file) as watch:
            until(lambda: watch.client.status()["counts"].get("hits", 0) >= 6)
            watch.end(signal.SIGKILL)
        with log.open("a") as more:
            more.write(failures(5))
        with watch_process(file) as watch:
            until(lambda: rules_told(told))
            with psycopg.connect(server.url, autocommit=True) as base:
                base.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            (tmp_path / "logs" / "vmkernel.log").write_text(failures(1, name="heap"))
            until(lambda: HEAP in rules_told(told), "it goes on when the database is back")
            assert watch.end() == 0


def test_a_file_that_breaks_on_a_reload_leaves_everything_as_it_was(tmp_path: Path) -> None:
    file = watch_file(tmp_path)
    with watch_process(file) as watch:
        good = file.read_text()
        file.write_text(good + "[flies.x]\n")
        watch.process.send_signal(signal.SIGHUP)
        until(lambda: watch.said("reload refused, the old rules stay"))
        problem = watch.said("reload refused, the old rules stay")[0]["problems"][0]
        assert problem["hint"] == 'did you mean "files"?'
        assert watch.client.status()["sources"][0]["name"] == "files.logs"
        file.write_text(good)
        assert watch.client.reload()["rules"] > 40
        assert watch.client.status()["reloads"] == {"done": 1, "refused": 1, "trouble": ""}


def test_without_room_for_its_state_it_answers_and_loses_nothing(tmp_path: Path) -> None:
    with sink() as told, watch_process(watch_file(tmp_path, hook(told))) as watch:
        before = resource.prlimit(watch.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(watch.process.pid, resource.RLIMIT_FSIZE, (1, before[1]))  # as a full disk does
        (tmp_path / "logs" / "vmkernel.log").write_text(failures(1, name="heap"))
        until(lambda: "no room" in watch.client.status()["store"]["trouble"])
        with pytest.raises(UsageError, match="the old rules stay"):
            watch.client.reload()
        with pytest.raises(UsageError, match="nothing can be kept now"):
            watch.client.act(on=False)
        assert not told.got
        resource.prlimit(watch.process.pid, resource.RLIMIT_FSIZE, before)
        until(lambda: rules_told(told) == [HEAP])
        assert watch.client.reload()["rules"] > 40


def test_an_address_that_is_taken_on_a_reload_leaves_the_old_listener(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, sink() as told:
        file = watch_file(tmp_path, SYSLOG + hook(told))
        with watch_process(file) as watch:
            taken = other.getsockname()[1]
            file.write_text(file.read_text().replace('tcp = "127.0.0.1:0"', f'tcp = "127.0.0.1:{taken}"'))
            with pytest.raises(UsageError, match=str(taken)):
                watch.client.reload()
            sources = {one["name"]: one for one in watch.client.status()["sources"]}
            assert set(sources) == {"files.logs", "syslog.esx"}, "the old one listens again"
            (tmp_path / "logs" / "vmkernel.log").write_text(failures(1, name="heap"))
            until(lambda: rules_told(told) == [HEAP])


def test_a_source_that_changes_counts_no_record_twice(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "vpxd.log"
    with sink() as told:
        file = watch_file(tmp_path, hook(told))
        first = file.read_text()
        with watch_process(file) as watch, log.open("a") as out:
            for turn in range(5):
                out.write(failures(2))
                out.flush()
                file.write_text(first.replace('"logs/*.log"', f'["logs/*.log", "more{turn}/*.log"]'))
                watch.client.reload()
            until(lambda: watch.client.status()["counts"]["hits"] >= 10)
            (window,) = [one for one in watch.client.status()["windows"] if one["window"] == "storm"]
            assert window["count"] == 10
            assert not told.got


@pytest.mark.peer("promtool")
def test_prometheus_takes_its_metrics(tmp_path: Path) -> None:
    with watch_process(watch_file(tmp_path, in_watch='metrics = "127.0.0.1:0"')) as watch:
        (tmp_path / "logs" / "vpxd.log").write_text(failures(4))
        url = f"http://{watch.ready['metrics']}/metrics"
        until(lambda: "tidegate_watch_window_count{" in httpx.get(url, trust_env=False).text)
        text = httpx.get(url, trust_env=False).text
    promtool = shutil.which("promtool", path=PLACES) or "promtool"
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    # The gauge was named before there was a watch; exported rules ask for it by that name.
    assert all(line.startswith("tidegate_watch_window_count non-") for line in checked.stderr.splitlines())
    assert len(checked.stderr.splitlines()) == 1, checked.stdout


def test_systemd_hears_of_start_reload_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(place))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(place))
        with watch_process(watch_file(tmp_path)) as watch:
            assert systemd.recv(200).decode() == f"READY=1\nMAINPID={watch.process.pid}"
            watch.client.reload()
            assert systemd.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert systemd.recv(200) == b"READY=1"
            assert watch.end() == 0
            assert systemd.recv(200) == b"STOPPING=1"

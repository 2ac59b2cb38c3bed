"""A watch as a process: a file in, a webhook out; signals, a reload, a kill, and what is said when nothing works."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sinks import Sink, sink
from tidegate.errors import Exit
from watches import failures, until, watch_file, watch_process

pytestmark = pytest.mark.storm

RULE = "vcenter.hgw.nfc-not-authenticated"


def hook(told: Sink) -> str:
    return f'[webhook.ops]\nurl = "{told.url}"\n'


def write(folder: Path, text: str, name: str = "vpxd.log") -> None:
    with (folder / "logs" / name).open("a") as file:
        file.write(text)


def told_of(told: Sink, what: str = "opened", rule: str = RULE) -> list[str]:
    """Return the keys of what was told about a rule."""
    return [headers["idempotency-key"] for headers, body in told.got if (body["what"], body["rule"]) == (what, rule)]


def test_a_storm_in_a_file_is_one_alert_and_an_end_is_clean(tmp_path: Path) -> None:
    with sink() as told, watch_process(watch_file(tmp_path, hook(told))) as watch:
        assert watch.ready["sources"] == {"files.logs": []}
        write(tmp_path, failures(10))
        until(lambda: watch.client.status()["counts"].get("hits", 0) >= 10)
        status = watch.client.status()
        assert status["verdict"] == "quiet", "10 in 5 minutes are none"
        full = next(one for one in status["windows"] if one["rule"] == RULE)
        assert (full["count"], full["limit"]) == (10, 11)
        write(tmp_path, failures(30))
        until(lambda: told_of(told))
        status = watch.client.status()
        assert status["verdict"] == "storm"
        assert [one["rule"] for one in status["episodes"]] == [RULE]
        assert watch.end() == Exit.FINE
        assert watch.said("ended")
    assert len(told_of(told)) == 1
    body = next(body for _, body in told.got if body["what"] == "opened")
    assert (body["kb"], body["severity"]) == ("440879", "critical")


def test_what_was_told_before_a_kill_is_not_told_as_something_new(tmp_path: Path) -> None:
    with sink() as told:
        file = watch_file(tmp_path, hook(told))
        write(tmp_path, failures(11))
        with watch_process(file) as watch:
            until(lambda: told_of(told))
            watch.end(signal.SIGKILL)
        write(tmp_path, failures(5))
        with watch_process(file) as watch:
            until(lambda: watch.client.status()["counts"].get("hits", 0) >= 5)
            assert len(watch.client.status()["episodes"]) == 1
            assert watch.end() == Exit.FINE
    assert len(set(told_of(told))) == 1


def test_what_came_while_it_was_down_is_told_after_the_start(tmp_path: Path) -> None:
    with sink() as told:
        file = watch_file(tmp_path, hook(told))
        write(tmp_path, failures(3))
        with watch_process(file) as watch:
            until(lambda: watch.client.status()["counts"].get("hits", 0) >= 3)
            assert watch.end() == Exit.FINE
        write(tmp_path, failures(8))
        with watch_process(file):
            until(lambda: told_of(told))


def test_a_rule_that_breaks_on_a_reload_leaves_the_old_ones(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    shipped = Path(__file__).parents[2] / "src/tidegate/watch/rules"
    own = rules / f"{RULE}.yaml"
    own.write_text((shipped / own.name).read_text())
    in_watch = 'rules = "rules"\nshipped_rules = false'
    with sink() as told, watch_process(watch_file(tmp_path, hook(told), in_watch=in_watch)) as watch:
        assert watch.client.status()["rules"] == 1
        own.write_text("schema: 1\nid: [broken\n")
        watch.process.send_signal(signal.SIGHUP)
        until(lambda: watch.said("reload refused, the old rules stay"))
        status = watch.client.status()
        assert (status["rules"], status["reloads"]["refused"]) == (1, 1)
        assert status["reloads"]["trouble"]
        write(tmp_path, failures(11))
        until(lambda: told_of(told))
        own.write_text((shipped / own.name).read_text().replace("more_than: 10", "more_than: 30"))
        other = "esxi.vmkernel.heap-full.yaml"
        (rules / other).write_text((shipped / other).read_text())
        watch.process.send_signal(signal.SIGHUP)
        until(lambda: watch.said("reloaded"))
        status = watch.client.status()
        assert (status["rules"], status["reloads"]["trouble"]) == (2, "")
        write(tmp_path, failures(1, name="heap"), "vmkernel.log")
        until(lambda: told_of(told, rule="esxi.vmkernel.heap-full"))
        assert watch.end() == Exit.FINE


def test_sources_follow_the_file_and_the_others_go_on(tmp_path: Path) -> None:
    with sink() as told:
        file = watch_file(tmp_path, hook(told))
        with watch_process(file) as watch:
            (tmp_path / "more").mkdir()
            watch_file(tmp_path, hook(told) + '[files.more]\npaths = "more/*.log"\n')
            answer = watch.client.reload()
            assert answer["notes"] == []
            (tmp_path / "more" / "vpxd.log").write_text(failures(11))
            until(lambda: told_of(told))
            assert {one["name"] for one in watch.client.status()["sources"]} == {"files.logs", "files.more"}
            watch_file(tmp_path, '[webhook.other]\nurl = "http://127.0.0.1:9/"\n')
            assert watch.client.reload()["notes"] == ["webhook changes with the next start"]
            assert [one["name"] for one in watch.client.status()["sources"]] == ["files.logs"]


def test_it_ends_with_who_started_it(tmp_path: Path) -> None:
    with watch_process(watch_file(tmp_path)) as watch:
        assert watch.process.stdin is not None
        watch.process.stdin.close()
        assert watch.process.wait(30) == Exit.FINE


def test_what_nobody_holds_is_over_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidegate", "watch", str(watch_file(tmp_path)), "--until-eof"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == Exit.FINE, ran.stderr


@pytest.mark.parametrize(
    ("more", "in_watch", "sentence"),
    [
        ('[files.b]\npath = "x"\n', "", "watch.toml:8: files.b.path: there is no key"),
        ("", 'rules = "none"', "is not there"),
        ('[webhook.a]\nurl = "http://x/"\nsecret_file = "none"\n', "", "cannot read"),
        ('[syslog.s]\nudp = "127.0.0.1:{port}"\n', "", "127.0.0.1:{port}"),
        ("", 'metrics = "127.0.0.1:{port}"', "metrics cannot be shown at 127.0.0.1:{port}"),
    ],
)
def test_what_cannot_start_is_one_sentence_and_exit_2(tmp_path: Path, more: str, in_watch: str, sentence: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        file = watch_file(tmp_path, more.replace("{port}", str(port)), in_watch=in_watch.replace("{port}", str(port)))
        command = [sys.executable, "-m", "tidegate", "watch", str(file)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == Exit.USAGE, ran.stderr
    assert sentence.replace("{port}", str(port)) in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not ran.stdout


def test_one_state_is_one_watchs_only(tmp_path: Path) -> None:
    file = watch_file(tmp_path)
    with watch_process(file):
        command = [sys.executable, "-m", "tidegate", "watch", str(file)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == Exit.USAGE
    assert "watch.db" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_log_lines_are_json(tmp_path: Path) -> None:
    with watch_process(watch_file(tmp_path)) as watch:
        assert watch.end(signal.SIGINT) == Exit.FINE
    assert [one["event"] for one in watch.events if one["level"] == "info"] == ["watching", "ended"]
    assert json.dumps(watch.events)

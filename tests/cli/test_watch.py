"""``tidegate watch`` as a person types it: files that are wrong, nobody there, and what is shown."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands import Run
from tidegate.cli.watch_view import status_text
from tidegate.errors import Exit
from watches import watch_file

SECOND = 10**9
STATUS: dict[str, Any] = {
    "format": 1,
    "kind": "status",
    "version": "0.1.0",
    "now": 1000 * SECOND,
    "uptime_s": 75.0,
    "verdict": "quiet",
    "rules": 43,
    "windows": [
        {
            "rule": "vasa.provider.setcontext-storm", "window": "storm", "kind": "distinct",
            "scope": {"provider": "vp1"}, "count": 3, "limit": 5, "over_s": 60, "severity": "critical",
        },
        {
            "rule": "r", "window": "w", "kind": "count", "scope": {}, "count": 30, "limit": 11, "over_s": 300,
            "severity": "warning",
        },
    ],
    "windows_total": 2,
    "episodes": [],
    "clocks": [],
    "late": 0,
    "skewed": 0,
    "forgotten": 0,
    "sources": [{"name": "files.a", "lag_bytes": 3 << 20, "streams": [{}, {}], "troubles": []}],
    "gaps": [],
    "gap_counts": [],
    "receivers": [{"name": "webhook.ops", "waiting": 0, "why": ""}],
    "store": {"place": "watch.db", "trouble": ""},
    "queue": {"batches": 0, "most": 16},
    "counts": {},
    "acting": {"on": False, "acts": 0, "matters": []},
    "reloads": {"done": 0, "refused": 0, "trouble": ""},
}  # fmt: skip


def shown(**changed: object) -> str:
    console = Console(width=140, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(status_text({**deepcopy(STATUS), **changed}))
    return capture.get()


def test_a_file_is_checked_before_anything_is_opened(run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("")
    file = watch_file(tmp_path, '[webhook.a]\nurl = "https://a.example/"\n')
    ran = run("watch", "check", file)
    assert ran.code == Exit.FINE, ran.out
    assert "fine: a watch of files.logs, webhook.a, " in ran.out
    assert not (tmp_path / "watch.db").exists()
    assert run("gate", "check", file).code == Exit.FINE


@pytest.mark.parametrize(
    ("more", "sentence", "hint"),
    [
        ('[files.b]\npath = "x"\n', ':8: files.b.path: there is no key "path" here', 'did you mean "paths"?'),
        ('[syslog.b]\nudp = "0.0.0.0"\n', ':8: syslog.b.udp: "0.0.0.0" is not an address', '"HOST:PORT"'),
        ('[webhook.b]\nurl = "http://h/?token=x"\n', ":8: webhook.b.url: holds a secret in its query", "token_env"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(run: Run, tmp_path: Path, more: str, sentence: str, hint: str) -> None:
    file = watch_file(tmp_path, more)
    ran = run("watch", "check", file)
    assert ran.code == Exit.USAGE
    assert f"{file}{sentence}" in ran.out
    assert hint in ran.out
    assert run("watch", "check", file, "--output", "json").json()["problems"][0]["line"] == 8
    ran = run("watch", file)
    assert ran.code == Exit.USAGE
    assert sentence in ran.err


@pytest.mark.parametrize("command", [("status",), ("view",), ("reload",), ("act", "on"), ("act", "ran", "x")])
def test_nobody_there_is_said(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    ran = run("watch", *command, "--admin", tmp_path / "watch.sock")
    assert ran.code == Exit.UNREACHABLE
    assert "no watch answers at" in ran.err
    assert "--admin PATH names another one" in ran.err


def test_windows_fill_up_against_their_thresholds() -> None:
    text = shown()
    assert "watching for 1m15s by 43 rules: quiet" in text
    assert "vasa.provider.setcontext-storm/storm  provider vp1" in text
    assert "3 of 5 in 1m00s" in text
    assert ">  30 of 11 in 5m00s" in text, "a bar that is overfull says so"
    assert "files.a" in text
    assert "3 MiB" in text
    assert "webhook.ops: all told" in text


def test_a_probe_shows_what_it_was_told() -> None:
    values = {"ports.share": [{"scope": "lab: a", "value": 0.25}], "service.queued": []}
    text = shown(sources=[{"name": "probe.a", "troubles": [], "values": values}])
    assert "ports.share 0.25 (lab: a)" in text


def test_a_storm_names_its_scope_and_hosts() -> None:
    episode = {
        "key": "k", "rule": "r", "window": "w", "scope": {"host": "a\x1b[31m"}, "severity": "critical", "first": 0,
        "at": 940 * SECOND, "until": 0, "count": 12, "hosts": [f"h{n}" for n in range(12)], "hosts_total": 300,
        "evidence": [],
    }  # fmt: skip
    text = shown(verdict="storm", episodes=[episode])
    assert "1 episode open" in text
    assert "1m00s" in text
    assert "h7 and 292 more" in text
    assert r"\x1b[31m" in text, "names of strangers steer no terminal"


def test_quiet_with_a_gap_is_not_quiet() -> None:
    gap = {
        "source": "syslog.a",
        "kind": "kernel_drops",
        "detail": "full",
        "since": 0,
        "until": 990 * SECOND,
        "count": 7,
    }
    text = shown(verdict="unknown", gaps=[{**gap, "until": 900 * SECOND}, gap])
    assert "that is unknown, not quiet" in text
    assert "kernel_drops  2      14       full" in text
    assert "10s ago" in text


def test_what_is_wrong_stands_above_everything() -> None:
    text = shown(
        store={"trouble": "the disk is full"},
        reloads={"done": 0, "refused": 1, "trouble": "the key is missing"},
        clocks=[{"host": "esx1", "offset_s": -7200, "records": 30}],
        receivers=[{"name": "webhook.ops", "waiting": 3, "why": "it answers 503"}],
        acting={"on": False, "acts": 1, "matters": []},
        late=3,
        skewed=4,
    )
    assert "of all records: 3 came too late to count exactly, 4 had a time that was not believed" in text
    assert "nothing can be kept: the disk is full" in text
    assert "the old rules stay: the key is missing" in text
    assert "clock: esx1 is 2h00m ahead" in text
    assert "webhook.ops: 3 wait: it answers 503" in text
    assert "acting is OFF" in text

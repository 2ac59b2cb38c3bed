"""``gate ports`` against a stand-in for a gate's admin socket."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Run
from fakes import PORTS, FakeAdmin, fake_admin


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[FakeAdmin]:
    with fake_admin(tmp_path / "admin.sock") as fake:
        yield fake


def test_a_bucket_is_a_bar_with_its_forecast(run: Run, admin: FakeAdmin) -> None:
    ran = run("gate", "ports", "--admin", admin.path)
    assert ran.code == 0
    assert [line.rstrip() for line in ran.out.splitlines()] == [
        "ports 20000-32767 from 10.0.0.5; 16 of every bucket for probes alone",
        "",
        "10.0.0.5 -> 192.0.2.10:8443  warn  exhausted in 41s",
        "  █████████████████████████·····|·····|·|· 61.4 %",
        "  traffic 7800, probes 2 (connecting 3), at rest 30, foreign 6; free 4930 (14 for probes) of 12768; most 7900",
    ]


def test_as_json_it_is_what_the_gate_said(run: Run, admin: FakeAdmin) -> None:
    assert run("gate", "ports", "--admin", admin.path, "--output", "json").json() == PORTS
    lines = run("gate", "ports", "--admin", admin.path, "--output", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == PORTS["buckets"]


@pytest.mark.parametrize(("watermark", "left", "words"), [("hold", None, "hold\n"), ("full", 0.0, "full  exhausted\n")])
def test_a_bucket_that_is_nearly_full_is_bad(
    run: Run, admin: FakeAdmin, watermark: str, left: float | None, words: str
) -> None:
    admin.ports["buckets"][0] |= {"watermark": watermark, "exhausted_in_s": left, "used_milli": 1000}
    ran = run("gate", "ports", "--admin", admin.path)
    assert (ran.code, words in ran.out) == (1, True)
    assert "█" * 40 + " 100.0 %" in ran.out


def test_nothing_leased_warnings_and_refusals_are_told(run: Run, admin: FakeAdmin) -> None:
    admin.ports |= {"buckets": [], "sources": [], "warnings": ["ports 1-2 are also the kernel's to choose"]}
    admin.ports["no_port_total"]["traffic"] = 3
    out = run("gate", "ports", "--admin", admin.path).out
    for words in (
        "from the address that the route takes;",
        "warning: ports 1-2 are",
        "traffic 3",
        "no port was leased yet",
    ):
        assert words in out


def test_followed_it_is_one_object_per_line(admin: FakeAdmin) -> None:
    command = [sys.executable, "-m", "tidegate", "gate", "ports", "--follow", "--admin", admin.path, "--output", "json"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.terminate()
    assert lines == [PORTS, PORTS]


def test_nobody_there_is_exit_4(run: Run, tmp_path: Path) -> None:
    ran = run("gate", "ports", "--admin", tmp_path / "none.sock")
    assert ran.code == 4
    assert "no gate answers at" in ran.err

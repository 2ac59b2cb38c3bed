"""``tidegate diagnose`` of captures: named together, in folders, archives and on stdin, beside logs, and damaged."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from tidegate.watch.capture.engine import is_capture
from tidegate.watch.capture.script import as_capture, read_script

ROOT = Path(__file__).parents[2]
OCCUPIED = ROOT / "crates" / "tidegate-scan" / "tests" / "data" / "captures" / "occupied-tuple.pcap"
RULE = "capture.tcp.tuple-collision"
OUTCOME = "challenge, reset, retry succeeded"
PLAIN = as_capture(
    read_script(
        """
        0s     client S   seq 1000
        200us  server SA  seq 7000 ack 1001
        200us  client A   seq 1001 ack 7001
        1ms    client PA  seq 1001 ack 7001 len 100
        200us  server A   seq 7001 ack 1101
        1ms    client FA  seq 1101 ack 7001
        200us  server FA  seq 7001 ack 1102
        200us  client A   seq 1102 ack 7002
        """
    )
)


def rules_of(value: Any) -> list[str]:
    return [found["rule"] for found in value["findings"]]


def test_the_collision_is_named_with_outcome_and_frames(run: Run) -> None:
    ran = run("diagnose", OCCUPIED, "--output", "json")
    assert (ran.code, ran.err) == (1, "")
    value = ran.json()
    (finding,) = [found for found in value["findings"] if found["rule"] == RULE]
    assert (value["verdict"], finding["outcome"], finding["article"]) == ("incident", OUTCOME, "425869")
    assert finding["frames"]
    assert all(isinstance(frame, int) for frame in finding["frames"])
    assert finding["file"] == str(OCCUPIED)
    assert finding["ladder"]["rows"]
    assert value["captures"][0]["files"][0]["path"] == str(OCCUPIED)
    assert value["coverage"]["complete"]


def test_people_are_told_what_happened_frame_by_frame(run: Run) -> None:
    ran = run("diagnose", OCCUPIED)
    assert ran.code == 1
    assert OUTCOME in ran.out
    assert "what to do: " in ran.out
    assert "──▶" in ran.out
    assert "read: 1 file, " in ran.out


def test_an_ordinary_capture_is_clear(run: Run, tmp_path: Path) -> None:
    (tmp_path / "plain.pcap").write_bytes(PLAIN)
    ran = run("diagnose", tmp_path / "plain.pcap", "--output", "json")
    assert ran.code == 0
    assert (ran.json()["verdict"], ran.json()["findings"]) == ("clear", [])


def test_people_are_told_how_connections_came_out(run: Run, tmp_path: Path) -> None:
    silent = "0s client S seq 1000\n1s client S seq 1000"
    refused = "0s client S seq 1000\n200us server RA seq 0 ack 1001"
    for name, packets in (("silent", silent), ("refused", refused)):
        (tmp_path / f"{name}.pcap").write_bytes(as_capture(read_script(packets), times=2))
    (tmp_path / "plain.pcap").write_bytes(PLAIN)
    out = run("diagnose", tmp_path).out
    assert "16 packets of TCP in 5 connections (2 without an answer, 2 refused), 2026-" in " ".join(out.split())
    assert "packets of TCP in 1 connection, 2026-" in run("diagnose", tmp_path / "plain.pcap").out
    one_way = "0s client S seq 1000\n1ms client A seq 1001 ack 7001\n1ms client FA seq 1001 ack 7001"
    (tmp_path / "one-way.pcap").write_bytes(as_capture(read_script(one_way), times=2))
    assert "packets of TCP in 2 connections, 2026-" in run("diagnose", tmp_path / "one-way.pcap").out


def test_what_is_known_of_a_single_group_is_told(run: Run, tmp_path: Path) -> None:
    # The rule's first step is to count the hops of the TTL that the finding names.
    packets = """
        0s     client S   seq 1000 ttl 64 id 100
        1ms    server SA  seq 7000 ack 1001 ttl 55 id 0
        1ms    client PA  seq 1001 ack 7001 len 100 ttl 64 id 102
        1ms    server PA  seq 7001 ack 1101 len 100 ttl 55 id 5002
        1s     server R   seq 7101 ttl 251 id 40000 win 0
        """
    (tmp_path / "reset.pcap").write_bytes(as_capture(read_script(packets)))
    out = run("diagnose", tmp_path / "reset.pcap").out
    assert "10.128.0.1: 1 time (" in out
    assert "reset ttl: 251" in out


def test_a_name_makes_no_lines_of_its_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a\ncritical  made up\x1b[31m.pcap").write_bytes(OCCUPIED.read_bytes())
    (tmp_path / "b\ncritical  made up.log").write_text("nginx: 1024 worker_connections are not enough\n")
    shown = run("diagnose", tmp_path)
    assert "a\\x0acritical  made up\\x1b[31m.pcap" in shown.out
    assert not [line for line in shown.out.splitlines() if line.strip().startswith("critical  made up")]
    (file,) = run("flow", "stats", tmp_path, "--output", "json").json()["files"]
    assert file["path"].endswith("a\\x0acritical  made up\\x1b[31m.pcap")
    ran = run("diagnose", tmp_path / "c\nnot there")
    assert ran.err.splitlines()[0].endswith("c\\x0anot there does not exist")


def test_captures_in_folders_and_archives_are_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.pcap.gz").write_bytes(gzip.compress(OCCUPIED.read_bytes()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("inside/b.pcap", OCCUPIED.read_bytes())
    value = run("diagnose", tmp_path, "--output", "json").json()
    assert rules_of(value).count(RULE) == 2
    assert sorted(Path(found["file"]).name for found in value["findings"]) == ["a.pcap.gz", "b.pcap"]
    assert value["coverage"]["members_total"] == 2


def test_logs_and_captures_are_read_side_by_side(run: Run) -> None:
    value = run("diagnose", ROOT / "examples" / "logs", OCCUPIED, "--output", "json").json()
    assert {RULE, "nsx.ens.half-open-psod"} <= set(rules_of(value))
    assert value["coverage"]["members_total"] == 17


def test_two_directions_are_one_capture(run: Run, tmp_path: Path) -> None:
    head, records, at = OCCUPIED.read_bytes()[:24], [], 24
    data = OCCUPIED.read_bytes()
    while at < len(data):
        length = int.from_bytes(data[at + 8 : at + 12], "little")
        records.append(data[at : at + 16 + length])
        at += 16 + length
    for name, keep in (("even.pcap", 0), ("odd.pcap", 1)):
        (tmp_path / name).write_bytes(head + b"".join(records[keep::2]))
    value = run("diagnose", tmp_path / "even.pcap", tmp_path / "odd.pcap", "--output", "json").json()
    (finding,) = [found for found in value["findings"] if found["rule"] == RULE]
    assert finding["outcome"] == OUTCOME
    assert [Path(name).name for name in finding["files"]] == ["even.pcap", "odd.pcap"]


def test_a_capture_that_is_named_twice_is_read_once(run: Run) -> None:
    value = run("diagnose", OCCUPIED, OCCUPIED, "--output", "json").json()
    assert [(found["rule"], found["hits"]) for found in value["findings"]] == [(RULE, 1)]
    assert value["coverage"]["members_total"] == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_capture_comes_on_stdin(packed: bool) -> None:
    data = OCCUPIED.read_bytes()
    command = [sys.executable, "-m", "tidegate", "diagnose", "-", "--output", "json"]
    ran = subprocess.run(command, input=gzip.compress(data) if packed else data, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert RULE.encode() in ran.stdout


@pytest.mark.parametrize("cut", [24, 30, 100, 1000])
def test_what_could_be_read_of_a_damaged_capture_is_told(run: Run, tmp_path: Path, cut: int) -> None:
    file = tmp_path / "cut.pcap"
    file.write_bytes(OCCUPIED.read_bytes()[:cut])
    ran = run("diagnose", file, "--output", "json")
    assert ran.err == ""
    assert ran.json()["verdict"] in {"unknown", "incident"}
    assert ran.json()["coverage"]["missing"]


def test_what_is_no_capture(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text in (b"", b"\xa1", b"\xd4\xc3\xb2", b"\n\r\r\n plain text", gzip.compress(b"text"), b"\x1f\x8bbroken"):
        file.write_bytes(text)
        assert not is_capture(file)
    assert not is_capture(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert not is_capture(tmp_path / "pipe")
    assert is_capture(OCCUPIED)
    with gzip.open(file, "wb") as packed:
        packed.write(io.BytesIO(PLAIN).getvalue())
    assert is_capture(file)

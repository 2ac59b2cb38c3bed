"""``tidegate flow stats``: what it tells of captures, and what it does with everything else."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from commands import Run
from tidegate.watch.capture.script import as_capture, read_script
from tidegate.watch.capture.stats import flow_stats

HANDSHAKE = """
0s     client S   seq 1000
200us  server SA  seq 7000 ack 1001
200us  client A   seq 1001 ack 7001
1ms    client FA  seq 1001 ack 7001
200us  server FA  seq 7001 ack 1002
200us  client A   seq 1002 ack 7002
"""
KEYS = {"path", "packets", "flows", "states", "outcomes", "skipped"}


def capture(times: int = 1) -> bytes:
    return as_capture(read_script(HANDSHAKE), times=times, every=10**9)


def test_files_are_told_one_by_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture())
    (tmp_path / "b.pcap.gz").write_bytes(gzip.compress(capture(3)))
    (tmp_path / "readme.txt").write_text("nothing\n")
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        member = tarfile.TarInfo("deep/c.pcap")
        member.size = len(capture(2))
        archive.addfile(member, io.BytesIO(capture(2)))
    ran = run("flow", "stats", tmp_path, "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    value = ran.json()
    assert [(Path(file["path"]).name, file["packets"], file["flows"]) for file in value["files"]] == [
        ("a.pcap", 6, 1),
        ("b.pcap.gz", 18, 3),
        ("c.pcap", 12, 2),
    ]
    assert all(set(file) >= KEYS for file in value["files"])
    assert value["files"][1]["states"]["time-wait"] == 3
    assert value["not_captures"] == {"count": 1, "paths": [str(tmp_path / "readme.txt")]}


def test_a_table_for_people(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.pcap"
    file.write_bytes(capture())
    ran = run("flow", "stats", file)
    assert (ran.code, ran.err) == (0, "")
    assert "time-wait 1" in ran.out
    assert "1 capture, 6 packets, 1 connections" in ran.out


@pytest.mark.parametrize("cut", [0, 3, 23, 24, 30, 60, 200])
def test_a_damaged_capture_is_no_failure(run: Run, tmp_path: Path, cut: int) -> None:
    file = tmp_path / "cut.pcap"
    file.write_bytes(capture()[:cut])
    ran = run("flow", "stats", file, "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    value = ran.json()
    assert sum(file["packets"] for file in value["files"]) <= 6
    assert len(value["files"]) + value["not_captures"]["count"] == 1


def test_what_is_no_capture_is_counted(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("no packets\n")
    ran = run("flow", "stats", file)
    assert ran.code == 0
    assert ran.out == "1 other file is no capture.\n"


@pytest.mark.parametrize(
    ("path", "words"), [("missing.pcap", "missing.pcap does not exist"), ("", "is empty"), ("--what", "Unknown option")]
)
def test_a_mistake_is_one_sentence(run: Run, path: str, words: str) -> None:
    ran = run("flow", "stats", path)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert len(ran.err.splitlines()) <= 2


def test_nothing_to_read(run: Run) -> None:
    ran = run("flow", "stats")
    assert ran.code == 2
    assert "there is nothing to read" in ran.err


def test_progress_ends_the_reading(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture())

    def stop(read: int, total: int) -> None:
        raise LookupError((read, total))

    with pytest.raises(LookupError):
        flow_stats([tmp_path], progress=stop)

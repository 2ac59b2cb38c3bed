"""Captures that are damaged, odd or not there: what can be read is told, the rest is counted."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from tidegate.watch.capture.script import as_capture, read_script

_SCRIPT = """
0s     client S   seq 1000
200us  server SA  seq 7000 ack 1001
200us  client A   seq 1001 ack 7001
"""
WHOLE = as_capture(read_script(_SCRIPT))
HEAD, EACH = 24, 56
"""Bytes of the file's head, and of each of its three records: 16, and IP and TCP without options."""
_SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
_INTERFACE = struct.pack("<IIHHII", 1, 20, 101, 0, 0, 20)


def _records(*lengths: int, kept: int | None = None) -> bytes:
    """Return records of the whole capture that say they are so long."""
    packets = [WHOLE[HEAD + EACH * number : HEAD + EACH * (number + 1)] for number in range(len(lengths))]
    told = (
        packet[:8] + struct.pack("<II", length, 40) + packet[16:kept]
        for packet, length in zip(packets, lengths, strict=True)
    )
    return WHOLE[:HEAD] + b"".join(told)


def _at(seconds: int, number: int) -> bytes:
    record = WHOLE[HEAD + EACH * number : HEAD + EACH * (number + 1)]
    return struct.pack("<I", seconds) + record[4:]


def _enhanced(interface: int, number: int) -> bytes:
    packet = WHOLE[HEAD + EACH * number + 16 : HEAD + EACH * (number + 1)]
    return struct.pack("<IIIIIII", 6, 72, interface, 0, number, 40, 40) + packet + struct.pack("<I", 72)


_FLAT = WHOLE[:20] + struct.pack("<I", 147) + WHOLE[24:]
_BACK = WHOLE[:HEAD] + _at(1_700_000_500, 0) + _at(1_700_000_000, 1) + _at(1_600_000_000, 2)

# name -> bytes, packets, skipped, how it ended
FILES: dict[str, tuple[bytes, int, dict[str, int], str]] = {
    "whole": (WHOLE, 3, {}, "whole"),
    "no-packets": (WHOLE[:HEAD], 0, {}, "whole"),
    "cut": (WHOLE[:-10], 2, {"record-cut": 1}, "whole"),
    "cut-in-its-head": (WHOLE[: HEAD + EACH + 7], 1, {"record-cut": 1}, "whole"),
    "head-cut": (WHOLE[:10], 0, {"record-cut": 1}, "whole"),
    "longer-than-the-file": (_records(40, 40, 5000), 2, {"record-cut": 1}, "whole"),
    "longer-than-any-packet": (_records(40, 0x7FFFFFFF, 40), 1, {"record-too-long": 1}, "whole"),
    "empty-packets": (_records(0, 0, 0, kept=16), 0, {"empty": 3}, "whole"),
    "other-link": (_FLAT, 0, {"link-unknown": 3}, "whole"),
    "time-goes-back": (_BACK, 3, {}, "whole"),
    "pcapng": (_SECTION + _INTERFACE + b"".join(_enhanced(0, n) for n in range(3)), 3, {}, "whole"),
    "pcapng-odd": (
        _SECTION + _enhanced(0, 0) + _INTERFACE + _enhanced(0, 0) + struct.pack("<II", 99, 8) + b"?" * 40,
        1,
        {"interface-unknown": 1, "block-broken": 1},
        "whole",
    ),
    "packed": (gzip.compress(WHOLE), 3, {}, "whole"),
    "packed-and-cut": (gzip.compress(WHOLE, 0)[:-60], 2, {"record-cut": 1}, "truncated"),
    "packed-and-damaged": (gzip.compress(WHOLE)[:-8] + b"\0" * 8, 3, {}, "broken"),
}


def _stats(run: Run, *paths: Path) -> Any:
    ran = run("flow", "stats", *paths, "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    return ran.json()


@pytest.mark.parametrize("name", FILES)
def test_what_can_be_read_is_told_and_the_rest_is_counted(run: Run, tmp_path: Path, name: str) -> None:
    content, packets, skipped, ended = FILES[name]
    file = tmp_path / f"{name}.pcap"
    file.write_bytes(content)
    told = _stats(run, file)
    (one,) = told["files"]
    assert (one["packets"], one["skipped"], one["ended"]) == (packets, skipped, ended)
    assert one["flows"] == (1 if packets else 0)
    assert told["not_captures"]["count"] == 0
    assert bool(one["detail"]) == (ended != "whole")


@pytest.mark.parametrize("name", FILES)
def test_diagnose_reads_the_same(run: Run, tmp_path: Path, name: str) -> None:
    content, packets, skipped, _ = FILES[name]
    file = tmp_path / f"{name}.pcap"
    file.write_bytes(content)
    ran = run("diagnose", file, "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    (report,) = ran.json()["captures"]
    assert (report["packets"], report["files"][0]["skipped"]) == (packets, skipped)
    # Where something is missing, nothing found is not nothing there.
    assert (ran.json()["verdict"] == "unknown") == (name not in {"whole", "pcapng", "packed"})


def test_all_of_them_in_a_folder(run: Run, tmp_path: Path) -> None:
    for name, (content, *_) in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("recorded on the night of the storm\n")
    (tmp_path / "nothing").touch()
    told = _stats(run, tmp_path)
    counts = {Path(one["path"].partition("!")[0]).name: one["packets"] for one in told["files"]}
    assert counts == {name: packets for name, (_, packets, _, _) in FILES.items()}
    assert told["not_captures"]["count"] == 2
    for command in (("flow", "stats"), ("diagnose",)):
        words = run(*command, tmp_path)
        assert (words.code, words.err) == (0, "")
        assert "Traceback" not in words.out


def test_time_that_goes_back_is_one_flow(run: Run, tmp_path: Path) -> None:
    (tmp_path / "back.pcap").write_bytes(_BACK)
    (one,) = _stats(run, tmp_path / "back.pcap")["files"]
    assert (one["from"], one["to"]) == ("2020-09-13T12:26:40.000Z", "2023-11-14T22:21:40.000Z")
    assert one["states"] == {"established": 1}


def test_a_file_without_a_byte_is_no_capture(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").touch()
    told = _stats(run, tmp_path / "empty.pcap")
    assert (told["files"], told["not_captures"]["count"]) == ([], 1)
    ran = run("diagnose", tmp_path / "empty.pcap", "--output", "json")
    assert (ran.code, ran.json()["verdict"]) == (0, "unknown")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [([], "there is nothing to read"), (["no-such.pcap"], "no-such.pcap does not exist"), ([""], "is empty")],
)
def test_what_is_not_there_is_one_sentence(run: Run, arguments: list[str], says: str) -> None:
    ran = run("flow", "stats", *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert len(ran.err.splitlines()) <= 2


def _alone(*arguments: object, before: tuple[str, ...] = (), stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    line = [
        *before,
        sys.executable,
        "-m",
        "tidegate",
        *(os.fspath(one) if isinstance(one, Path) else str(one) for one in arguments),
    ]
    return subprocess.run(line, capture_output=True, check=False, timeout=30, input=stdin)


@pytest.mark.parametrize("command", [("flow", "stats"), ("diagnose",)])
def test_a_pipe_that_nobody_writes_into_does_not_hang(tmp_path: Path, command: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe.pcap")
    (tmp_path / "whole.pcap").write_bytes(WHOLE)
    ran = _alone(*command, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, b"")
    named = _alone(*command, tmp_path / "pipe.pcap")
    assert b"Traceback" not in named.stderr
    assert named.returncode in {0, 2}


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "x.pcap").write_bytes(WHOLE)
    (tmp_path / "whole.pcap").write_bytes(WHOLE)
    closed.chmod(0)
    mortal: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything")
        mortal = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    try:
        ran = _alone("flow", "stats", tmp_path, "--output", "json", before=mortal)
        alone = _alone("flow", "stats", closed, before=mortal)
    finally:
        closed.chmod(0o700)
    assert (ran.returncode, ran.stderr) == (0, b"")
    told = json.loads(ran.stdout)
    assert [Path(one["path"]).name for one in told["files"]] == ["whole.pcap"]
    assert "Permission denied" in told["troubles"][0]["detail"]
    assert b"Traceback" not in alone.stderr
    assert b"Permission denied" in alone.stdout + alone.stderr


@pytest.mark.parametrize("command", [("flow", "stats"), ("diagnose",)])
def test_a_name_in_no_encoding_does_not_steer_the_terminal(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b[31m.pcap"))
    file.write_bytes(WHOLE)
    ran = _alone(*command, file)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"\x1b" not in ran.stdout


def test_a_capture_from_stdin_may_end_anywhere() -> None:
    ran = _alone("flow", "stats", "-", "--output", "json", stdin=WHOLE[:-10])
    assert (ran.returncode, ran.stderr) == (0, b"")
    (one,) = json.loads(ran.stdout)["files"]
    assert (one["packets"], one["skipped"]) == (2, {"record-cut": 1})
    ran = _alone("diagnose", "-", "--output", "json", stdin=gzip.compress(WHOLE, 0)[:-60])
    assert (ran.returncode, ran.stderr) == (0, b"")
    told = json.loads(ran.stdout)
    assert (told["verdict"], told["captures"][0]["packets"]) == ("unknown", 2)


def test_a_damaged_half_does_not_cost_the_other(run: Run, tmp_path: Path) -> None:
    for name, content in (("there", WHOLE[:HEAD] + _at(1_700_000_000, 0) + b"\xff" * 300), ("back", _BACK)):
        (tmp_path / f"{name}.pcap").write_bytes(content)
    ran = run("diagnose", tmp_path / "there.pcap", tmp_path / "back.pcap", "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    (report,) = ran.json()["captures"]
    assert {Path(one["path"]).name: one["packets"] for one in report["files"]} == {"there.pcap": 1, "back.pcap": 3}
    assert ran.json()["verdict"] == "unknown"


def test_captures_over_what_is_merged_are_told(run: Run, tmp_path: Path) -> None:
    for number in range(66):
        (tmp_path / f"{number}.pcap").write_bytes(WHOLE)
    ran = run("diagnose", *sorted(tmp_path.iterdir()))
    assert "gap: No more than 64 captures are merged: 2 were left out." in ran.out

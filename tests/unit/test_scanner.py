"""The scanner of the extension module: plans are refused with a sentence, and results do not depend on cuts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tidegate._core import ScanError, Scanner

LINE = "2025-08-08T12:17:14.610Z Er(163) VVold[2255518]: setContext for VP array-1 failed\n"


def plan(**more: object) -> bytes:
    """Return a plan with one signature."""
    signature = {"id": "vasa", "literals": ["setContext for VP"], "all": [r"VP (?P<provider>\S+)"]}
    return json.dumps({"format": 1, "now": 1_764_063_021_000_000_000, "signatures": [signature], **more}).encode()


def told(result: str) -> list[tuple[str, int, dict[str, str]]]:
    """Return the paths, lines and fields of the hits of a result."""
    read: dict[str, Any] = json.loads(result)
    assert read["format"] == 1
    paths = {member["index"]: Path(member["path"]).name for member in read["members"]}
    return [(paths[hit["member"]], hit["line"], hit["fields"]) for hit in read["hits"]]


def test_text_is_scanned_however_it_is_cut() -> None:
    scanner = Scanner(plan())
    text = f"{LINE}\n{LINE}".encode()
    whole = scanner.scan_text("text", text)
    assert told(whole) == [("text", 1, {"provider": "array-1"}), ("text", 3, {"provider": "array-1"})]
    assert {scanner.scan_text("text", text, cut=cut) for cut in range(len(text) + 1)} == {whole}


@pytest.mark.parametrize("threads", [1, 4])
def test_files_are_scanned_whatever_they_are_packed_in(tmp_path: Path, threads: int) -> None:
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_text(LINE * 2)
    packed.write_bytes(gzip.compress(f"quiet\n{LINE}".encode()))
    result = Scanner(plan()).scan([str(plain), str(packed)], threads=threads)
    lines = [line for _, line, _ in told(result)]
    assert lines == [1, 2, 2]


def test_missing_file_is_a_trouble(tmp_path: Path) -> None:
    result = json.loads(Scanner(plan()).scan([str(tmp_path / "nothing.log")]))
    assert (result["members"], len(result["troubles"])) == ([], 1)


def test_progress_ends_the_scan(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text(LINE)

    def stop(read: int, total: int) -> None:
        raise LookupError((read, total))

    with pytest.raises(LookupError):
        Scanner(plan()).scan([str(file)], progress=stop)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (b"{", "cannot be read"),
        (plan(format=2), "format 2"),
        (plan(unknown=1), "unknown"),
        (plan(marks=[{"id": "m", "literals": ["abc"], "regex": "a"}]), 'mark "m"'),
        (plan(dumps=[{"id": "d", "sniff": "(?<!a)"}]), 'dump "d"'),
    ],
)
def test_wrong_plan_is_refused_with_a_sentence(wrong: bytes, expected: str) -> None:
    with pytest.raises(ScanError) as refused:
        Scanner(wrong)
    assert expected in refused.value.message
    assert refused.value.args == (refused.value.message, refused.value.hint)

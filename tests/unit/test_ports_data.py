"""The dumps in tests/data: each is known from its beginning, and its worst bucket is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from data.make_ports import dumps
from tidegate.watch.ports.advice import says
from tidegate.watch.ports.kinds import KINDS, kind_of, read_dump
from tidegate.watch.ports.model import level_of

FOLDER = Path(__file__).resolve().parents[1] / "data"
# File to kind, worst bucket, and what is said of it.
WORST = {
    "ports/avi-as-in-kb-425869.txt": ("avi", "se-005056b1f2aa → 10.30.0.10", "63 871 of 64 512", "(99 %): exhausted"),
    "ports/avi-pool.txt": ("avi", "se-005056b1f2aa → 10.30.0.10:8443", "63 871 of 64 512", "(99 %): exhausted"),
    "ports-bounded/avi-virtualservice.txt": (
        "avi",
        "se-005056b1f2aa → one server of vasa-vs",
        "at most 65 112 of 64 512",
        "(100 %, 64 772 of them idle): filling up",
    ),
    "ports/envoy-clusters.txt": (
        "envoy-clusters",
        "envoy → 10.30.0.10:8443",
        "27 700 of 28 232",
        "(98 %, 27 350 of them idle): exhausted",
    ),
    "ports/envoy-stats.txt": (
        "envoy-stats",
        "envoy → the server of cluster vasa",
        "27 800 of 28 232",
        "(98 %, 27 460 of them idle): exhausted",
    ),
    "ports/f5-connections.txt.gz": (
        "f5-connections",
        "10.20.0.5 → 10.30.0.10:8443",
        "63 900 of 64 512",
        "(99 %, 48 540 of them idle): exhausted",
    ),
    "ports/f5-ltm.log": (
        "f5-ltm",
        "10.20.0.5 → 10.30.0.10:8443",
        "",
        'the device says 3 times "Inet port exhaustion (01010201)": exhausted',
    ),
    "ports/haproxy-show-stat.csv": (
        "haproxy",
        "haproxy → 10.30.0.10:8443",
        "28 188 of 28 232",
        '(99 %, and the device says "Cannot assign requested address"): exhausted',
    ),
    "ports/netstat.txt.gz": (
        "ss",
        "10.20.0.5 → 10.30.0.10:5432",
        "27 800 of 28 232",
        "(98 %, 2 100 of them in TIME-WAIT): exhausted",
    ),
    "ports/proc-net-tcp.txt.gz": (
        "proc",
        "10.20.0.5 → 10.30.0.10:8443",
        "27 700 of 28 232",
        "(98 %, 26 200 of them in TIME-WAIT, 1 500 of them idle): exhausted",
    ),
    "ports/proc-net-tcp6.txt.gz": (
        "proc",
        "2001:db8:20::5 → [2001:db8:30::10]:8443",
        "27 700 of 28 232",
        "(98 %, 26 700 of them in TIME-WAIT, 1 000 of them idle): exhausted",
    ),
    "ports/ss-ages.txt.gz": (
        "ss",
        "10.20.0.5 → 10.30.0.10:8443",
        "27 600 of 28 232",
        "(97 %, 24 840 of them idle): exhausted",
    ),
    "ports/ss-client.txt.gz": (
        "ss",
        "10.20.0.5 → 10.30.0.10:8443",
        "27 930 of 28 232",
        "(98 %, 560 of them in TIME-WAIT): exhausted",
    ),
    "ports/ss-server-ipv6.txt.gz": ("ss", "10.20.0.5 → 10.30.0.10:443", "27 500 of 28 232", "(97 %): exhausted"),
}


def stored(name: str) -> str:
    data = (FOLDER / name).read_bytes()
    return (gzip.decompress(data) if name.endswith(".gz") else data).decode()


def test_files_are_what_the_script_writes() -> None:
    made = dumps()
    names = {
        str(file.relative_to(FOLDER)) for folder in ("ports", "ports-bounded") for file in (FOLDER / folder).iterdir()
    }
    assert names == set(made) == set(WORST)
    assert all(stored(name) == text for name, text in made.items())


def test_every_kind_has_one() -> None:
    assert {kind for kind, *_ in WORST.values()} == {kind.id for kind in KINDS}


@pytest.mark.parametrize("name", WORST)
def test_worst_bucket_is_named(name: str) -> None:
    kind, scope, ports, rest = WORST[name]
    sentence = f"{scope}: {ports} source ports in use {rest}" if ports else f"{scope}: {rest}"
    text = stored(name)
    assert kind_of(text) == kind
    reading = read_dump(kind, text)
    assert says(reading.buckets[0]) == sentence
    assert reading.read == sum(bucket.counted for bucket in reading.buckets) + sum(reading.left_out.values())


@pytest.mark.parametrize("name", WORST)
def test_cut_in_the_middle_and_mangled(name: str) -> None:
    """A dump that lost its middle, came with CRLF and a prompt is still read, and says no more than the whole one."""
    kind, *_ = WORST[name]
    text = stored(name)
    whole = read_dump(kind, text).read
    third = len(text) // 3
    cut = "\x1b]0;admin\x07\x1b[1madmin@box:~$\x1b[0m cat dump\r\n" + (text[:third] + text[-third:]).replace(
        "\n", "\r\n"
    )
    try:
        reading = read_dump(kind, cut)
    except ValueError as error:
        assert str(error).startswith("no ")  # noqa: PT017 (a short dump may have had all that mattered in its middle)
        return
    assert reading.read <= whole
    assert reading.other_lines >= 1


@pytest.mark.parametrize("kind", [kind.id for kind in KINDS])
def test_nothing_to_read_is_a_sentence(kind: str) -> None:
    for text in ("", "hello", "| Field | Value |\n", "# pxname,svname,\n", "\x00\xff"):
        with pytest.raises(ValueError, match=r"^no (line|block) of this text "):
            read_dump(kind, text)


def test_no_such_kind_and_no_such_capacity() -> None:
    with pytest.raises(ValueError, match=r'^"nginx" is no kind of dump; there are avi, envoy-clusters'):
        read_dump("nginx", "")
    with pytest.raises(ValueError, match=r"^70000 source ports are not possible"):
        read_dump("ss", "", capacity=70_000)
    assert kind_of("hello") is None


def test_watermarks() -> None:
    assert [level_of(share) for share in (0, 0.4999, 0.5, 0.7499, 0.75, 0.8999, 0.9, 1.2)] == [
        "ok", "ok", "notice", "notice", "warning", "warning", "critical", "critical",
    ]  # fmt: skip

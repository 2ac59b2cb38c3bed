"""Tests of the scan benchmark on tiny logs: the truth is what a naive search finds, counts are compared, the table."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benches import scan_table
from benches.peers import scan as peers
from benches.process import BenchError
from benches.scan import QUICK_SIZES, TESTS, Bench, cells
from benches.scan_corpus import LONG_LINE, MAKERS, Corpora, Sizes, Source
from benches.scan_patterns import FEW, KNOWN, LONGEST, MANY, SHORTEST, patterns
from benches.scan_templates import TEMPLATES

KIB = 1 << 10
TINY = Sizes(plain=300 * KIB, head=100 * KIB, bundle=500 * KIB, adversarial=700 * KIB, pool=4000, gap=50)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    made = Corpora(tmp_path_factory.mktemp("corpora"), TINY)
    made.make(lambda _: None)
    return made


def texts(path: Path) -> bytes:
    """Return all text in a corpus, decompressed, one member after the other."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix != ".tgz":
        return path.read_bytes()
    with tarfile.open(path) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive]
        data = [(name, file.read()) for name, file in files if file]
    return b"".join(gzip.decompress(one) if name.endswith(".gz") else one for name, one in data)


@pytest.mark.parametrize("name", list(MAKERS))
def test_truth_is_what_a_naive_search_finds(corpora: Corpora, name: str) -> None:
    text, truth = texts(corpora.path(name)), corpora.truth(name)
    found = Counter({one: count for one in corpora.patterns(MANY) if (count := text.count(one.encode()))})
    assert found == truth.hits
    assert truth.of(corpora.patterns(FEW)) == sum(found[one] for one in KNOWN)
    assert (len(text), text.count(b"\n")) == (truth.size, truth.lines)
    assert found, "nothing was planted"


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_hit_is_a_line_of_its_own(corpora: Corpora, name: str) -> None:
    """Those who count lines and those who count occurrences or records have to come to the same number."""
    wanted = [one.encode() for one in corpora.patterns(MANY)]
    lines = texts(corpora.path(name)).split(b"\n")
    assert sum(any(one in line for one in wanted) for line in lines) == corpora.truth(name).of(corpora.patterns(MANY))


def test_a_corpus_is_the_same_each_time(corpora: Corpora, tmp_path: Path) -> None:
    again = Corpora(tmp_path, TINY)
    again.make(lambda _: None)
    assert {name: again.path(name).read_bytes() for name in MAKERS} == {
        name: corpora.path(name).read_bytes() for name in MAKERS
    }
    again.path("head.log").unlink()
    again.make(lambda _: pytest.fail("made what was there"))


def test_the_slow_log_has_what_is_slow(corpora: Corpora) -> None:
    lines = corpora.path("adversarial.log").read_text().split("\n")
    almost = [one[:-1] for one in corpora.patterns(FEW)]
    assert sum(any(line.endswith(one) for one in almost) for line in lines) > 1000
    assert LONG_LINE * 0.9 < max(map(len, lines)) <= LONG_LINE
    assert Counter(lines).most_common(1)[0][1] >= 1000


def test_patterns_are_texts_that_count_once() -> None:
    chosen = patterns(MANY)
    assert len(set(chosen)) == MANY
    assert chosen[:FEW] == list(KNOWN)
    assert all(SHORTEST <= len(one.encode()) <= LONGEST for one in chosen)
    together = "\n".join(chosen)
    assert all(together.count(one) == 1 for one in chosen)
    assert len(patterns(200, taken="\n".join(chosen[FEW:]))) == 200
    with pytest.raises(BenchError, match="messages that serve"):
        patterns(10**6)


def test_articles_are_planted_as_they_print_them() -> None:
    assert list(TEMPLATES["article"]) == ["0", "1", "2", "3"]
    assert all(text.count("{literal}") == 1 for several in TEMPLATES["article"].values() for text in several)
    assert Source(TINY).patterns[:FEW] == list(KNOWN)


def test_peers_take_turns_and_only_in_their_tests() -> None:
    order = list(cells(2, ["tidegate", "ripgrep", "zlib"]))
    assert [(peer, run) for test, peer, run in order if test == "gz"] == [
        *[(peer, 1) for peer in ("tidegate", "ripgrep", "zlib")],
        *[(peer, 2) for peer in ("zlib", "ripgrep", "tidegate")],
    ]
    assert {peer for test, peer, _ in order if test == "bundle"} == {"tidegate", "ripgrep"}
    assert {peer for test in TESTS.values() for peer in test.peers} == set(peers.PEERS)
    assert QUICK_SIZES.plain < Sizes().plain


def search(corpora: Corpora, tmp_path: Path, test: str = "plain-48", peer: str = "ripgrep") -> peers.Search:
    return Bench(corpora, tmp_path, careful=False).search(test, peer, tmp_path)


def test_a_wrong_count_has_no_speed(corpora: Corpora, tmp_path: Path) -> None:
    asked = search(corpora, tmp_path)
    right = asked.truth.of(asked.literals)
    assert peers.PEERS["ripgrep"].exact(asked, f"{right}\n")
    assert peers.PEERS["grep"].exact(asked, f"{right - 1}\n1\n")
    assert not peers.PEERS["grep"].exact(asked, f"{right + 1}\n")
    assert not peers.PEERS["ripgrep"].exact(asked, "")
    assert peers.PEERS["zlib"].exact(asked, f"{asked.truth.size}\n")


def test_tidegate_is_asked_for_each_signature_by_itself(corpora: Corpora, tmp_path: Path) -> None:
    asked = search(corpora, tmp_path)
    hits = {f"bench/{place}": asked.truth.hits[one] for place, one in enumerate(KNOWN) if asked.truth.hits[one]}
    exact = peers.PEERS["tidegate"].exact
    assert exact(asked, json.dumps({"hits": hits, "cut": {"hits": 0}}))
    assert not exact(asked, json.dumps({"hits": hits, "cut": {"hits": 1}}))
    first, *_ = hits
    moved = {**hits, first: hits[first] - 1, "bench/99": 1}
    assert not exact(asked, json.dumps({"hits": moved, "cut": {"hits": 0}}))
    plan = json.loads(peers.plan(list(KNOWN)))
    assert [signature["literals"] for signature in plan["signatures"]] == [[one] for one in KNOWN]


def test_lnav_prints_records_whole_and_is_given_the_beginning(corpora: Corpora, tmp_path: Path) -> None:
    asked = search(corpora, tmp_path, peer="lnav")
    assert asked.corpus.name == "head.log"
    said = texts(asked.corpus).decode()
    assert peers.PEERS["lnav"].exact(asked, said)
    assert not peers.PEERS["lnav"].exact(asked, said + said)


@pytest.mark.parametrize("test", ["plain-48", "plain-1000", "gz", "bundle", "adversarial"])
def test_tidegate_finds_all_that_was_planted(corpora: Corpora, tmp_path: Path, test: str) -> None:
    peers.compile_run(tmp_path)
    rows = Bench(corpora, tmp_path, careful=False).measure(test, "tidegate", 1)
    assert {row.metric: row.value for row in rows}["exact"] == 1


def test_a_program_that_fails_is_told(corpora: Corpora, tmp_path: Path) -> None:
    peers.compile_run(tmp_path)
    corpora.path("48.txt").rename(corpora.path("away"))
    try:
        with pytest.raises(BenchError, match=r"grep ended with 2: .*48\.txt"):
            Bench(corpora, tmp_path, careful=False).measure("plain-48", "grep", 1)
    finally:
        corpora.path("away").rename(corpora.path("48.txt"))


def test_a_program_is_run_and_measured(corpora: Corpora, tmp_path: Path) -> None:
    peers.compile_run(tmp_path)
    rows = Bench(corpora, tmp_path, careful=False).measure("plain-48", "grep", 1)
    found = {row.metric: row.value for row in rows}
    assert found["exact"] == 1
    assert found["mb_per_s"]
    assert 0 < (found["rss_mb"] or 0) < 100


def record(**speeds: dict[str, float | None]) -> dict[str, Any]:
    """Return a results file; None is a wrong count."""
    results = []
    for test, by_peer in speeds.items():
        for peer, value in by_peer.items():
            metrics = (("mb_per_s", value), ("rss_mb", 100.0), ("exact", float(value is not None)))
            about = {"test": test.replace("_", "-"), "peer": peer, "run": 1}
            results += [{**about, "metric": metric, "value": one, "unit": ""} for metric, one in metrics]
    machine = {"cores": 2, "cpu": "a processor", "kernel": "6", "system": "Debian"}
    settings = {"corpora": {"plain.log": {"bytes": 10**9, "lines": 10**6, "hits_1000": 1234}}}
    versions = {"ripgrep": "13.0.0 (2023-01-21)"}
    return {"results": results, "machine": machine, "versions": versions, "settings": settings, "commit": "c" * 40}


def test_the_table_says_what_was_asked_and_who_is_ahead() -> None:
    told = scan_table.table(
        record(
            plain_48={"tidegate": 2000.0, "ripgrep": 1000.0, "vectorscan": 2500.0},
            gz={"tidegate": 380.0, "zlib": 300.0, "zlib-rs": 420.0},
            bundle={"tidegate": 90.0, "lnav": 30.0},
        )
    )
    assert "| MB of text per second | tidegate | ripgrep 13.0.0 |" in told
    assert "log 2.00 × ripgrep (asked: 1)" in told
    assert "gzipped 1.27 × zlib (asked: 0.95)" in told
    assert "gzipped 0.90 × zlib-rs (asked: 0.95, not met)" in told
    assert "bundle 3.00 × lnav (asked: 5, not met)" in told
    assert "most memory 100 MB (asked: under 256)" in told
    assert "Where a peer is ahead: log, 48 patterns (vectorscan 2,500; tidegate 2,000)." in told


def test_a_wrong_count_is_told_and_compared_with_nobody() -> None:
    told = scan_table.table(
        record(plain_48={"tidegate": None, "ripgrep": 1000.0}, gz={"tidegate": 1.0, "ripgrep": None})
    )
    assert told.count("wrong count") == 2
    assert "× ripgrep" not in told
    assert "No peer that finds hits is ahead" in told

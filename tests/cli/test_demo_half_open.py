"""``tidegate demo half-open``: the drill of KB 433412 as it is, and what a worse machine would be told."""

from dataclasses import replace

import pytest

from commands import Run
from tidegate.lab.half_open import HalfOpenResult

PROMISED = {"forced_half_open_under_fast_entry", "revalidated", "recreated", "crashes", "established_lost"}
FINE = HalfOpenResult(
    established=7, forced=420, forced_half_open_under_fast_entry=140, revalidated=300, recreated=80, anomalies=0,
    flood=140, crashes=0, dropped=0, established_lost=0,
)  # fmt: skip


def test_no_connection_is_lost(run: Run) -> None:
    ran = run("demo", "half-open", "--flows", 40, "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    value = ran.json()
    assert set(value) >= PROMISED
    assert (value["format"], value["flows"], value["seed"], value["established"]) == (1, 40, 1, 40)
    assert value["forced_half_open_under_fast_entry"] > 40
    assert value["revalidated"] > 0
    assert value["recreated"] > 0
    assert (value["crashes"], value["dropped"], value["established_lost"]) == (0, 0, 0)


def test_the_same_seed_plays_the_same(run: Run) -> None:
    first, second = (run("demo", "half-open", "--flows", 9, "--seed", 5, "--output", "json").json() for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_a_table_for_people(run: Run) -> None:
    ran = run("demo", "half-open", "--flows", 9)
    assert (ran.code, ran.err) == (0, "")
    rows = " ".join(ran.out.replace("│", " ").split())
    assert "established connections lost 0" in rows
    assert "KB 433412" in rows


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        ({"crashes": 2}, "the decision crashed at 2 packets"),
        ({"established_lost": 3}, "3 of 7 established flows were lost"),
        ({"dropped": 1}, "of established flows, 1 packets were not forwarded"),
        ({"recreated": 0}, "the drill shows nothing"),
    ],
)
def test_what_is_not_kept_is_said(run: Run, monkeypatch: pytest.MonkeyPatch, worse: dict[str, int], words: str) -> None:
    monkeypatch.setattr("tidegate.cli.demo_half_open.play_half_open", lambda **_: replace(FINE, **worse))
    ran = run("demo", "half-open")
    assert ran.code == 1
    assert words in ran.err


@pytest.mark.parametrize(
    "arguments", [("--flows", 0), ("--flows", 100_001), ("--seed", -1), ("--seed", 2**63)], ids=str
)
def test_a_number_out_of_range_is_one_sentence(run: Run, arguments: tuple[str, int]) -> None:
    ran = run("demo", "half-open", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "is out of range" in ran.err
    assert "hint: choose" in ran.err

"""What the lab writes for a watch: records that the rules find, and as many alerts as were meant."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tidegate.lab.watch_expected import Written, expected_alerts, filling
from tidegate.lab.watch_files import LogWriter, rotate
from tidegate.lab.watch_rules import SPEED, small_rules
from tidegate.lab.watch_script import File, Record, Script, WatchDemo, write_script
from tidegate.lab.watch_texts import TEXTS, article, near_misses, noise, stamp, text_of
from tidegate.watch.load import load_rules
from tidegate.watch.plan import to_plan
from tidegate.watch.scan import Scanner

RULES = load_rules()
NOW = 1_795_640_400_123_000_000
SECOND = 10**9


@pytest.mark.parametrize("name", TEXTS)
def test_every_record_is_found_with_its_time(name: str) -> None:
    text = stamp(text_of(RULES, name, "vasa-1" if name in {"transport", "storage"} else ""), NOW)
    (hit,) = Scanner(to_plan(RULES.rules)).scan_text("log", text.encode())["hits"]
    assert hit["signature"] == f"{TEXTS[name].rule}/{TEXTS[name].signature}"
    assert hit["time"] == NOW
    assert hit["fields"].get("vp") == ("vasa-1" if name in {"transport", "storage"} else None)


def test_noise_and_near_misses_are_not_found() -> None:
    texts = [*noise(), *near_misses(RULES)]
    assert len(texts) > 60
    data = "\n".join(stamp(text, NOW) for text in texts).encode()
    assert Scanner(to_plan(RULES.rules)).scan_text("log", data)["hits"] == []


def test_the_rules_are_the_shipped_ones_with_smaller_windows(tmp_path: Path) -> None:
    small = load_rules([small_rules(tmp_path / "rules")], shipped=False)
    assert {rule.id for rule in small.rules} == {text.rule for text in TEXTS.values()}
    for rule in small.rules:
        shipped = RULES.get(rule.id)
        assert shipped is not None
        for ours, theirs in zip(rule.windows, shipped.windows, strict=True):
            assert ours.over.count * SPEED == theirs.over.count


def test_a_script_follows_from_its_seed() -> None:
    demo = WatchDemo(hosts=20, seconds=20, kills=3, seed=7, noise_per_s=1)
    script = write_script(demo, RULES)
    assert script == write_script(demo, RULES)
    assert script != write_script(WatchDemo(hosts=20, seconds=20, kills=3, seed=8, noise_per_s=1), RULES)
    assert sorted(script.kills) == list(script.kills)
    assert all(0 <= record.at - record.time <= 1.5 for record in script.records)
    assert any(record.late for record in script.records)


def written(path: str, *texts: tuple[str, float]) -> Written:
    file = Written(path)
    for number, (text, second) in enumerate(texts):
        file.add((stamp(text, NOW + round(second * SECOND)) + "\n").encode(), NOW + number)
    return file


def test_hosts_that_fail_within_a_minute_are_one_episode_and_known_by_the_fifth() -> None:
    text = text_of(RULES, "transport", "vasa-1")
    files = [written(f"esx-{n}/var/log/messages.log", (text, 10 * n)) for n in range(6)]
    (storm,) = expected_alerts(RULES, files)
    assert (storm.rule, storm.scope) == ("vasa.provider.setcontext-storm", (("provider", "vasa-1"),))
    assert (storm.at, storm.until, storm.count) == (NOW + 40 * SECOND, NOW + 50 * SECOND, 6)
    assert expected_alerts(RULES, files[:4]) == []
    window = filling(RULES, files, storm.rule, storm.scope)
    assert (window.threshold, max(window.counts), window.counts[-1]) == (5, 6, 0)
    assert window.times[window.counts.index(5)] == storm.at


def test_what_was_written_last_makes_it_known() -> None:
    text = text_of(RULES, "heap")
    early = Written("esx-1/var/log/messages.log")
    early.add((stamp(text, NOW) + "\n").encode(), NOW + 9 * SECOND)
    early.add((stamp(text, NOW + SECOND) + "\n").encode(), NOW + 10 * SECOND)
    (alert,) = expected_alerts(RULES, [early])
    assert alert.scope == (("host", "esx-1"),)
    assert (alert.at, alert.known) == (NOW, NOW + 9 * SECOND)


def test_an_article_in_a_log_is_no_alert() -> None:
    assert expected_alerts(RULES, [written("jump-1/var/log/notes.log", (article(RULES, 25), 0))]) == []
    sample = text_of(RULES, "backup")
    assert len(expected_alerts(RULES, [written("vc-1/var/log/vpxd.log", *((sample, n) for n in range(25)))])) == 1


@pytest.mark.parametrize("manner", ["compressed", "compressed-later", "copytruncate"])
def test_nothing_is_lost_in_rotations(tmp_path: Path, manner: str) -> None:
    file = File("esx-1", "esx-1/messages.log", manner)
    path = tmp_path / file.path
    path.parent.mkdir()
    for part in range(3):
        path.write_bytes(b"%d\n" % part)
        rotate(tmp_path, file)
    texts = {}
    for each in path.parent.iterdir():
        texts[each.name] = gzip.decompress(each.read_bytes()) if each.suffix == ".gz" else each.read_bytes()
    assert texts.pop("messages.log") == b""
    assert sorted(texts.values()) == [b"0\n", b"1\n", b"2\n"]
    assert texts["messages.log.1" if manner != "compressed" else "messages.log.1.gz"] == b"2\n"


def test_the_writer_writes_everything_and_knows_it(tmp_path: Path) -> None:
    file = File("esx-1", "esx-1/var/log/messages.log", "compressed")
    records = tuple(Record(0.0, 0.0, 0, text_of(RULES, "heap")) for _ in range(9))
    writer = LogWriter(Script((file,), records, (), ()), tmp_path)
    writer.begin()
    while not writer.done:
        pass
    assert (tmp_path / file.path).read_bytes() == bytes(writer.files[0].text)
    assert (writer.lines, writer.late) == (9, 0)
    assert len(expected_alerts(RULES, writer.files)) == 1

"""``tidegate diagnose``: the examples, the articles, and what it says of bad input."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands import Run
from tidegate.cli.diagnose_view import progress_on

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "examples" / "logs"
PORTS = ROOT / "tests" / "data" / "ports"
KEYS = {
    "rule", "title", "article", "kind", "severity", "confidence", "signatures", "windows", "hits", "first", "last",
    "scope", "timeline", "evidence", "version_verdict", "remedies", "discriminators", "source",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tidegate.watch.diagnose import diagnose
    from tidegate.watch.load import load_rules

    del tmp_path_factory
    return diagnose(load_rules(), [LOGS], now=0)


def by_article(report: Any) -> dict[str, Any]:
    return {found["article"]: found for found in report["findings"] if found["article"]}


def test_each_article_is_found_once_in_the_examples(report: Any) -> None:
    articles = [found["article"] for found in report["findings"] if found["article"]]
    assert sorted(articles) == ["412434", "425869", "433412", "440879"]
    assert report["verdict"] == "incident"
    assert all(found["kind"] == "incident" for found in report["findings"])


def test_findings_have_what_was_promised(report: Any) -> None:
    for found in report["findings"]:
        assert set(found) >= KEYS
        assert found["evidence"]
        assert found["remedies"]
        assert all(remedy["verify"] and remedy["steps"] for remedy in found["remedies"])


def test_the_storm_names_its_hosts_and_provider(report: Any) -> None:
    storm = by_article(report)["412434"]
    assert len(storm["scope"]["hosts"]) == 12
    assert storm["scope"]["providers"] == ["vasa01.lab.example"]
    assert storm["version_verdict"]["verdict"] == "no-fix"
    assert storm["severity"] == "critical"


def test_versions_are_judged_by_lines_of_the_logs(report: Any) -> None:
    gateway = by_article(report)["440879"]["version_verdict"]
    assert gateway["verdict"] == "affected"
    assert gateway["evidence"][0]["version"] == "8.0.2"
    crash = by_article(report)["433412"]["version_verdict"]
    assert crash["verdict"] == "unknown"
    assert "4.1.2.3" in crash["why"]


def test_who_storms(report: Any) -> None:
    one = report["callers"]["stands_out"]
    assert (one["user"], one["ip"], one["of"]) == ("LAB\\svc-automation", "10.9.8.7", "logins")
    assert [found["rule"] for found in report["findings"] if not found["article"]] == ["vcenter.callers.one-storms"]


def test_coverage_is_whole(report: Any) -> None:
    covered = report["coverage"]
    assert covered["complete"]
    assert covered["members_total"] == 16
    assert covered["from"].startswith("2026-03-04T00:3")


def test_the_article_s_sample_is_an_article(run: Run, tmp_path: Path) -> None:
    sample = (LOGS / "esx-07" / "var" / "core" / "vmkernel-log.1").read_text()
    page = tmp_path / "page.txt"
    page.write_text(
        f"A host crashes\n\nArticle ID: 9\n\ncalendar_today\n\nUpdated On:\n\nIssue/Introduction\n\n{sample}"
    )
    ran = run("diagnose", page, "--output", "json")
    assert ran.code == 0
    value = ran.json()
    assert (value["verdict"], [found["kind"] for found in value["findings"]]) == ("article", ["article"])


@pytest.mark.parametrize("dump", sorted(PORTS.iterdir()), ids=lambda path: path.name)
def test_every_dump_names_its_exhausted_bucket(run: Run, dump: Path) -> None:
    value = run("diagnose", dump, "--output", "json").json()
    worst = value["ports"][0]["buckets"][0]
    assert worst["exhausted"]
    assert worst["scope"]
    assert value["verdict"] == "incident"
    assert any(worst["scope"] in found["scope"].get("buckets", ()) for found in value["findings"])


def test_f5_lines_in_the_middle_of_a_log_name_their_bucket(run: Run, tmp_path: Path) -> None:
    noise = "Nov 25 08:10:07 f5-a.example.org notice mcpd[6543]: 01070417:5: AUDIT - user admin did nothing\n" * 200
    (tmp_path / "ltm").write_text(noise + (PORTS / "f5-ltm.log").read_text() + noise)
    value = run("diagnose", tmp_path, "--output", "json").json()
    (ports,) = value["ports"]
    assert ports["buckets"][0]["scope"] == "10.20.0.5 → 10.30.0.10:8443"
    assert ports["buckets"][0]["exhausted"]


def test_for_people(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = run("diagnose", LOGS, "--report", page)
    assert ran.code == 1
    assert "An incident was found." in ran.out
    assert "(KB 412434)" in ran.out
    assert "/etc/init.d/vvold stop" in ran.out
    assert "report:" in ran.err
    assert "vasa01.lab.example" in page.read_text()


def test_a_pasted_line(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = (LOGS / "esx-01" / "var" / "run" / "log" / "vvold.log").read_text().splitlines()
    pasted = tmp_path / "pasted"
    pasted.write_text(next(text for text in line if "TRANSPORT_FAULT" in text))
    with pasted.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        ran = run("diagnose", pasted, "--output", "json")
    assert ran.code == 1
    (found,) = ran.json()["findings"]
    assert (found["article"], found["severity"], found["hits"]) == ("412434", "notice", 1)


def test_nothing_known_and_nothing_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "calm.log").write_text("2026-03-04T03:11:02.433Z In(14) hostd[1]: all is well\n")
    ran = run("diagnose", tmp_path)
    assert ran.code == 0
    assert "Nothing known was found, and nothing is missing" in ran.out


def test_a_gap_is_unknown_and_not_healthy(run: Run, tmp_path: Path) -> None:
    for name in ("hostd.log", "hostd.0", "hostd.2"):
        (tmp_path / name).write_text("2026-03-04T03:11:02.433Z In(14) hostd[1]: all is well\n")
    value = run("diagnose", tmp_path, "--output", "json").json()
    assert value["verdict"] == "unknown"
    assert "rotation 1 is missing" in value["coverage"]["missing"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there is nothing to read"),
        (["no-such-file"], "no-such-file does not exist"),
        ([LOGS, "--rules", "no-such-rule.yaml"], "no-such-rule.yaml"),
        ([LOGS, "--report", "no/such/folder/page.html"], "cannot be written"),
    ],
)
def test_bad_arguments(run: Run, arguments: list[object], says: str) -> None:
    ran = run("diagnose", *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_an_empty_folder_is_nothing_to_read(run: Run, tmp_path: Path) -> None:
    ran = run("diagnose", tmp_path)
    assert ran.code == 2
    assert "nothing could be read" in ran.err


def test_what_logs_hold_does_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    line = next(
        text
        for text in (LOGS / "esx-01" / "var" / "run" / "log" / "vvold.log").read_text().splitlines()
        if "TRANSPORT_FAULT" in text
    )
    (tmp_path / "x.log").write_text(line.replace("vasa01", "\x1b]0;pwned\x07\x1b[2J[bold red]vasa01") + "\n")
    ran = run("diagnose", tmp_path)
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


def test_a_bar_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with progress_on(console) as tell:
        tell(5, 10)
        tell(10, 0)
    assert "reading" in console.file.getvalue()  # type: ignore[attr-defined]

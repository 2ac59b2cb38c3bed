"""``tidegate diagnose``: the examples, the articles, and what it says of bad input."""

from __future__ import annotations

import io
import os
import signal
import subprocess
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


@pytest.mark.parametrize(
    "line", ["{0}", "{1}:{0}", "kb/page.txt:{1}:{0}", "kb/page.txt-{1}-{0}", "> {0}", "<p>{0}</p>"]
)
def test_an_article_s_text_stays_one_when_it_is_copied(run: Run, tmp_path: Path, line: str) -> None:
    sample = (LOGS / "esx-07" / "var" / "core" / "vmkernel-log.1").read_text().splitlines()
    text = ["A host crashes", "", "Updated On:", "", "Issue/Introduction", *sample, "Additional Information"]
    copied = (line.format(each, number) for number, each in enumerate(text, 1))
    (tmp_path / "page").write_text("\n".join(copied))
    assert run("diagnose", tmp_path, "--output", "json").json()["verdict"] == "article"


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


def transport_fault() -> str:
    text = (LOGS / "esx-01" / "var" / "run" / "log" / "vvold.log").read_text()
    return next(line for line in text.splitlines() if "TRANSPORT_FAULT" in line) + "\n"


def command(*arguments: object, **more: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    line = [sys.executable, "-m", "tidegate", *map(str, arguments)]
    return subprocess.Popen(line, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more})


def test_a_line_from_stdin() -> None:
    process = command("diagnose", "-", "--output", "json", stdin=subprocess.PIPE)
    out, err = process.communicate(transport_fault().encode())
    assert (process.returncode, err) == (1, b"")
    assert b'"article": "412434"' in out


def test_ctrl_c_while_stdin_is_silent() -> None:
    with command("diagnose", "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        # More than a pipe holds: when it is gone, the command is reading.
        process.stdin.write(b"all is well\n" * 100_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_stdin_that_is_empty_is_unknown() -> None:
    process = command("diagnose", "-", "--output", "json", stdin=subprocess.DEVNULL)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert b'"verdict": "unknown"' in out


@pytest.mark.parametrize("kind", ["binary", "utf-16"])
def test_what_is_no_text_is_unknown(run: Run, tmp_path: Path, kind: str) -> None:
    content = bytes(range(256)) * 64 if kind == "binary" else transport_fault().encode("utf-16")
    (tmp_path / "x.log").write_bytes(content)
    assert run("diagnose", tmp_path, "--output", "json").json()["verdict"] == "unknown"


def test_a_terminal_that_knows_ascii_only(tmp_path: Path) -> None:
    (tmp_path / "✓.log").write_text(transport_fault())
    process = command("diagnose", tmp_path, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    out, err = process.communicate()
    assert (process.returncode, err) == (1, b"")
    assert b"\\u2713.log" in out


def test_output_that_cannot_be_written() -> None:
    with Path("/dev/full").open("wb") as full:
        process = command("diagnose", LOGS / "esx-01", stdout=full)
        _, err = process.communicate()
    assert process.returncode == 2
    assert err == b"error: the output cannot be written: No space left on device\n"


def test_output_that_is_closed() -> None:
    script = f"'{sys.executable}' -m tidegate diagnose '{LOGS / 'esx-01'}' >&-"
    process = subprocess.run(["sh", "-c", script], stderr=subprocess.PIPE, check=False)
    assert (process.returncode, process.stderr) == (1, b"")


def test_a_report_that_cannot_be_written_does_not_cost_the_findings(run: Run) -> None:
    ran = run("diagnose", LOGS / "esx-01", "--report", "no/such/folder/page.html")
    assert ran.code == 2
    assert "An incident was found." in ran.out
    assert "cannot be written" in ran.err


def test_a_name_in_no_encoding(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/\xff\x1b[31m.log"
    Path(os.fsdecode(file)).write_text(transport_fault())
    line: list[str | bytes] = [sys.executable, "-m", "tidegate", "diagnose", file]
    ran = subprocess.run(line, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, b"")
    assert b"\x1b" not in ran.stdout
    gone = subprocess.run([*line[:-1], file + b"-gone"], capture_output=True, check=False)
    assert gone.returncode == 2
    assert b"does not exist" in gone.stderr
    assert b"\x1b" not in gone.stderr


def test_copies_of_a_log_are_no_storm(run: Run, tmp_path: Path) -> None:
    login = (
        "2026-03-04T01:{at:02d}:55.110Z info vpxd[40] [Originator@6876 sub=MoEvent] Event [1] [1-1] [] "
        "[vim.event.UserLoginSessionEvent] [info] [LAB\\x] [] [1] [User LAB\\x@10.9.8.7 logged in as curl/8]\n"
    )
    text = "".join(login.format(at=at) for at in range(6))
    for name in "abcdefgh":
        (tmp_path / name).write_text(text + f"the line that makes {name} another file\n")
    value = run("diagnose", tmp_path, "--output", "json").json()
    assert (value["findings"], value["callers"]["totals"]["logins"]) == ([], 6)


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
        ([""], "the name of a file is empty"),
        (["--outptu", "json"], "Unknown option: --outptu"),
        (["n" * 300], "cannot be read: File name too long"),
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


def test_no_line_is_cut_where_nobody_wraps_it(run: Run) -> None:
    out = run("diagnose", LOGS / "esx-07").out
    assert "so a flood of half-open connections can take down host after host.\n" in out

"""``tidegate rules``: what its commands say and return, and what they do with bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import Run
from rule_texts import GOOD, NAME, written
from tidegate.watch.damage import TRANSFORMS
from tidegate.watch.load import load_rules


def test_list(run: Run) -> None:
    ran = run("rules", "list")
    assert ran.code == 0
    assert "vasa.provider.setcontext-storm" in ran.out
    assert f"{len(load_rules())} rules" in ran.out
    rules = run("rules", "list", "--output", "json").json()["rules"]
    assert len(rules) >= 29
    assert {"412434", "440879", "433412", "425869"} <= {rule["article"] for rule in rules}


def test_show(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "show", "lab.pump.stuck", "--rules", written(tmp_path))
    assert (ran.code, ran.err) == (0, "")
    for part in (
        "A pump is stuck",
        "KB 123456, critical, vasa; lab.pump.stuck, revision 1",
        "stuck (record): A pump does not turn.",
        "more than 10 of stuck in 5m",
        "stuck with 3 or more values of pump in 1m",
        "versions of vasa: affected 4.1.2.1 (observed); fixed in 4.1.2.3 of 4.1",
        "Turn it by hand (preferred)",
        "wheel --turn   (on pump)",
        "https://example.org/pumps, read 2026-11-25",
    ):
        assert part in ran.out
    value = run("rules", "show", "440879", "--output", "json").json()
    assert value["rule"]["article"] == "440879"
    assert value["rule"]["signatures"][0]["from"] == "record"


def test_show_what_is_not_there(run: Run) -> None:
    ran = run("rules", "show", "vasa.provider.setcontext")
    assert ran.code == 2
    assert 'there is no rule "vasa.provider.setcontext"' in ran.err
    assert 'did you mean "vasa.provider.setcontext-storm"?' in ran.err


def test_runbook(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "runbook", "lab.pump.stuck", "--rules", written(tmp_path))
    assert (ran.code, ran.err) == (0, "")
    for part in (
        "# A pump is stuck\n",
        "From [KB 123456](https://example.org/pumps).",
        "| storm | critical | more than 10 of stuck in 5m. Eleven of them. |",
        "```text\n2025-08-08T12:17:14.610Z Er(163) Pumpd",
        "   ```sh\n   wheel --turn\n   ```\n",
        "(*stuck* silent for 10m)",
        "Versions of vasa: affected 4.1.2.1 (observed)",
    ):
        assert part in ran.out
    pages = run("rules", "runbook", "412434", "--output", "json").json()["pages"]
    assert [page["file"] for page in pages] == ["vasa.provider.setcontext-storm.md"]


def test_runbooks_in_a_folder(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pages" / "rules"
    ran = run("rules", "runbook", "--folder", folder, "--rules", written(tmp_path))
    assert (ran.code, ran.out) == (0, f"{len(load_rules()) + 1} pages in {folder}\n")
    assert (folder / "lab.pump.stuck.md").read_text().startswith("# A pump is stuck\n")
    assert "[lab.pump.stuck](lab.pump.stuck.md)" in (folder / "README.md").read_text()
    assert run("rules", "runbook").out.startswith("# Runbooks of the rules\n")


def test_runbooks_where_no_folder_can_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = run("rules", "runbook", "--folder", tmp_path / "file")
    assert ran.code == 2
    assert "cannot write" in ran.err


def test_what_a_rule_says_has_no_meaning_in_its_page(run: Run, tmp_path: Path) -> None:
    text = GOOD.replace("title: A pump is stuck", r'title: "A <b>*pump*</b> | [x](y) \e[31m\u202e"')
    ran = run("rules", "runbook", "lab.pump.stuck", "--rules", written(tmp_path, text))
    assert ran.out.startswith(r"# A \<b\>\*pump\*\</b\> \| \[x\](y) \x1b\[31m\u202e")


def test_what_a_rule_says_cannot_steer_a_terminal(run: Run, tmp_path: Path) -> None:
    text = GOOD.replace("title: A pump is stuck", r'title: "A \e[31mpump\u202e"')
    ran = run("rules", "show", "lab.pump.stuck", "--rules", written(tmp_path, text))
    assert "\x1b" not in ran.out
    assert r"A \x1b[31mpump\u202e" in ran.out


def test_lint(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path)
    ran = run("rules", "lint", file)
    assert (ran.code, ran.out) == (0, "1 rule: no problem\n")
    file.write_text(GOOD.replace("PRESSURE_FAULT", "is stuck"))
    ran = run("rules", "lint", tmp_path)
    assert ran.code == 1
    assert f'{file}:15: signatures[0].literals[0]: the literal "is stuck" has fewer than 10 bytes' in ran.out
    value = run("rules", "lint", file, "--output", "json").json()
    assert value["rules"] == 1
    assert value["problems"][0]["where"] == "signatures[0].literals[0]"


def test_lint_of_the_shipped_rules(run: Run) -> None:
    assert run("rules", "lint").code == 0


def test_lint_of_what_is_no_rule(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "lint", written(tmp_path, GOOD.replace("kind: log", "kind: lgo")))
    assert ran.code == 2
    assert f'{tmp_path / NAME}:5: kind: "lgo" is not one of the words that may stand here' in ran.err
    assert "error: the rules have one problem" in ran.err
    ran = run("rules", "lint", tmp_path / "no")
    assert (ran.code, "is not there" in ran.err) == (2, True)


def test_a_rule_with_the_id_of_one_of_ours(run: Run, tmp_path: Path) -> None:
    name = "vasa.provider.setcontext-storm"
    file = written(tmp_path, GOOD.replace("id: lab.pump.stuck", f"id: {name}"), f"{name}.yaml")
    ran = run("rules", "lint", file)
    assert ran.code == 2
    assert f'the rule "{name}" is also in' in ran.err


def test_test(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path)
    ran = run("rules", "test", file)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("1 rule, 1 positive, ")
    assert ran.out.endswith(" splits, 1 negative, 4 replays, 0 captures: all hold\n")
    file.write_text(GOOD.replace("more_than: 10,", "more_than: 9,"))
    ran = run("rules", "test", file)
    assert ran.code == 1
    assert '"eleven in 300 s": the window storm fires 1 times instead of 0' in ran.out
    assert ran.out.endswith(": 1 failure\n")
    value = run("rules", "test", file, "--output", "json").json()
    assert value["counts"]["positives"] == 1
    assert value["failures"][0]["test"] == "eleven in 300 s"


@pytest.mark.timeout(300)
def test_the_tests_of_the_shipped_rules_hold(run: Run) -> None:
    ran = run("rules", "test", "--output", "json")
    value = ran.json()
    assert value["failures"] == []
    assert ran.code == 0
    assert value["counts"]["rules"] >= 29
    assert value["counts"]["transforms"] > value["counts"]["positives"]


def test_export(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "export", "aria", "440879")
    assert (ran.code, ran.err) == (0, "")
    (alert,) = json.loads(ran.out)
    assert alert["threshold"] == 10
    ran = run("rules", "export", "loki", "440879", "412434")
    assert ran.code == 0
    assert "groups:" in ran.out
    ran = run("rules", "export", "prometheus", "lab.pump.stuck", "425869", "--rules", written(tmp_path))
    assert ran.code == 1
    assert 'window="pumps"} >= 3' in ran.out
    assert ran.err == ("refused: avi.ports.source-exhaustion: it is about the output of a command, and has no window\n")
    value = run("rules", "export", "aria", "425869", "--output", "json").json()
    assert value["alerts"] == []
    assert value["refusals"][0]["alert"] == "avi.ports.source-exhaustion"
    assert run("rules", "export", "splunk").code == 2


def test_the_worked_example_of_the_docs(run: Run, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "rules.md").read_text()
    example, said = re.search(r"```yaml\n(.*?)```.*?```text\n\s*(1 rule.*?)\n", page, re.DOTALL).groups()  # type: ignore[union-attr]
    file = written(tmp_path, example)
    assert run("rules", "lint", file).out == "1 rule: no problem\n"
    assert run("rules", "test", file).out == f"{said}\n"
    assert all(f"`{transform.id}`" in page for transform in TRANSFORMS)


def test_what_a_rule_holds_does_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('"\\e[31m": 1\n')
    ran = run("rules", "lint", tmp_path)
    assert ran.code == 2
    assert "\x1b" not in ran.err
    assert "\\x1b[31m" in ran.err

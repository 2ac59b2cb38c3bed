"""The page about scripts before a vCenter, its table, and what is played."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from browsers import complaints, shown
from scripts_played import through, without
from tidegate.lab.vcenter_habits import Habits, ScriptsSpec
from tidegate.lab.vcenter_report import scripts_page, scripts_table
from tidegate.lab.vcenter_scenario import VcenterScenario

NUMBERS = {"with_gate": through().numbers(), "without_gate": without().numbers()}


def page() -> str:
    return scripts_page(VcenterScenario(), NUMBERS, without(), through())


def test_nothing_is_fetched() -> None:
    text = page()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    assert "{{" not in text
    assert "uPlot" in text
    assert text.count('unit: "') == text.count('good: "What good looks like: ') == 5


def test_the_data_is_what_was_measured() -> None:
    found = re.search(r"^const data = (.*);$", page(), re.MULTILINE)
    assert found
    seen: dict[str, Any] = json.loads(found[1])
    assert (seen["failed"], seen["peak"], seen["until_s"]) == ([365, 0], [200, 9], 19.66)
    assert (seen["token_life_s"], seen["idle_s"], seen["queue_max"]) == (5, 30, 600)
    assert seen["with"] == {
        "t": [0.0, 1.0], "sessions": [0, 9], "in_flight": [0, 3], "tasks_queued": [0, 40], "failed_calls": [0, 0],
        "held": [0, 7],
    }  # fmt: skip


def test_the_table() -> None:
    out = io.StringIO()
    none_answered = {**NUMBERS, "without_gate": {**NUMBERS["without_gate"], "p99_ms": None}}
    Console(width=120, file=out).print(scripts_table(VcenterScenario(), none_answered))
    text = out.getvalue()
    assert re.search(r"sessions there, at most\s+│\s+200\s+│\s+9", text)
    assert re.search(r"p99 \(ms\)\s+│\s+none was answered\s+│\s+3.0", text)
    assert "Time is divided by 60 and room by ten: 200 sessions for 2000" in " ".join(text.split())


def test_time_of_the_vcenter_and_of_the_gate_is_divided_alike() -> None:
    scenario = VcenterScenario(speed=100, scripts=7)
    front = scenario.front(Path("/x"))
    assert (front["token_life_s"], front["session_idle_s"], scenario.token_life_s) == (3, 18, 3)
    inventory = front["inventory"]
    hosts = inventory["cluster"] * inventory["host"]
    assert hosts * front["host_workers"] / front["task_s"] == pytest.approx(200)
    spec = ScriptsSpec(**scenario.scripts_spec(Path("/x"), "127.0.0.1:443"))
    assert (spec.port, spec.scripts, spec.machines, spec.ca) == (443, 7, 20, "/x/ca.pem")


def test_habits_are_those_of_an_estate() -> None:
    habits = [Habits.of(number) for number in range(200)]
    assert sum(one.forgets for one in habits) == 67
    assert sum(one.login_per_machine for one in habits) == 20
    assert sum(one.waits == "filter" for one in habits) == 14
    assert not any(one.forgets and one.waits == "filter" for one in habits)


@pytest.mark.peer("chromium")
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    seen = shown(page(), tmp_path)
    assert seen.count("<canvas") == 5
    assert "Without the gate 365 calls failed" in seen
    assert complaints(page(), tmp_path) == []

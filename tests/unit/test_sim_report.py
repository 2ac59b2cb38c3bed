"""The page about a rehearsal: self-contained, the figures of the JSON, and a time axis that shows something."""

import json
import re
from typing import Any

from rehearsals import NEVER, result
from tidegate.sim.report import report_page

STORM = {"title": "A <storm>", "hosts": 300, "seed": 1, "window_s": 600.0, "best_in_flight": 22, "best_rate": 18.68}


def page(**runs: dict[str, Any]) -> str:
    return report_page(STORM, runs)


def data(text: str) -> dict[str, Any]:
    found = re.search(r"^const data = (.*);$", text, re.MULTILINE)
    assert found
    value: dict[str, Any] = json.loads(found[1].replace("<\\/", "</"))
    return value


def test_nothing_is_fetched_and_everything_is_filled_in() -> None:
    text = page(tidegate=result())
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    assert "{{" not in text
    assert "A &lt;storm&gt;" in text
    assert text.count('good: "What good looks like: ') == 3


def test_the_figures() -> None:
    text = page(none=result(**NEVER), tidegate=result())
    cells = [re.findall(r"<td>([^<]*)</td>", row) for row in re.findall(r"<tr><th scope=row>.*?</tr>", text)]
    assert cells == [
        ["3", "never", "–", "never", "5000", "0", "40", "99.0 %", "23", "–"],
        ["300", "40.0", "1.23", "20.0", "0", "57", "0", "0.0 %", "23", "0.75"],
    ]


def test_the_curves() -> None:
    seen = data(page(none=result(**NEVER), tidegate=result()))
    assert seen["ours"] == "tidegate"
    assert seen["connected"]["none"] == [[0.0, 20.0, 40.0], [0, 150, 300]]
    assert seen["gate"]["limit"] == [4, 22, 22]


def test_without_the_gate_the_first_policy_is_looked_at() -> None:
    assert data(page(none=result(**NEVER), mine=result()))["ours"] == "none"


def test_a_restart_by_hand_does_not_squeeze_the_rest() -> None:
    long = {"t": [0.0, 4000.0], "connected": [0, 300], "held": [0, 0], "in_flight": [0, 0], "limit": [None, None]}
    runs = {"kb-manual": result(last_connected_s=4000.0, curves=long), "tidegate": result()}
    assert data(report_page(STORM, runs))["until_s"] == 160.0
    assert data(report_page(STORM, {"none": result(**NEVER)}))["until_s"] == 40.0


def test_a_storm_without_a_floor() -> None:
    text = page(tidegate=result(floor_s=None))
    assert data(text)["floor_s"] is None
    assert "At its best" not in text

"""The page and the table: self-contained, honest about time, and the same figures as the JSON."""

import io
import json
import re

from rich.console import Console

from storms import NUMBERS, through, without
from tidegate.lab.report import comparison, report_page
from tidegate.lab.scenario import Scenario


def page() -> str:
    return report_page(Scenario(), NUMBERS, without(), through())


def data() -> dict[str, object]:
    found = re.search(r"^const data = (.*);$", page(), re.MULTILINE)
    assert found
    value: dict[str, object] = json.loads(found[1].replace("<\\/", "</"))
    return value


def test_nothing_is_fetched() -> None:
    text = page()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", text)
    assert "@import" not in text
    assert "{{" not in text


def test_the_library_is_inside() -> None:
    assert "uPlot" in page()
    assert len(page()) > 50_000


def test_every_chart_says_its_unit_and_what_good_looks_like() -> None:
    script = page()
    assert script.count('unit: "') == 4
    assert script.count('good: "What good looks like: ') == 4


def test_the_data_is_what_was_measured() -> None:
    seen = data()
    assert seen["connected"] == [2, 300]
    assert seen["with"] == {
        "storm": [[0.0, 0.25], [0, 300]],
        "provider": [[0.0, 0.25], [22, 3]],
        "gate_t": [0.1, 0.3],
        "held": {"new-session": [270, 0]},
        "away": {"too-late": [0, 7]},
    }


def test_data_cannot_end_the_script() -> None:
    result = through()
    result.gate_samples[0]["turned_away"] = {"</script><b>": 1}
    assert "</script><b>" not in report_page(Scenario(), NUMBERS, without(), result)


def test_the_text_says_how_fast_the_world_ran() -> None:
    assert "Every duration of this world was divided by 5" in page()
    assert "Every duration" not in report_page(Scenario(speed=1), NUMBERS, without(), through())


def test_the_table() -> None:
    out = io.StringIO()
    Console(width=120, file=out).print(comparison(Scenario(), NUMBERS))
    text = out.getvalue()
    assert re.search(r"hosts connected\s+│\s+2\s+│\s+300", text)
    assert re.search(r"last host connected \(s\)\s+│\s+not within the window\s+│\s+6.9", text)
    assert re.search(r"wasted work\s+│\s+98.8 %\s+│\s+0.0 %", text)
    assert "Every duration is divided by 5" in " ".join(text.split())

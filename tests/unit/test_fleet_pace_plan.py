"""The plan of paced work: what it may say, and what is told of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.errors import ConfigError
from tidegate.fleet.guards import DatastoreLatency, WindowGuard
from tidegate.fleet.pace import Rules
from tidegate.fleet.pace_plan import (
    PacePlan,
    checked_vms,
    guards_for,
    load_pace_plan,
    load_vms,
    parse_pace_plan,
    rules_for,
)

ROOT = Path(__file__).resolve().parents[2]
LEAST = '[vms]\nfile = "vms.txt"\n'


def parsed(text: str) -> PacePlan:
    return parse_pace_plan(text, Path("/plans/night.toml"), now=1_800_000_000.0)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return [f"{problem} ({problem.hint})" for problem in caught.value.problems]


def test_the_example_is_a_plan() -> None:
    plan = load_pace_plan(ROOT / "examples" / "pace.toml")
    assert plan.vms.file == ROOT / "examples" / "pace-vms.txt"
    assert len(load_vms(plan.vms.file)) == 5
    assert rules_for(plan) == Rules(20, 4, 30.0, 900.0, wait=False)
    assert [guard.name for guard in guards_for(plan)] == ["failures", "automation"]


def test_what_the_example_leaves_out_is_a_plan_too() -> None:
    text = (ROOT / "examples" / "pace.toml").read_text()
    commented = text.replace("# [", "[").replace("# address", "address").replace("# user", "user")
    commented = commented.replace("# kind", "kind").replace("# stop", "stop").replace("# halve", "halve")
    plan = parsed(commented)
    assert plan.vcenter is not None
    assert DatastoreLatency("disk", 0.020, 0.025) in guards_for(plan)


def test_defaults_are_those_of_the_article() -> None:
    plan = parsed(LEAST)
    assert plan.vms.file == Path("/plans/vms.txt")
    assert plan.pace.batch == 20
    assert not guards_for(plan)
    assert rules_for(plan, wait=True).wait


def test_overlapping_windows_are_an_error_that_names_both() -> None:
    text = LEAST + (
        '[window.backup]\nfrom = "22:00"\nto = "04:00"\nzone = "UTC"\n'
        '[window.tasks]\ndays = ["tue"]\nfrom = "03:00"\nto = "06:00"\nzone = "UTC"\n'
    )
    (said,) = problems(text)
    assert said.startswith(
        '/plans/night.toml:7: window.tasks: the windows "backup" and "tasks" overlap: tue 03:00–04:00 UTC'
    )


def test_its_window_is_a_guard() -> None:
    (guard,) = guards_for(parsed('[pace]\nwindow = "n"\n' + LEAST + '[window.n]\nfrom = "22:00"\nto = "04:00"\n'))
    assert isinstance(guard, WindowGuard)
    assert guard.name == "n"


VCENTER = '[vcenter]\naddress = "vc.example"\nuser = "u"\n'
WINDOW = '[window.n]\nfrom = "22:00"\nto = "04:00"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'the key "vms" is missing'),
        ("[vms]\n", "names no machines"),
        ('[vms]\nfile = "a"\nclusters = ["c"]\n' + VCENTER, "has both a file and a selection"),
        ('[vms]\nclusters = ["c"]\n', "selects machines of a vCenter, and the plan names none"),
        ("[pace]\nbatch = 60\n" + LEAST, "pace.batch"),
        ("[pace]\nbatch = 3\n" + LEAST, "concurrency: is more than batch, which is 3"),
        ('[pace]\ntimeout = "0s"\n' + LEAST, "gives a command no time"),
        ("[pace]\npause = 30\n" + LEAST, "has no unit"),
        ('[pace]\npuase = "30s"\n' + LEAST, 'did you mean "pause"'),
        ('[pace]\nwindow = "backup"\n' + LEAST + WINDOW, 'there is no window "backup" (declared windows: n)'),
        (LEAST + '[window.n]\nfrom = "22:00"\nto = "22:00"\n', "never opens"),
        (LEAST + '[window.n]\nform = "22:00"\nto = "23:00"\n', 'did you mean "from"'),
        (LEAST + '[window.n]\nfrom = "22:00"\nto = "23:00"\ndays = []\n', "never opens: it has no days"),
        (LEAST + '[window.n]\nfrom = "22:00"\nto = "23:00"\nzone = "Berlin"\n', 'there is no time zone "Berlin"'),
        (LEAST + '[guard.disk]\nkind = "datastore-latency"\n', "needs a vCenter, and the plan names none"),
        (LEAST + '[guard.a]\nkind = "alert"\n', "has nothing to read"),
        (
            '[pace]\nwindow = "n"\n' + LEAST + WINDOW + '[guard.n]\nkind = "failed-hosts"\n',
            "has the name of the window",
        ),
    ],
)
def test_mistakes_are_said(text: str, says: str) -> None:
    assert any(says in said for said in problems(text)), problems(text)


def test_names_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "vms.txt"
    file.write_text("# all\n\n web 1 \r\ndb#1\n")
    assert load_vms(file) == ["web 1", "db#1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "vms.txt: names no machine"),
        ("a\nb\na\n", 'vms.txt:3: the machine "a" stands here twice, first in line 1'),
        ("a\tb\n", "vms.txt:1: a name has control characters in it"),
        ("x" * 300, "is longer than a name may be"),
        ("\n".join(map(str, range(20_001))), "names 20001 machines, more than 20000"),
    ],
)
def test_a_list_that_cannot_be_meant_is_said(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "vms.txt"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_vms(file)
    assert says in str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "selects no machine"),
        (["a", "b", "a"], 'selects two machines named "a"'),
        (["a\nb"], "control characters"),
        ([str(n) for n in range(20_001)], "selects 20001 machines"),
    ],
)
def test_what_a_vcenter_selects_is_looked_at(names: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_vms(names, Path("p.toml"))
    assert says in str(caught.value.problems[0])

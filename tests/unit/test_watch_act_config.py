"""What a file says of acting: what becomes of it, and what is refused with a hint."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tidegate.watch.live.act_config import ActingTable, ActTable, acts_of, broken_acts, unknown_to_acts
from tidegate.watch.live.act_gate import carry_out
from tidegate.watch.live.acts import Act, Matter, Order
from tidegate.watch.load import load_rules

MINUTE = 60 * 10**9
TELL = """
rule = "vasa.provider.setcontext-storm"
do = "recovering"
corroborate = "probe.vasa-gate"
gate = "unix:/run/tidegate/vasa/admin.sock"
service = "vasa"
where = { provider = "vp1.example.com" }
"""
PROPOSE = """
rule = "vasa.provider.setcontext-storm"
do = "propose"
corroborate = ["probe.vasa-gate/avi.ports.source-exhaustion"]
plan = "vvold.toml"
quiet = "20m"
"""


def table(text: str, **changed: Any) -> dict[str, ActTable]:
    return {"one": ActTable.model_validate({**tomllib.loads(text), **changed})}


def test_a_file_becomes_acts() -> None:
    assert acts_of(table(TELL)) == (
        Act(
            "one",
            "vasa.provider.setcontext-storm",
            "recovering",
            ("probe.vasa-gate",),
            gate="/run/tidegate/vasa/admin.sock",
            service="vasa",
            where=(("provider", "vp1.example.com"),),
        ),
    )
    (propose,) = acts_of(table(PROPOSE))
    assert (propose.plan, propose.quiet, propose.standing) == ("vvold.toml", 20 * MINUTE, False)
    assert not ActingTable().enabled


@pytest.mark.parametrize("text", [TELL, PROPOSE])
def test_nothing_is_wrong_with_good_ones(text: str) -> None:
    assert list(broken_acts(table(text), {"vasa-gate"})) == []
    assert list(unknown_to_acts(table(text), load_rules())) == []


@pytest.mark.parametrize(
    ("text", "changed", "says"),
    [
        (TELL, {"corroborate": ["files.esx"]}, '"files.esx" is no probe of this file'),
        (TELL, {"corroborate": ["probe.other"]}, '"probe.other" is no probe of this file'),
        (TELL, {"corroborate": ["vasa-gate"]}, '"vasa-gate" is no probe of this file'),
        (TELL, {"gate": None}, "tells no gate"),
        (TELL, {"plan": "p.toml"}, "is for a fleet run, and this tells a gate"),
        (PROPOSE, {"plan": None}, "proposes no plan"),
        (PROPOSE, {"approval": "standing"}, "would start a fleet run without a person"),
        (PROPOSE, {"service": "vasa"}, "is for telling a gate, and this proposes a fleet run"),
    ],
)
def test_what_would_be_dangerous_is_refused(text: str, changed: dict[str, Any], says: str) -> None:
    (broken,) = broken_acts(table(text, **changed), {"vasa-gate"})
    assert broken.message == says
    assert broken.hint


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"rule": "vasa.provider.storm"}, 'there is no rule "vasa.provider.storm"'),
        ({"where": {"vp": "x"}}, 'no window of vasa.provider.setcontext-storm is kept apart by "vp"'),
        ({"severities": ["notice"]}, "vasa.provider.setcontext-storm is never notice"),
        ({"corroborate": ["probe.vasa-gate/no.rule"]}, 'there is no rule "no.rule"'),
    ],
)
def test_what_no_rule_knows_is_said(changed: dict[str, Any], says: str) -> None:
    (broken,) = unknown_to_acts(table(TELL, **changed), load_rules())
    assert broken.message == says
    assert broken.hint


def test_a_proposal_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (act,) = acts_of(table(PROPOSE))
    matter = Matter("0123456789ab", act, "proposed", "e", (), (), 6, 0, 0, 0, begun=0)
    order = Order("write", matter)
    assert asyncio.run(carry_out(order, tmp_path))[0] == "done"
    (tmp_path / "file").write_text("")
    outcome, says = asyncio.run(carry_out(order, tmp_path / "file"))
    assert outcome == "refused"
    assert "cannot be written to" in says

"""Acting: nothing without a probe and an approval, one per target and hour, the switch, and what comes after."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acted import ASK, HOLD, MINUTE, PROBE, PROPOSE, TELL, S, World, episode, opened, shown
from tidegate.errors import UsageError
from tidegate.watch.live.acts import Act, Matter
from tidegate.watch.live.matters import HOUR
from tidegate.watch.live.model import Gap, Hit


def test_an_episode_alone_does_nothing() -> None:
    world = World((TELL, PROPOSE))
    world.storm()
    world.later(HOUR)
    assert {Matter.from_json(one).state for one in world.acting.view()["matters"]} == {"wanted"}
    assert world.orders == []


def test_a_probe_that_agrees_lets_a_gate_be_told_once() -> None:
    world = World((TELL,))
    world.storm()
    world.probe()
    world.probe()
    assert (world.whats, world.state, world.matter.approved_by) == (["recovering"], "telling", "the configuration")


@pytest.mark.parametrize(
    "hit",
    [
        shown(100 * HOUR, source="files.esx"),
        shown(100 * HOUR, source="syslog.all"),
        shown(100 * HOUR, source="probe.other"),
        shown(100 * HOUR - 5 * MINUTE),
        shown(100 * HOUR, quoted=True),
    ],
    ids=["a file", "syslog", "another probe", "long ago", "an article"],
)
def test_what_is_no_witness(hit: Hit) -> None:
    world = World((TELL,))
    world.storm()
    world.step(hits=[hit])
    assert (world.orders, world.state) == ([], "wanted")


def test_a_probe_counts_for_the_rule_that_is_named() -> None:
    world = World((replace(TELL, corroborate=(f"{PROBE}/gate.server.down",)),))
    world.storm()
    world.step(hits=[shown(world.now, rule="gate.ports.full")])
    assert world.state == "wanted"
    world.step(hits=[shown(world.now)])
    assert world.state == "telling"


def test_a_gate_waits_for_an_approval_and_for_a_probe_at_that_moment() -> None:
    world = World((ASK,))
    world.storm()
    with pytest.raises(UsageError, match="takes no approval"):
        world.acting.approve(world.matter.id, world.now, by="ann")
    world.probe()
    assert (world.state, world.orders) == ("proposed", [])
    world.later(6 * MINUTE)
    with pytest.raises(UsageError, match="no probe shows now"):
        world.acting.approve(world.matter.id, world.now, by="ann")
    world.probe()
    world.take(world.acting.approve(world.matter.id, world.now, by="ann"))
    assert (world.whats, world.state, world.matter.approved_by) == (["recovering"], "telling", "ann")


def test_a_fleet_run_is_written_down_and_takes_no_approval_here() -> None:
    world = World((PROPOSE,))
    world.storm()
    world.probe()
    assert (world.whats, world.state) == (["write"], "proposed")
    with pytest.raises(UsageError, match="watch starts none"):
        world.acting.approve(world.matter.id, world.now, by="ann")
    assert world.whats == ["write"]


def test_a_run_that_is_over_is_verified_by_the_same_rule() -> None:
    world = World((PROPOSE,))
    world.storm()
    world.probe()
    world.take(world.acting.ran(world.matter.id, world.now))
    world.later(9 * MINUTE)
    assert world.state == "verifying"
    world.over()
    world.later(10 * MINUTE - 1)
    assert world.state == "verifying"
    world.later(1)
    assert world.state == "verified"
    assert world.whats == ["write", "write", "write"]


def test_a_run_may_take_longer_than_the_symptom() -> None:
    world = World((PROPOSE,))
    world.storm()
    world.probe()
    world.over()
    world.later(HOUR - 1)
    assert world.state == "proposed"
    world.later(1)
    assert world.state == "lapsed"
    world.take(world.acting.ran(world.matter.id, world.now))
    assert world.state == "verifying"
    with pytest.raises(UsageError, match="verifying"):
        world.acting.ran(world.matter.id, world.now)


def test_a_symptom_that_stays_is_said() -> None:
    world = World((TELL,))
    world.storm()
    world.probe()
    world.told()
    for _ in range(30):
        world.later(MINUTE)
    assert world.state == "not_helped"


@pytest.mark.parametrize(
    ("gap", "state"),
    [
        (Gap("syslog.all", "kernel_drops", "", 0, 100 * HOUR + 1), "unknown"),
        (Gap(PROBE, "probe_failed", "", 0, 100 * HOUR + 1), "unknown"),
        (Gap("probe.other", "probe_failed", "", 0, 100 * HOUR + 1), "verified"),
        (Gap("syslog.all", "kernel_drops", "", 0, 100 * HOUR - 1), "verified"),
    ],
    ids=["records lost", "its probe failed", "a strange probe failed", "before"],
)
def test_a_silence_with_a_gap_is_unknown(gap: Gap, state: str) -> None:
    world = World((TELL,))
    world.storm()
    world.probe()
    world.told()
    world.open.clear()
    world.step(gaps=[gap])
    world.crash()
    world.later(10 * MINUTE)
    assert world.state == state


def test_maintenance_ends_with_the_symptom() -> None:
    world = World((HOLD,))
    world.storm()
    world.probe()
    world.told()
    world.later(MINUTE)
    assert (world.state, world.whats) == ("holding", ["maintenance_on"])
    world.over()
    assert (world.state, world.whats) == ("ending", ["maintenance_on", "maintenance_off"])
    world.told()
    assert world.state == "verifying"


def test_maintenance_ends_after_its_time() -> None:
    world = World((HOLD,))
    world.storm()
    world.probe()
    world.told()
    world.later(15 * MINUTE - 1)
    assert world.state == "holding"
    world.later(1)
    assert world.whats == ["maintenance_on", "maintenance_off"]


def test_a_gate_that_does_not_hear_is_told_again_for_an_hour() -> None:
    world = World((HOLD,))
    world.storm()
    world.probe()
    world.told("unsure")
    world.over()
    for _ in range(3):
        world.told("unsure")
        world.later(30 * S)
    assert world.whats == ["maintenance_on"] + 4 * ["maintenance_off"]
    world.later(HOUR)
    assert world.state == "failed"
    assert "tidegate gate maintenance off" in world.matter.says


def test_a_refusal_is_no_maintenance_to_be_ended() -> None:
    world = World((HOLD,))
    world.storm()
    world.probe()
    world.told("refused")
    world.over()
    world.later(HOUR)
    assert (world.state, world.whats) == ("failed", ["maintenance_on"])


def test_the_switch_ends_what_waits_and_gives_back_what_was_begun() -> None:
    world = World((HOLD, PROPOSE))
    world.storm()
    world.probe()
    world.told()
    world.take(world.acting.switch(world.now, world.open.values(), on=False))
    states = {one["act"]["name"]: one["state"] for one in world.acting.view()["matters"]}
    assert states == {"slow-start": "ending", "restart": "lapsed"}
    world.crash()
    assert not world.acting.on
    world.later(2 * HOUR)
    world.storm(episode("e2"))
    world.probe()
    assert world.whats.count("maintenance_on") == 1


def test_an_answer_that_comes_after_the_switch_gives_back() -> None:
    world = World((HOLD,))
    world.storm()
    world.probe()
    world.take(world.acting.switch(world.now, world.open.values(), on=False))
    world.told()
    world.later(S)
    assert world.whats == ["maintenance_on", "maintenance_off"]


@pytest.mark.parametrize(("act", "state"), [(TELL, "ending"), (HOLD, "holding")], ids=["recovering", "maintenance"])
def test_what_nobody_says_about_a_gate_may_have_been_done(act: Act, state: str) -> None:
    world = World((act,))
    world.storm()
    world.probe()
    world.later(MINUTE - 1)
    assert world.state == "telling"
    world.later(1)
    assert (world.state, len(world.orders)) == (state, 1)


def test_a_clock_that_is_set_back_holds_no_gate_and_shows_nothing() -> None:
    world = World((HOLD, ASK))
    world.storm()
    world.probe()
    world.told()
    world.later(-HOUR)
    assert world.whats == ["maintenance_on", "maintenance_off"]
    world.later(-2 * MINUTE)
    assert world.whats == ["maintenance_on", "maintenance_off", "maintenance_off"]
    world = World((ASK,))
    world.storm()
    world.probe()
    world.later(-HOUR)
    with pytest.raises(UsageError, match="no probe shows now"):
        world.acting.approve(world.matter.id, world.now, by="ann")


def test_the_second_within_the_hour_waits_for_its_end() -> None:
    world = World((TELL,))
    world.storm()
    world.probe()
    world.told()
    world.over()
    world.later(10 * MINUTE)
    assert world.state == "verified"
    world.storm(episode("e2"))
    world.probe()
    assert (world.state, len(world.orders)) == ("wanted", 1)
    world.later(50 * MINUTE)
    world.probe()
    assert (world.state, len(world.orders)) == ("telling", 2)


def test_what_is_held_back_is_asked_for_afterwards() -> None:
    world = World((TELL,))
    world.storm()
    world.probe()
    world.told()
    world.storm(episode("e2", provider="vp2"))
    world.storm(episode("e3", provider="vp3"))
    del world.open["e1"], world.open["e2"]
    world.crash()
    world.later(30 * MINUTE)
    assert (world.matter.episode, world.state) == ("e3", "wanted")
    world.probe()
    assert world.whats == ["recovering"]
    world.later(30 * MINUTE)
    world.probe()
    assert world.whats == ["recovering", "recovering"]


@pytest.mark.parametrize("acts", [(TELL,), ()], ids=["it is over", "its act is configured no more"])
def test_what_was_held_back_and_is_not_wanted_any_more(acts: tuple[Act, ...]) -> None:
    world = World((TELL,))
    world.storm()
    world.probe()
    world.told()
    world.storm(episode("e2"))
    if acts:
        world.open.clear()
    world.acts = acts
    world.crash()
    world.later(30 * MINUTE)
    world.later(2 * HOUR)
    assert (world.matter.episode, world.whats) == ("e1", ["recovering"])


def test_two_acts_on_one_service_share_its_hour() -> None:
    world = World((TELL, replace(HOLD, name="hold")))
    world.storm()
    world.probe()
    assert world.whats == ["recovering"]
    assert world.acting.view()["held_back"] == 1


def test_an_act_is_about_its_scope_and_severity() -> None:
    world = World((replace(TELL, where=(("provider", "vp2"),)),))
    world.storm()
    world.storm(episode("e2", provider="vp2", severity="warning"))
    world.storm(episode("e3", provider="vp2", rule="other.rule.here"))
    assert world.acting.view()["matters"] == []
    world.step(notices=[opened(episode("e4", provider="vp2"), "cleared")])
    assert world.acting.view()["matters"] == []
    world.storm(episode("e5", provider="vp2"))
    assert world.state == "wanted"


@pytest.mark.parametrize("act", [TELL, HOLD])
def test_after_a_crash_a_gate_is_not_told_again(act: Act) -> None:
    world = World((act,))
    world.storm()
    world.probe()
    world.crash()
    world.probe()
    assert len(world.orders) == 1
    assert world.state == ("ending" if act is TELL else "holding")


def test_after_a_crash_a_proposal_is_written_again_as_it_is() -> None:
    world = World((PROPOSE, TELL))
    world.storm()
    world.probe()
    before = [matter for _, what, matter in world.orders if what == "write"]
    world.crash()
    world.step()
    world.step()
    again = [matter for _, what, matter in world.orders if what == "write"]
    assert [matter.state for matter in again] == ["proposed", "proposed"]
    assert {matter.id for matter in again} == {matter.id for matter in before}


def test_a_matter_is_finished_though_its_act_is_configured_no_more() -> None:
    world = World((HOLD,))
    world.storm()
    world.probe()
    world.told()
    world.acts = ()
    world.crash()
    world.over()
    assert world.whats == ["maintenance_on", "maintenance_off"]


@pytest.mark.parametrize(
    "changed",
    [
        {"corroborate": ()},
        {"corroborate": ("files.esx",)},
        {"gate": ""},
        {"do": "propose", "plan": "/p.toml"},
        {"do": "propose", "standing": False},
    ],
    ids=["no probe", "a file as a probe", "no gate", "a standing run", "a run without a plan"],
)
def test_acts_that_would_be_dangerous_cannot_be_made(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"an act names|is proposed with|its admin socket"):
        replace(TELL, **changed)


MOVES = st.lists(
    st.sampled_from(
        ["storm", "forged", "over", "probe", "later", "long", "crash", "done", "refused", "off", "on", "approve", "ran"]
    ),
    max_size=60,
)


class Moved(World):
    """A world in which anything happens in any order, and what must hold of it."""

    probed, on, approved = -HOUR, True, False
    refused: frozenset[str] = frozenset()
    state_before: dict[str, str]

    def move(self, move: str, number: int) -> None:
        match move:
            case "storm":
                self.storm(episode(f"e{number}"))
            case "forged":
                self.step(hits=[shown(self.now, source="syslog.all")])
            case "probe":
                self.probed = self.now
                self.probe()
            case "later" | "long":
                self.later(MINUTE if move == "later" else 20 * MINUTE)
            case "done" | "refused":
                waiting = {one["id"] for one in self.acting.view()["matters"] if one["state"] == "telling"}
                self.refused |= waiting if move == "refused" else set()
                self.told(move)
            case "off" | "on":
                self.on = move == "on"
                self.take(self.acting.switch(self.now, self.open.values(), on=self.on))
            case "approve" | "ran":
                self.say(move)
            case "over":
                self.over()
            case _:
                self.crash()

    def say(self, word: str) -> None:
        self.approved = self.approved or word == "approve"
        for one in self.acting.view()["matters"]:
            with suppress(UsageError):
                approved = word == "approve" and self.acting.approve(one["id"], self.now, by="x")
                self.take(approved or self.acting.ran(one["id"], self.now))


def begins(what: str, matter: Matter) -> bool:
    return what in {"maintenance_on", "recovering"} or (what == "write" and matter.state == "proposed")


def begun(world: World, act: Act) -> list[int]:
    """Return when an act was begun; a page that is written again begins nothing."""
    found = [(what, matter.id, at) for at, what, matter in world.orders if matter.act == act and begins(what, matter)]
    pages = {name: at for what, name, at in reversed(found) if what == "write"}
    return sorted([*pages.values(), *(at for what, _, at in found if what != "write")])


@settings(max_examples=300, deadline=None)
@given(moves=MOVES)
def test_whatever_happens(moves: list[str]) -> None:
    """Nothing without a fresh probe and an approval, nothing while off, one an hour, what is begun is given back."""
    world = Moved((HOLD, replace(ASK, name="ask", service="other"), PROPOSE))
    for number, move in enumerate(moves):
        before = len(world.orders)
        world.state_before = {one["id"]: one["state"] for one in world.acting.view()["matters"]}
        world.move(move, number)
        for at, what, matter in world.orders[before:]:
            again = what == "write" and world.state_before.get(matter.id) == "proposed"
            assert not begins(what, matter) or again or (world.on and at - world.probed < 5 * MINUTE)
            assert what != "recovering" or world.approved
            assert (what == "write") == (matter.act.do == "propose")
    for act in world.acts:
        assert all(later - earlier >= HOUR for earlier, later in pairwise(begun(world, act)))
    # Whatever was brought into maintenance, and did not refuse, is told to end it: whoever crashed meanwhile.
    world.crash()
    world.later(15 * MINUTE)
    told = [(what, matter.id) for _, what, matter in world.orders if matter.act == HOLD]
    assert not told or told[-1][0] == "maintenance_off" or told[-1][1] in world.refused

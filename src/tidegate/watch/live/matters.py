"""The life of one matter: (matter, what is seen now) → the matter as it is then, and an order if there is one.

In words::

    wanted ──► proposed ──► telling ──► holding ──► ending ──► verifying ──► verified, not_helped, unknown
       │           │  │        ├────────── recovering ────────────►▲
       └─ lapsed ◄─┘  │        └─► failed ◄── ending               │
                      └────────────── a fleet run is over ─────────┘

- **wanted**: an episode of the rule opened or escalated. It waits until a probe of the act shows the same trouble, and
  until the hour of the target's last matter is over. It lapses when no episode is open any more.
- **proposed**: a probe agrees. A fleet run is written down for a person, who starts it with ``tidegate fleet`` and says
  when it is over; nothing here starts one. A gate waits for an approval, and a probe must agree at the moment of that,
  too; where the configuration is a standing approval this state is passed over.
- **telling**: the gate is being told, once at the most: a watch that ended in this state does not tell it again. That
  its servers recover is told by announcing a restart and ending that at once (``act_gate.py``); where it may have been
  done by half, the end of it follows. What is not heard of for a minute may have been done.
- **holding**: the gate is in maintenance until no episode is open, ``hold`` is over, or acting is switched off.
- **ending**: it is told that maintenance is over, again and again for an hour, until it has heard.
- **verifying**: the same rule must stay silent for ``quiet``. Three times that long without such a silence:
  *not_helped*. A silence in which something was not seen: *unknown*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tidegate.watch.live.acts import Act, Matter, Order, State, Told, What
from tidegate.watch.live.model import Episode

__all__ = ["HOUR", "Seen", "Step", "after_crash", "go_on", "heard", "run_is_over", "tell", "wanted"]

HOUR = 3600 * 10**9
"""A target has one matter in so long, in nanoseconds; and so long are lapsed proposals and deaf gates waited for."""
_DEAF = 60 * 10**9
"""Nanoseconds after which nobody will say any more what became of telling a gate."""
_RETRY = 30 * 10**9
"""Nanoseconds between two tries to tell a gate that its maintenance is over."""
_PATIENCE = 3
"""So many times ``quiet`` may pass before it is said that it has not helped."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to be seen now of the trouble that a matter is about.

    ``witness`` is the probe that shows it, and ``seen`` when it did; "" when none does. ``gap`` is what was missed
    since the last look, in words.
    """

    now: int
    is_open: bool
    on: bool
    witness: str = ""
    seen: int | None = None
    gap: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """The matter as it is now, and what is to be carried out."""

    matter: Matter
    order: Order | None = None


def wanted(act: Act, episode: Episode, key: str, now: int, last: Matter | None) -> Matter:
    """Return the matter that an episode asks for, after the target's ``last`` one; ``key`` is what asked."""
    return Matter(
        id=hashlib.sha256(f"{act.target}\0{key}".encode()).hexdigest()[:12],
        act=act,
        state="wanted",
        episode=episode.key,
        scope=episode.scope,
        hosts=episode.hosts,
        count=episode.count,
        asked=now,
        changed=now,
        loud=now,
        not_before=_hour_over(last),
    )


def go_on(matter: Matter, seen: Seen) -> Step:
    """Return what becomes of a matter by what is seen now; the same matter when nothing does."""
    if matter.is_ended:
        return Step(matter)
    if seen.is_open:
        matter = replace(matter, loud=seen.now)
    life = _LIVES.get(matter.state)
    return life(matter, seen) if life else Step(matter)


def tell(matter: Matter, seen: Seen, by: str) -> Step:
    """Let the gate be told, after ``by`` has approved it; a probe must agree, which is for the caller to see to."""
    what: What = "recovering" if matter.act.do == "recovering" else "maintenance_on"
    matter = replace(matter, begun=seen.now, witness=seen.witness, seen=seen.seen, approved_by=by)
    return _to("telling", matter, seen.now, f"{seen.witness} shows it too; approved by {by}", order=what)


def heard(matter: Matter, now: int, outcome: Told, says: str) -> Step:
    """Take what became of telling a gate; what comes when nothing was told is left alone."""
    if matter.state == "ending":
        return _to("verifying", matter, now, says, done=now) if outcome == "done" else Step(replace(matter, says=says))
    if matter.state != "telling":
        return Step(matter)
    if outcome == "refused":
        return _to("failed", matter, now, says)
    if matter.act.do == "maintenance":
        return _to("holding", matter, now, says)
    return _to("verifying", matter, now, says, done=now) if outcome == "done" else _to("ending", matter, now, says)


def run_is_over(matter: Matter, now: int) -> Step | None:
    """Take a person's word that a proposed fleet run is over; ``None`` when there is no such run.

    A proposal that has lapsed meanwhile counts: a run may take longer than the symptom lasts.
    """
    if matter.act.do != "propose" or matter.begun is None or matter.state not in {"proposed", "lapsed"}:
        return None
    return _to("verifying", matter, now, "the run is over", done=now)


def after_crash(matter: Matter) -> Matter:
    """Return a stored matter as a new process goes on with it: a gate that may have been told is not told again."""
    if matter.state != "telling":
        return matter
    return heard(matter, matter.changed, "unsure", "the watch ended while it told the gate").matter


def _wanted(matter: Matter, seen: Seen) -> Step:
    now, act = seen.now, matter.act
    if not seen.on:
        return _to("lapsed", matter, now, "acting was switched off")
    if not seen.is_open:
        return _to("lapsed", matter, now, "the symptom went before anything was done")
    if now < matter.not_before or not seen.witness:
        return Step(matter)
    if act.standing:
        return tell(matter, seen, "the configuration")
    matter = replace(matter, witness=seen.witness, seen=seen.seen)
    if act.do == "propose":
        return _to("proposed", matter, now, f"{seen.witness} shows it too; its page says what to type", begun=now)
    return _to(
        "proposed", matter, now, f"{seen.witness} shows it too; `tidegate watch act approve {matter.id}` tells it"
    )


def _proposed(matter: Matter, seen: Seen) -> Step:
    if not seen.on:
        return _to("lapsed", matter, seen.now, "acting was switched off")
    # A run takes its time, and is what makes the symptom go: its proposal stays for the hour.
    kept_until = (matter.begun or 0) + HOUR if matter.act.do == "propose" else 0
    if not seen.is_open and seen.now >= kept_until:
        return _to("lapsed", matter, seen.now, "the symptom went before anything was done")
    if seen.witness:
        matter = replace(matter, witness=seen.witness, seen=seen.seen)
    return Step(matter)


def _telling(matter: Matter, seen: Seen) -> Step:
    if _within(matter.changed, _DEAF, seen.now):
        return Step(matter)
    return heard(matter, seen.now, "unsure", "nobody has said what became of telling the gate")


def _holding(matter: Matter, seen: Seen) -> Step:
    if not seen.on:
        why = "acting was switched off"
    elif not seen.is_open:
        why = "the symptom is gone"
    elif not _within(matter.begun or 0, matter.act.hold, seen.now):
        why = "it was held for as long as it may be"
    else:
        return Step(matter)
    return _to("ending", matter, seen.now, why, order="maintenance_off", tried=seen.now)


def _ending(matter: Matter, seen: Seen) -> Step:
    now = seen.now
    if now >= matter.changed + HOUR:
        only = f" --service {matter.act.service}" if matter.act.service else ""
        by_hand = f"`tidegate gate maintenance off --admin {matter.act.gate}{only}`"
        return _to("failed", matter, now, f"the gate did not hear for an hour that maintenance is over; type {by_hand}")
    if _within(matter.tried or matter.changed, _RETRY, now):
        return Step(matter)
    matter = replace(matter, tried=now)
    return Step(matter, Order("maintenance_off", matter))


def _verifying(matter: Matter, seen: Seen) -> Step:
    now, quiet, done = seen.now, matter.act.quiet, matter.done or matter.changed
    if seen.gap and not matter.gap:
        matter = replace(matter, gap=seen.gap)
    if now >= max(done, matter.loud) + quiet:
        if matter.gap:
            return _to("unknown", matter, now, f"the rule is silent, but not all was seen: {matter.gap}")
        return _to("verified", matter, now, "the rule has been silent since")
    if now >= done + _PATIENCE * quiet:
        return _to("not_helped", matter, now, "the rule is not silent")
    return Step(matter)


_LIVES: dict[State, Callable[[Matter, Seen], Step]] = {
    "wanted": _wanted,
    "proposed": _proposed,
    "telling": _telling,
    "holding": _holding,
    "ending": _ending,
    "verifying": _verifying,
}


def _hour_over(last: Matter | None) -> int:
    """Return from when on a target may be acted on again."""
    if last is None:
        return 0
    return max(last.not_before, last.begun + HOUR if last.begun is not None else 0)


def _within(since: int, span: int, now: int) -> bool:
    """Return whether a span is not over; it is where the clock was set back by more than a minute."""
    return since - _DEAF <= now < since + span


def _to(state: State, matter: Matter, now: int, says: str, *, order: What | None = None, **more: Any) -> Step:
    """Bring a matter into a state; the file of a proposal is written anew with each."""
    matter = replace(matter, state=state, changed=now, says=says, **more)
    if order is None and matter.act.do == "propose" and matter.begun is not None:
        order = "write"
    return Step(matter, Order(order, matter) if order else None)

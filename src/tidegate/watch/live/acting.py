"""Whether anything is done about an episode: a pure machine, since log lines can be forged and gates be told wrongly.

In words. Each *target* (a service of a gate, a fleet plan) has one matter at a time (``matters.py``), and begins one an
hour at the most, whatever stands in logs. A notice of a rule that an act names makes a matter; one that comes while the
target has a matter is held back, and the newest is asked for afterwards if its episode is open still. Nothing is told
to a gate, and no run is proposed, unless a **probe** of the act has shown the same trouble within the act's ``within``:
probes ask a server themselves, and nobody can forge them with a log line. Fleet runs are started by people alone.

The **kill switch** ends what waits and lets nothing begin. What was begun at a gate is given back, and what was done is
still verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tidegate.errors import UsageError
from tidegate.watch.live.acts import KIND, SWITCH, Act, Acted, Json, Matter, Order, Told
from tidegate.watch.live.matters import Seen, Step, after_crash, go_on, heard, run_is_over, tell, wanted
from tidegate.watch.live.model import Episode, Gap, Hit, Notice

__all__ = ["Acting"]

_LOOK = 5 * 10**9
"""Nanoseconds between two looks at what is under way."""


class Acting:
    """What is being done, by target. Every method returns what it changed.

    Parameters
    ----------
    acts
        What the configuration allows.
    rows
        What an earlier one had returned: (kind, key, row); rows of other kinds are passed over.
    on
        Whether anything may be begun, where no row says.
    """

    def __init__(self, acts: Sequence[Act], rows: Iterable[tuple[str, str, Json]] = (), *, on: bool = False) -> None:
        self._acts = tuple(acts)
        self._on = on
        self._matters: dict[str, Matter] = {}
        self._shown: dict[str, int] = {}
        self._unwritten: list[str] = []
        self._held_back = 0
        for kind, key, row in rows:
            if kind == KIND and key == SWITCH:
                self._on = bool(row["on"])
            elif kind == KIND:
                self._matters[key] = after_crash(Matter.from_json(row))
                self._unwritten.append(key)  # the one before may have ended before it had written the page

    @property
    def on(self) -> bool:
        """Whether anything may be begun."""
        return self._on

    def step(
        self,
        now: int,
        open_: Iterable[Episode],
        *,
        notices: Iterable[Notice] = (),
        hits: Iterable[Hit] = (),
        gaps: Iterable[Gap] = (),
    ) -> Acted:
        """Take what has come, and go on with every matter.

        Parameters
        ----------
        now
            Nanoseconds since 1970.
        open_
            All episodes that are open now.
        notices, hits, gaps
            What has come since the last step. Of the hits only those of probes count.
        """
        acted = Acted()
        self._take_witnesses(hits, now)
        for notice in notices:
            if notice.what != "cleared" and self._on:
                self._ask(notice, now, acted)
        rules = {matter.act.rule for matter in self._matters.values() if matter.held_back or not matter.is_ended}
        episodes = [episode for episode in open_ if episode.rule in rules]
        missed = list(gaps)
        for matter in list(self._matters.values()):
            step = go_on(matter, self._seen(matter, now, episodes, missed))
            self._keep(matter, step, acted)
            if step.matter.is_ended and step.matter.held_back:
                self._ask_again(step.matter, now, episodes, acted)
        while self._unwritten:
            matter = self._matters[self._unwritten.pop()]
            if matter.act.do == "propose" and matter.begun is not None:
                acted.orders.append(Order("write", matter))
        return acted

    def switch(self, now: int, open_: Iterable[Episode], *, on: bool) -> Acted:
        """Switch acting on or off; off ends at once what waits, and gives back what was begun."""
        self._on = on
        acted = self.step(now, open_)
        acted.rows[KIND, SWITCH] = {"on": on}
        return acted

    def approve(self, name: str, now: int, *, by: str) -> Acted:
        """Let a gate be told what is proposed in the matter ``name``.

        Raises
        ------
        UsageError
            When there is no such proposal, it is a fleet run, or no probe shows the trouble now.
        """
        matter = self._named(name)
        if matter.act.do == "propose":
            raise UsageError(f"{name} is a fleet run, and watch starts none", hint="its file says what to type")
        if matter.state != "proposed" or not self._on:
            raise UsageError(f"{name} takes no approval: it is {matter.state}", hint=matter.says)
        seen = self._seen(matter, now, (), ())
        if not seen.witness:
            names = ", ".join(matter.act.corroborate)
            raise UsageError(f"no probe shows now what {name} is about", hint=f"approve it once one of {names} does")
        acted = Acted()
        self._keep(matter, tell(matter, seen, by), acted)
        return acted

    def ran(self, name: str, now: int) -> Acted:
        """Take a person's word that the fleet run of the matter ``name`` is over; from now on it is verified.

        Raises
        ------
        UsageError
            When no such run is proposed.
        """
        matter, acted = self._named(name), Acted()
        step = run_is_over(matter, now)
        if step is None:
            raise UsageError(f"{name} is no fleet run that waits: it is {matter.state}", hint=matter.says)
        self._keep(matter, step, acted)
        return acted

    def told(self, name: str, now: int, outcome: Told, says: str) -> Acted:
        """Take what became of an order for the matter ``name``; what comes too late is left alone."""
        acted = Acted()
        for matter in list(self._matters.values()):
            if matter.id == name:
                self._keep(matter, heard(matter, now, outcome, says), acted)
        return acted

    def next_tick(self, now: int) -> int | None:
        """Return when to step again though nothing has come; ``None`` when nothing is under way."""
        return now + _LOOK if any(not matter.is_ended for matter in self._matters.values()) else None

    def view(self) -> Json:
        """Return what a person is shown: the switch, the matters with the newest first, and how many were held back."""
        matters = sorted(self._matters.values(), key=lambda matter: (matter.is_ended, -matter.changed, matter.id))
        return {"on": self._on, "held_back": self._held_back, "matters": [matter.to_json() for matter in matters]}

    def _ask(self, notice: Notice, now: int, acted: Acted) -> None:
        """Make a matter of a notice for every act that it concerns, one per target."""
        episode = notice.episode
        for act in self._acts:
            if episode.severity not in act.severities or not act.is_about(episode):
                continue
            last = self._matters.get(act.target)
            if last is None or last.is_ended:
                self._put(wanted(act, episode, notice.key, now, last), acted)
                continue
            self._held_back += 1
            if last.act.name == act.name and last.episode != episode.key:
                self._put(replace(last, held_back=episode.key), acted)

    def _ask_again(self, last: Matter, now: int, open_: Sequence[Episode], acted: Acted) -> None:
        """Ask for what was held back while ``last`` was under way, if it is open, and the act configured, still."""
        self._put(replace(last, held_back=""), acted)
        act = next((one for one in self._acts if (one.name, one.target) == (last.act.name, last.act.target)), None)
        episode = next((one for one in open_ if one.key == last.held_back), None)
        if self._on and act is not None and episode is not None and act.is_about(episode):
            self._put(wanted(act, episode, f"{episode.key}/held-back", now, last), acted)

    def _put(self, matter: Matter, acted: Acted) -> None:
        self._matters[matter.act.target] = matter
        acted.rows[KIND, matter.act.target] = matter.to_json()

    def _take_witnesses(self, hits: Iterable[Hit], now: int) -> None:
        names = {name for act in self._acts for name in act.corroborate}
        names |= {name for matter in self._matters.values() for name in matter.act.corroborate}
        if not names:
            return
        for hit in hits:
            if hit.quoted or not hit.source.startswith("probe."):
                continue
            for name in names & {hit.source, f"{hit.source}/{hit.rule}"}:
                self._shown[name] = max(self._shown.get(name, 0), min(hit.arrival, now))

    def _seen(self, matter: Matter, now: int, open_: Sequence[Episode], gaps: Sequence[Gap]) -> Seen:
        act = matter.act
        shown = [(self._shown[name], name) for name in act.corroborate if name in self._shown]
        at, witness = max(shown, default=(0, ""))
        fresh = bool(witness) and now - act.within < at <= now  # after a clock was set back, none is
        return Seen(
            now=now,
            is_open=any(act.is_about(episode) for episode in open_),
            on=self._on,
            witness=witness if fresh else "",
            seen=at if fresh else None,
            gap=next((f"{gap.source}: {gap.kind}" for gap in gaps if _blinds(gap, matter)), ""),
        )

    def _keep(self, before: Matter, step: Step, acted: Acted) -> None:
        """Keep what a step has made of a matter; only what a restart must know becomes a row."""
        self._matters[step.matter.act.target] = step.matter
        if _stored(step.matter) != _stored(before):
            self._put(step.matter, acted)
        if step.order is not None:
            acted.orders.append(step.order)

    def _named(self, name: str) -> Matter:
        matter = next((one for one in self._matters.values() if one.id == name), None)
        if matter is None:
            raise UsageError(f"nothing is proposed under {name!r}", hint="`tidegate watch status` lists what is")
        return matter


def _stored(matter: Matter) -> tuple[object, ...]:
    return matter.state, matter.says, matter.gap, matter.tried


def _blinds(gap: Gap, matter: Matter) -> bool:
    """Return whether a silence since the matter was done proves less for this gap: a strange probe's is none of it."""
    asked = {name.partition("/")[0] for name in matter.act.corroborate}
    return gap.until >= (matter.done or matter.changed) and (not gap.source.startswith("probe.") or gap.source in asked)

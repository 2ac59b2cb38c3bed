"""What a watch may do, what became of it, and what it asks others to carry out: the values of acting.

An **act** is what a person has allowed in the configuration. A **matter** is one use of it, from the episode that asked
for it to the verdict whether it helped; it is finished by the act as that was when it began. An **order** is what the
shell carries out for the machine, which does nothing by itself. Times are nanoseconds since 1970, spans nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tidegate.watch.live.model import Episode, Severity

__all__ = ["Act", "Acted", "Do", "Matter", "Order", "State", "Told", "What"]

Json = dict[str, Any]
Do = Literal["recovering", "maintenance", "propose"]
State = Literal[
    "wanted",
    "proposed",
    "telling",
    "holding",
    "ending",
    "verifying",
    "verified",
    "not_helped",
    "unknown",
    "lapsed",
    "failed",
]
Told = Literal["done", "refused", "unsure"]
"""What became of telling a gate: it was done, certainly not, or nobody knows."""
What = Literal["recovering", "maintenance_on", "maintenance_off", "write"]
"""What is to be carried out."""
_ENDED = frozenset({"verified", "not_helped", "unknown", "lapsed", "failed"})

KIND = "act"
"""The kind of the rows in which matters are stored."""
SWITCH = "switch"
"""The key of the row of the kill switch; the row of a matter has its target for a key."""

_MINUTE = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Act:
    """What may be done when a rule opens or escalates an episode.

    Parameters
    ----------
    name
        Its name in the configuration.
    rule
        Whose episodes ask for it.
    do
        ``recovering`` and ``maintenance`` tell a gate; ``propose`` writes down a fleet run for a person to start.
    corroborate
        ``probe.NAME``, or ``probe.NAME/RULE`` for one rule of it; one at least. One of them must show the same trouble,
        since log lines can be forged.
    gate, service
        For a gate: the path of its admin socket, and the service; "" is every service.
    plan
        For ``propose``: the plan file, absolute.
    where
        Fields of an episode's scope and what they must be: which episodes this act is about. Empty: all of the rule.
    severities
        Which severities ask for it.
    standing
        A gate may be told without being asked each time: the configuration is the approval. Never for ``propose``.
    within
        How old a probe's sign may be when something is done.
    quiet
        How long the rule must be silent before it is called verified.
    hold
        How long a gate is kept in maintenance at the most.
    """

    name: str
    rule: str
    do: Do
    corroborate: tuple[str, ...]
    gate: str = ""
    service: str = ""
    plan: str = ""
    where: tuple[tuple[str, str], ...] = ()
    severities: tuple[Severity, ...] = ("critical",)
    standing: bool = False
    within: int = 5 * _MINUTE
    quiet: int = 10 * _MINUTE
    hold: int = 15 * _MINUTE

    def __post_init__(self) -> None:
        """Refuse an act that could do something without a probe, or a fleet run without a person."""
        if not self.corroborate or not all(name.startswith("probe.") for name in self.corroborate):
            raise ValueError("an act names one or more probes that must show the same")
        if self.do == "propose" and (self.standing or not self.plan):
            raise ValueError("a fleet run is proposed with its plan, and approved by a person each time")
        if self.do != "propose" and not self.gate:
            raise ValueError("to tell a gate needs its admin socket")

    @property
    def target(self) -> str:
        """What it acts on, and by which it is kept to one an hour: two acts on one service share that hour."""
        return f"plan {self.plan}" if self.do == "propose" else f"gate {self.gate} {self.service}"

    def is_about(self, episode: Episode) -> bool:
        """Return whether an episode is one of those that this act is for, whatever its severity."""
        scope = dict(episode.scope)
        return episode.rule == self.rule and all(scope.get(name) == value for name, value in self.where)

    def to_json(self) -> Json:
        """Return it as a part of a row."""
        return asdict(self)

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Act:
        """Return what :meth:`to_json` made a row of."""
        where = tuple((str(name), str(value)) for name, value in row["where"])
        lists = {"corroborate": tuple(row["corroborate"]), "severities": tuple(row["severities"])}
        return Act(**(dict(row) | lists | {"where": where}))


@dataclass(frozen=True, slots=True)
class Matter:
    """One use of an act; ``matters.py`` tells its life.

    Parameters
    ----------
    id
        Twelve hexadecimal digits, of the notice that asked for it: the same after a crash.
    episode, scope, hosts, count
        What asked: the episode's key, its scope, the hosts seen then, and how many events.
    asked, changed
        When it was asked for, and when it came into its state.
    not_before
        When the hour of the one before it is over.
    begun
        When it was done, or proposed to a person: from then its own hour counts.
    witness, seen
        Which probe last showed the same, and when.
    approved_by
        Who approved it; ``configuration`` where the approval is a standing one.
    done
        When the gate had been told everything, or the fleet run was over.
    tried
        When the gate was last told that its maintenance is over, and did not hear it.
    loud
        When an episode of the act was last seen open.
    gap
        What was not seen since ``done``, in words; "" for nothing.
    held_back
        The key of the newest episode that asked for the same meanwhile; "" for none.
    says
        Why it is in its state, in words.
    """

    id: str
    act: Act
    state: State
    episode: str
    scope: tuple[tuple[str, str], ...]
    hosts: tuple[str, ...]
    count: int
    asked: int
    changed: int
    loud: int
    not_before: int = 0
    begun: int | None = None
    witness: str = ""
    seen: int | None = None
    approved_by: str = ""
    done: int | None = None
    tried: int | None = None
    gap: str = ""
    held_back: str = ""
    says: str = ""

    @property
    def is_ended(self) -> bool:
        """Return whether nothing more becomes of it by itself."""
        return self.state in _ENDED

    def to_json(self) -> Json:
        """Return it as a row."""
        return asdict(self)

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Matter:
        """Return what :meth:`to_json` made a row of."""
        scope = tuple((str(name), str(value)) for name, value in row["scope"])
        return Matter(**(dict(row) | {"act": Act.from_json(row["act"]), "scope": scope, "hosts": tuple(row["hosts"])}))


@dataclass(frozen=True, slots=True)
class Order:
    """What the shell is to carry out for a matter.

    ``write``: put down the proposal, or put it down anew, as a file. The others tell a gate; what becomes of that goes
    to :meth:`~tidegate.watch.live.acting.Acting.told`.
    """

    what: What
    matter: Matter


@dataclass(slots=True)
class Acted:
    """What a step of acting changed: rows are for the transaction, orders are carried out once that is committed."""

    rows: dict[tuple[str, str], Json | None] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)

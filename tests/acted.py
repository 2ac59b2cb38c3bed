"""A watch around an acting, for tests: it stores rows, notes orders, and forgets everything else when it crashes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from tidegate.watch.live.acting import Acting
from tidegate.watch.live.acts import Act, Matter
from tidegate.watch.live.matters import HOUR
from tidegate.watch.live.model import Episode, Hit, Notice

__all__ = ["ASK", "HOLD", "MINUTE", "PROBE", "PROPOSE", "RULE", "TELL", "S", "World", "episode", "opened", "shown"]

S = 10**9
MINUTE = 60 * S
RULE = "vasa.provider.setcontext-storm"
PROBE = "probe.vasa"

TELL = Act("slow-start", RULE, "recovering", (PROBE,), gate="/run/a.sock", service="vasa", standing=True)
ASK = replace(TELL, standing=False)
HOLD = replace(TELL, do="maintenance")
PROPOSE = Act("restart", RULE, "propose", (PROBE,), plan="/etc/tidegate/vvold.toml")


def episode(key: str = "e1", *, provider: str = "vp1", severity: Any = "critical", rule: str = RULE) -> Episode:
    scope = (("provider", provider),)
    return Episode(key, rule, "storm", scope, severity, 0, S, S, 6, hosts=("esx01", "esx02"))


def opened(one: Episode, what: Any = "opened") -> Notice:
    return Notice(f"{one.key}/{what}", what, one, S)


def shown(at: int, source: str = PROBE, rule: str = "gate.server.down", *, quoted: bool = False) -> Hit:
    return Hit(rule, "probe", at, at, source, source, 0, True, {}, quoted=quoted)


@dataclass
class World:
    """A watch around an acting: it stores rows, and forgets everything else when it crashes."""

    acts: tuple[Act, ...]
    now: int = 100 * HOUR
    open: dict[str, Episode] = field(default_factory=dict)
    rows: dict[tuple[str, str], Any] = field(default_factory=dict)
    orders: list[tuple[int, str, Matter]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.acting = Acting(self.acts, on=True)

    def take(self, acted: Any) -> None:
        self.rows.update(
            json.loads(json.dumps({"rows": [[*key, row] for key, row in acted.rows.items()]}), object_hook=_rows)
        )
        self.orders += [(self.now, order.what, order.matter) for order in acted.orders]

    def step(self, **seen: Any) -> None:
        self.take(self.acting.step(self.now, self.open.values(), **seen))

    def storm(self, one: Episode | None = None) -> None:
        one = one or episode()
        self.open[one.key] = one
        self.step(notices=[opened(one)])

    def over(self) -> None:
        self.open.clear()
        self.step()

    def probe(self) -> None:
        self.step(hits=[shown(self.now)])

    def later(self, span: int) -> None:
        self.now += span
        self.step()

    def crash(self) -> None:
        self.acting = Acting(self.acts, [(kind, key, row) for (kind, key), row in self.rows.items()], on=True)

    def told(self, outcome: Any = "done") -> None:
        for one in self.acting.view()["matters"]:
            self.take(self.acting.told(one["id"], self.now, outcome, "it said so"))

    @property
    def matter(self) -> Matter:
        return Matter.from_json(self.acting.view()["matters"][0])

    @property
    def state(self) -> str:
        return self.matter.state

    @property
    def whats(self) -> list[str]:
        return [what for _, what, _ in self.orders]


def _rows(value: dict[str, Any]) -> Any:
    return {(kind, key): row for kind, key, row in value["rows"]} if set(value) == {"rows"} else value

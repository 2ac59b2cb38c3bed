"""What plans about a REST manager (NSX, Avi) share: their ``[options]``."""

from __future__ import annotations

from typing import TypeVar

from tidegate.errors import FleetError
from tidegate.fleet.model import Plan
from tidegate.units import Duration

__all__ = ["Options"]

_T = TypeVar("_T", str, bool, list[str])


class Options:
    """``[options]``, read one by one; what nobody asked for is an error in :meth:`finish`."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._left = plan.run.plan, dict(plan.options)

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        return self._typed(name, str, default)

    def switch(self, name: str, default: bool) -> bool:
        """Return true or false."""
        return self._typed(name, bool, default)

    def seconds(self, name: str, default: str) -> float:
        """Return a duration, written with its unit."""
        try:
            return Duration.parse(self.text(name, default)).seconds
        except ValueError as error:
            raise FleetError(f"[options] {name}: {error}", hint=f'write for example {name} = "{default}"') from None

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(self._typed(name, list, []))

    def finish(self) -> None:
        """Refuse what is left.

        Raises
        ------
        FleetError
            With the names that the plan does not know.
        """
        if self._left:
            raise FleetError(f"{self._plan} has no option {', '.join(sorted(self._left))}")

    def _typed(self, name: str, kind: type[_T], default: _T) -> _T:
        value = self._left.pop(name, default)
        if not isinstance(value, kind):
            raise FleetError(f"[options] {name} is {value!r}, not {_KINDS[kind]}")
        return value


_KINDS: dict[type, str] = {str: "a text", bool: "true or false", list: "a list of texts"}

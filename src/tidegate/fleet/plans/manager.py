"""What plans about a REST manager (NSX, Avi) share: how to reach it, and their ``[options]``."""

from __future__ import annotations

from typing import TypeVar

from tidegate.clients.http import HttpOptions
from tidegate.clients.tls import Trust
from tidegate.config.reach import Endpoint
from tidegate.errors import FleetError
from tidegate.fleet.model import Plan
from tidegate.units import Duration

__all__ = ["Options", "manager_options"]

_T = TypeVar("_T", str, bool, list[str])

# NSX counts what one client does: 100 requests in a second, 40 at the same time.
_AT_ONCE = 40
_TRIES = 8
_PATIENCE_S = 180.0
_BODY_MAX = 64 << 20


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


def manager_options(endpoint: Endpoint, kind: str) -> HttpOptions:
    """Return how to reach a manager: ``NSX Manager``, ``Avi Controller``."""
    return HttpOptions(
        address=endpoint.address,
        whose=f"{kind} {endpoint.address}",
        port=endpoint.port,
        trust=Trust(ca=endpoint.ca, thumbprint=endpoint.thumbprint, verify=endpoint.verify),
        timeout_s=endpoint.timeout.seconds,
        tries=_TRIES,
        patience_s=_PATIENCE_S,
        at_once=_AT_ONCE,
        body_max=_BODY_MAX,
    )

"""The vCenter appliance: its services by REST, and its bash behind ``appliancesh``, which is root's login shell.

Whether SSH leads to bash or to appliancesh is found out by asking it to add two numbers. In appliancesh the word
``shell`` leads on to bash, where that has been allowed; marks around what a command says tell it from prompts and echo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tidegate.clients.http import Request
from tidegate.clients.ssh import Ran, Ssh
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.errors import FleetError, HostUnreachable

__all__ = ["ApplianceServices", "ApplianceShell", "alias_in"]

# Services of the appliance, and those of vCenter in it; which interface knows which differs between versions.
_PLACES = ("/api/appliance/services", "/api/vcenter/services")
_SUM = "$((40+2))"
_ASK_S = 20.0
_PROMPT = r"(?:Command> |[#$] )\s*$"
_SHELL = r"granted|[#$] \s*$|isabled|nknown command"


def alias_in(name: str, known: Mapping[str, object]) -> str | None:
    """Return how a service is called among ``known``: as it is, without or with ``vmware-``; ``None``: not at all."""
    for alias in (name, name.removeprefix("vmware-"), f"vmware-{name}"):
        if alias in known:
            return alias
    return None


class ApplianceShell:
    """Commands on one appliance, whatever root's login shell is."""

    def __init__(self, ssh: Ssh, address: str, ask_s: float = _ASK_S) -> None:
        self._ssh, self._address, self._ask_s = ssh, address, ask_s
        self._plain: bool | None = None

    async def run(self, command: str, timeout_s: float | None = None) -> Ran:
        """Run one line of bash.

        Raises
        ------
        HostUnreachable
            When SSH does not answer, or a shell behind it does not.
        FleetError
            When the command does not end in time, or appliancesh does not lead on to bash.
        """
        if await self._is_plain():
            return await self._ssh.run(self._address, command, timeout_s)
        line = f"echo tidegate-begin-{_SUM}; {{ {command}; }}; echo tidegate-end-{_SUM}=$?\n"
        # The word comes first; what answers to it decides whether the line may follow.
        try:
            granted = await self._ssh.talk(self._address, [(_PROMPT, "shell\n"), (_SHELL, "")], "shell", self._ask_s)
        except FleetError as error:
            raise self._silent(error) from error
        if "isabled" in granted or "nknown command" in granted:
            raise FleetError(
                f"{self._address}: appliancesh does not lead on to bash",
                hint="allow it: shell.set --enabled true (in appliancesh), or System > Access in the appliance's pages",
                slug="shell-disabled",
            )
        steps = [(_PROMPT, "shell\n"), (r"[#$] \s*$", line), (r"tidegate-end-42=\d+\n", "exit\nexit\n")]
        said = await self._ssh.talk(self._address, steps, command, timeout_s)
        found = re.search(r"tidegate-begin-42\n(.*?)tidegate-end-42=(\d+)\n", said, re.DOTALL)
        if found is None:
            raise FleetError(f"{self._address}: bash behind appliancesh said nothing that can be read")
        return Ran(int(found[2]), found[1], "")

    async def _is_plain(self) -> bool:
        if self._plain is None:
            try:
                asked = await self._ssh.run(self._address, f"echo tidegate-{_SUM}", self._ask_s)
            except FleetError as error:
                raise self._silent(error) from error
            self._plain = "tidegate-42" in asked.out
        return self._plain

    def _silent(self, error: FleetError) -> FleetError:
        """Return what is said when a question hangs that changes nothing: no command of anybody's has begun."""
        if error.slug not in {"command-timeout", "connection-broke"}:
            return error
        return HostUnreachable(f"{self._address}: SSH answers, but no shell behind it does", slug="no-shell")


class ApplianceServices:
    """The appliance's services by REST."""

    def __init__(self, rest: VcenterRest) -> None:
        self._rest = rest

    async def states(self) -> dict[str, str]:
        """Return every service's state: ``STARTED``, ``STOPPED``, and what is between."""
        found: dict[str, str] = {}
        for place in _PLACES:
            answer = await self._rest.call(Request("GET", place))
            listed = answer.json() if answer.fine else {}
            if isinstance(listed, dict):
                found = {**{str(key): str(dict(one).get("state", "")) for key, one in listed.items()}, **found}
        return found

    async def restart(self, name: str) -> None:
        """Restart a service.

        Raises
        ------
        FleetError
            When no interface knows it, or it refuses.
        """
        for place in _PLACES:
            listed = await self._rest.call(Request("GET", place))
            known = listed.json() if listed.fine else {}
            alias = alias_in(name, known) if isinstance(known, dict) else None
            if alias is not None:
                # It may take as long as the service needs; it is not repeated.
                await self._rest.wanted(Request("POST", f"{place}/{alias}", query={"action": "restart"}))
                return
        raise FleetError(f"the appliance's interface knows no service {name}", slug="no-service")

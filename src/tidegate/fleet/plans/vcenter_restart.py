"""``vcenter-targeted-restart``: KB 440879's targeted remediation: vpxd and the host gateway first, everything if asked.

The article: ``service-control --restart vmware-vpxd vmware-envoy-hgw``; its resolution restarts all services. Here the
names come from ``service-control --list``; with ``[options] all = true`` a second phase, approved by itself, restarts
everything once the first did not help. In this failure SSH may hang, too: a bounded connect, then the appliance's own
interface, then the steps for a person at the console, as the reason of the failure.

The target is the appliance itself: one host in the inventory. Evidence is each service's oldest process with its start,
and the boot; through the interface alone there is no such evidence, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidegate.clients.appliance import ApplianceServices, ApplianceShell, alias_in
from tidegate.clients.reach import vcenter_options
from tidegate.clients.ssh import Ran, Ssh
from tidegate.clients.vcenter import RunningTask, Vcenter
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Verdict
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.access import ssh_for, vcenter_for

__all__ = ["VcenterRestart", "is_backup", "states_in", "work"]

_WANTED = ("vmware-vpxd", "vmware-envoy-hgw")
_ALL = "service-control --stop --all && service-control --start --all"
_RESTART_S = 900.0
_ALL_S = 1800.0
_LOOK_S = 60.0
_SHOWN = 10
_BACKUP = re.compile(
    r"snapshot|backup|export|nfc|veeam|rubrik|commvault|cohesity|netbackup|networker|avamar|zerto", re.IGNORECASE
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
# SSH that does not answer, or a shell behind it that hangs or is closed: the next way is tried. A command that began is
# another matter: it may still be running.
_NO_WAY = frozenset(
    {"host-unreachable", "login-refused", "wrong-host-key", "unknown-host-key", "shell-disabled", "no-shell"}
)


def is_backup(task: RunningTask) -> bool:
    """Return whether a task looks like a backup's."""
    return _BACKUP.search(f"{task.name} {task.user}") is not None


def states_in(text: str) -> dict[str, str]:
    """Return the services in what ``service-control --status`` printed: names under ``Running:`` or ``Stopped:``."""
    found: dict[str, str] = {}
    heading = ""
    for word in text.split():
        if word.endswith(":"):
            heading = word[:-1].lower()
        elif heading and _NAME.fullmatch(word):
            found[word] = heading
    return found


class VcenterRestart:
    """Restarts an appliance's services, by the first of three ways that works."""

    name = "vcenter-targeted-restart"

    def __init__(self, plan: Plan, ssh: Ssh, vcenter: Vcenter | None, rest: VcenterRest | None) -> None:
        unknown = sorted(set(plan.options) - {"all"})
        if unknown or not isinstance(plan.options.get("all", False), bool):
            raise FleetError(
                f"{self.name} has one option, all (true or false); [options] has {', '.join(sorted(plan.options))}"
            )
        if plan.run.variant is not None:
            raise FleetError(f'{self.name} has no variant "{plan.run.variant}"', hint="leave variant out")
        self._ssh, self._vcenter, self._rest = ssh, vcenter, rest
        self._shells: dict[str, ApplianceShell] = {}
        self._names: dict[str, dict[str, str]] = {}
        self._ask_s = min(20.0, plan.ssh.command.seconds)
        deadline = plan.verify.deadline.seconds
        first = PhaseSpec(
            "restart",
            "restart",
            concurrency=1,
            approval=True,
            says=f"restarts {' and '.join(_WANTED)}: every session and every running task of this vCenter ends",
            deadline_s=deadline,
            again_s=10.0,
        )
        everything = PhaseSpec(
            "restart_all",
            "restart_all",
            concurrency=1,
            approval=True,
            says="restarts EVERY service of this vCenter; abort here if the first phase has helped",
            deadline_s=max(deadline, _ALL_S),
            again_s=15.0,
        )
        self.phases: Sequence[PhaseSpec] = (first, everything) if plan.options.get("all") else (first,)

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        """List what runs: tasks, and backups among them, end with the services."""
        if len(hosts) != 1:
            raise FleetError(
                f"{self.name} is for one appliance at a time; the inventory has {len(hosts)} hosts",
                hint="write the appliance's own name and address into the inventory, not its ESXi hosts",
            )
        said = list(self._ssh.warnings)
        if self._vcenter is None:
            return [*said, "no [vcenter]: running tasks and backups are NOT known, and only SSH can restart services"]
        said += self._vcenter.warnings
        try:
            tasks = await self._vcenter.running_tasks()
        except FleetError as error:
            return [*said, f"running tasks and backups are NOT known: {error.message}"]
        backups = [task for task in tasks if is_backup(task)]
        said.append(f"{len(tasks)} tasks run, {len(backups)} of them look like backups; a restart ends them all")
        for task in [*backups, *(task for task in tasks if task not in backups)][:_SHOWN]:
            since = "" if task.since is None else f" since {task.since:%Y-%m-%d %H:%M}"
            said.append(f"running{since}: {task.name} on {task.entity or 'vCenter'} by {task.user or 'nobody named'}")
        if len(tasks) > _SHOWN:
            said.append(f"and {len(tasks) - _SHOWN} more")
        return said

    async def look(self, step: str, host: Host) -> Evidence:  # noqa: ARG002 (both steps are seen the same way)
        """Read the services' states and processes; what hangs is evidence, too."""
        try:
            return await self._by_shell(host)
        except FleetError as error:
            if not _no_way(error) and error.slug != "command-timeout":
                raise
            way: dict[str, str | None] = {"ssh": error.message, "boot_id": None}
        if self._rest is not None:
            try:
                states = await ApplianceServices(self._rest).states()
            except FleetError as error:
                return {**way, "api": error.message}
            for name in _WANTED:
                alias = alias_in(name, states)
                if alias is not None:
                    way[f"state.{name}"] = "running" if states[alias] == "STARTED" else states[alias].lower()
        return way

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:  # noqa: ARG002
        """Return whether every service runs, and each as another process than before (or after another boot)."""
        names = _known(before)
        return bool(names) and all(_changed(name, before, now) for name in names)

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        """Restart by SSH, else by the appliance's interface, else fail with what a person must do."""
        try:
            # What hangs or refuses here has changed nothing: there are other ways.
            now = await self._by_shell(host)
        except FleetError as error:
            if not _no_way(error) and error.slug != "command-timeout":
                raise
            await self._by_interface(step, host, error)
            return await self.look(step, host)
        command = _ALL
        if step != "restart_all":
            # What an interrupted act has restarted already is left alone.
            aliases = await self._services(host)
            left = [aliases[name] for name in _known(now) if not _changed(name, before, now)]
            command = f"service-control --restart {' '.join(left)}" if left else "true"
        try:
            await self._shell_says(host, command, _ALL_S if step == "restart_all" else _RESTART_S)
        except FleetError as error:
            if not _no_way(error):
                raise
            await self._by_interface(step, host, error)
        return await self.look(step, host)

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        """Judge by the services' states, and by a login that works where there is a [vcenter]."""
        now = await self.look(step, host)
        names = _known(now)
        down = [name for name in names if now.get(f"state.{name}") != "running"]
        if down or not names:
            return Verdict(False, False, f"{', '.join(down) or 'no service'} does not run yet", now)
        same = [name for name in names if _same(name, before, now)]
        if same:
            return Verdict(False, False, f"{', '.join(same)} still is the process that it was", now)
        if self._vcenter is not None:
            try:
                await self._vcenter.running_tasks()
            except FleetError as error:
                return Verdict(False, False, f"the services run, but {error.message}", now)
        proof = "" if before.get("boot_id") else "; that they were restarted is what the interface said, without proof"
        return Verdict(True, True, f"{' and '.join(names)} run{proof}", now)

    def commands(self, step: str, host: Host) -> list[str]:
        """Return what a person would type; ``shell`` first, where root's login shell is appliancesh."""
        command = _ALL if step == "restart_all" else f"service-control --restart {' '.join(_WANTED)}"
        return [
            f"ssh root@{host.address}   # then: shell",
            "service-control --list",
            command,
            f"service-control --status {' '.join(_WANTED)}",
        ]

    def undo(self, step: str) -> str | None:  # noqa: ARG002 (a restart that failed is not undone by another)
        """Return ``None``: nothing stays stopped on purpose."""
        return None

    async def close(self) -> None:
        """Close connections and sessions."""
        await self._ssh.close()
        if self._rest is not None:
            await self._rest.close()
        if self._vcenter is not None:
            await self._vcenter.close()

    async def _by_shell(self, host: Host) -> Evidence:
        aliases = await self._services(host)
        looks = ['echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"']
        for name, alias in aliases.items():
            short = alias.removeprefix("vmware-")
            # The bracket keeps the pattern from finding the shell that looks for it.
            find = f"pgrep -o -x {short} || pgrep -o -f '[{short[0]}]{short[1:]}'"
            looks.append(f'p=$({find}); echo "id.{name}=$p $(ps -o lstart= -p "${{p:-0}}")"')
        looks.append(f'echo "status=$(service-control --status {" ".join(aliases.values())} 2>&1 | tr "\\n" " ")"')
        ran = await self._shell(host).run("; ".join(looks), _LOOK_S)
        values = dict(line.partition("=")[::2] for line in ran.out.splitlines() if "=" in line)
        states = states_in(values.get("status", ""))
        found: dict[str, str | None] = {"boot_id": values.get("boot_id") or None}
        for name, alias in aliases.items():
            found[f"state.{name}"] = states.get(alias, "unknown")
            found[f"id.{name}"] = " ".join(values.get(f"id.{name}", "").split()) or None
        return found

    async def _services(self, host: Host) -> dict[str, str]:
        """Return what the wanted services are called on this appliance."""
        if host.name not in self._names:
            ran = await self._shell_says(host, "service-control --list", _LOOK_S)
            listed = {line.split()[0]: None for line in ran.out.splitlines() if line.strip()}
            found = {name: alias for name in _WANTED if (alias := alias_in(name, listed)) is not None}
            if _WANTED[0] not in found:
                raise FleetError(
                    f"{host.name}: service-control --list has no {_WANTED[0]}", hint="is it a vCenter appliance?"
                )
            self._names[host.name] = found
        return self._names[host.name]

    def _shell(self, host: Host) -> ApplianceShell:
        return self._shells.setdefault(host.name, ApplianceShell(self._ssh, host.address, self._ask_s))

    async def _shell_says(self, host: Host, command: str, timeout_s: float) -> Ran:
        ran = await self._shell(host).run(command, timeout_s)
        if ran.status != 0:
            raise FleetError(f"{host.name}: `{command}` ended with {ran.status}: {ran.says}", slug="step-failed")
        return ran

    async def _by_interface(self, step: str, host: Host, why: FleetError) -> None:
        tried = [why.message]
        if step == "restart_all":
            tried.append("the appliance's interface cannot restart everything in order")
        elif self._rest is None:
            tried.append("no [vcenter] to log in to the appliance's interface with")
        else:
            try:
                for name in _WANTED:
                    await ApplianceServices(self._rest).restart(name)
                return
            except FleetError as error:
                tried.append(error.message)
        steps = "; ".join(self.commands(step, host)[1:])
        raise FleetError(
            f"{'; '.join(tried)}. By hand, at the appliance's console (Alt+F1, log in as root, shell): {steps}",
            hint="when it has been done by hand: tidegate fleet resume",
            slug="by-hand",
        )


def _no_way(error: FleetError) -> bool:
    return error.slug in _NO_WAY or (isinstance(error, HostUnreachable) and error.slug != "connection-broke")


def _known(evidence: Evidence) -> list[str]:
    return [key.removeprefix("state.") for key in evidence if key.startswith("state.")]


def _same(name: str, before: Evidence, now: Evidence) -> bool:
    """Return whether a service provably is the process that it was."""
    key = f"id.{name}"
    known = before.get(key) is not None and before.get("boot_id") == now.get("boot_id")
    return known and before.get(key) == now.get(key)


def _changed(name: str, before: Evidence, now: Evidence) -> bool:
    """Return whether a service provably is another process than before, and runs."""
    key = f"id.{name}"
    known = all(one.get(place) is not None for one in (before, now) for place in (key, "boot_id"))
    return known and now.get(f"state.{name}") == "running" and not _same(name, before, now)


def work(plan: Plan) -> VcenterRestart:
    """Return what carries out ``plan``."""
    endpoint = plan.vcenter or plan.targets.vcenter
    rest = None if endpoint is None else VcenterRest(vcenter_options(endpoint))
    return VcenterRestart(plan, ssh_for(plan), vcenter_for(plan), rest)

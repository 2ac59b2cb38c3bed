"""``nsx-ens-check``: which hosts can meet the crash of KB 433412. Reads, and changes nothing.

For each host its NSX build, the version of ``nsxt-vsip`` (the module that crashes), the mode that was asked for and the
one that is realised. A host that runs ENS on an affected build is *failed*; so is one whose build the article does not
speak of (4.1.2.2, and what is older than 4.1.2.1): treat as suspect. A fixed build, or a mode that is not ENS, is fine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tidegate.clients.session import Refused
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Verdict
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.manager import Options
from tidegate.fleet.plans.nsx_estate import Estate, unpack
from tidegate.fleet.plans.nsx_facts import exposure
from tidegate.fleet.plans.nsx_reach import estate_for

__all__ = ["EnsCheck", "work"]

_MODULE = "nsxt-vsip"


class EnsCheck:
    """Looks at hosts; see :class:`~tidegate.fleet.act.Work`."""

    name = "nsx-ens-check"
    phases: Sequence[PhaseSpec] = (
        PhaseSpec(
            "check",
            "check",
            batched=False,
            concurrency=10,
            deadline_s=60,
            says="only reads; nothing is changed",
            heeds=(),
        ),
    )

    def __init__(self, estate: Estate) -> None:
        self.estate = estate

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        """Say the manager's version, and how many hosts run which build."""
        builds, version = await self.estate.builds(), await self.estate.nsx.version()
        ids = [await self.estate.id_of(host) for host in hosts]
        counts = Counter(builds.get(id_, "") or "unknown" for id_ in ids)
        tally = ", ".join(f"{count} on {build}" for build, count in sorted(counts.items()))
        return [*self.estate.warnings, f"the manager runs NSX {version}; hosts: {tally}"]

    async def look(self, step: str, host: Host) -> Evidence:  # noqa: ARG002 (there is one step)
        """Look at a host."""
        seen = dict(await self.estate.look(host))
        try:
            modules = await self.estate.nsx.modules(str(seen["nsx_id"]))
        except Refused:
            modules = {}  # the path is deprecated: a manager may have none
        seen["vsip"] = modules.get(_MODULE, "")
        exposed, says = exposure(str(seen["build"]), frozenset(unpack(seen["mode_real"]).values()))
        seen |= {"exposed": exposed, "says": says}
        seen.pop("skip", None)
        return seen

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:  # noqa: ARG002 (a look is never done for good)
        """Return false: a look is new every time."""
        return False

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:  # noqa: ARG002 (nothing is done)
        """Do nothing: what was seen is what there is."""
        return before

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        """Judge the host."""
        seen = before if "says" in before else await self.look(step, host)
        if self.estate.proof:
            self.estate.proof.adopt(host, before)
        return await self.estate.given_back(host, Verdict(not seen["exposed"], True, str(seen["says"]), seen))

    def commands(self, step: str, host: Host) -> list[str]:  # noqa: ARG002 (there is one step)
        """Return the requests."""
        base = "/policy/api/v1/infra/sites/default/enforcement-points/default"
        node = f"{base}/host-transport-nodes/{host.labels.get('nsx_id', f'<id of {host.name}>')}"
        return [
            "GET /api/v1/upgrade/nodes?component_type=HOST  (component_version)",
            f"GET {node}  (host_switch_mode: what was asked for)",
            f"GET {node}/state",
            f"GET {node}/modules  ({_MODULE})",
            "GET /api/v1/transport-zones/<zone>/summary  (host_switches: what is realised)",
            *([f"{host.name}# esxcfg-nics -e"] if self.estate.proof else []),
        ]

    def undo(self, step: str) -> str | None:  # noqa: ARG002 (nothing was done)
        """Return nothing: nothing was done."""
        return None

    def remember(self, host: Host, evidence: Evidence) -> None:
        """Remember that SSH was opened on the host, when that was recorded by a controller that has died since."""
        self.estate.remember(host, evidence)

    async def close(self) -> None:
        """Log out."""
        await self.estate.close()


def work(plan: Plan) -> EnsCheck:
    """Return the plan's work. ``[options]``: ``host_check`` (false) asks each host by SSH as well."""
    options = Options(plan)
    host_check = options.switch("host_check", False)
    options.finish()
    return EnsCheck(estate_for(plan, changes=False, host_check=host_check))

"""``avi-enable-multiplexing``: the cure of KB 425869 for one virtual service.

Application profiles are shared: to switch multiplexing on in one changes every virtual service that uses it. So the
profile is cloned, the clone multiplexes, and one virtual service gets it. The host of this run is that virtual service.
Open connections fall only as clients leave that were there before: what is counted before and after is told, and
nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.clients.avi import Avi, OpenConns, ref_uuid
from tidegate.clients.reach import manager_options
from tidegate.clients.secret import read_secret
from tidegate.clients.session import Refused
from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Verdict
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.avi_facts import clone_of, multiplexed, refuse_unfit, same_profile, users_of
from tidegate.fleet.plans.manager import Options

__all__ = ["EnableMultiplexing", "work"]

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Seen:
    """A virtual service, its profile, and its open connections."""

    service: dict[str, Any]
    profile: dict[str, Any]
    conns: OpenConns | None

    @property
    def count(self) -> int | None:
        return self.conns.count if self.conns else None


class EnableMultiplexing:
    """Gives one virtual service a clone of its profile that multiplexes; see :class:`~tidegate.fleet.act.Work`.

    Parameters
    ----------
    clone
        The clone's name; empty: made of both names.
    """

    name = "avi-enable-multiplexing"
    phases: Sequence[PhaseSpec] = (
        PhaseSpec(
            "attach",
            "attach",
            concurrency=1,
            approval=True,
            deadline_s=120,
            says="the virtual service gets a clone of its profile that multiplexes: new connections to its servers are "
            "shared by clients, those that are open stay until their clients leave",
        ),
    )

    def __init__(self, avi: Avi, clone: str = "") -> None:
        self.avi = avi
        self._clone = clone
        self._uuids: dict[str, str] = {}

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        """Refuse what cannot multiplex, and list every virtual service that the shared profile reaches."""
        if len(hosts) != 1:
            raise FleetError(
                f"{self.name} changes one virtual service, and the targets name {len(hosts)}",
                hint="its name is the one host of the inventory",
            )
        seen = await self._see(hosts[0])
        name, called = seen.service["name"], seen.profile.get("name")
        notes = list(self.avi.session.http.warnings)
        if multiplexed(seen.profile):
            return [*notes, f"profile {called} of {name} multiplexes already: nothing will be done"]
        refuse_unfit(seen.service, seen.profile, seen.count)
        users = users_of(str(seen.profile["uuid"]), await self.avi.services())
        rest = f" and {len(users) - _SHOWN} more" if len(users) > _SHOWN else ""
        notes.append(
            f"profile {called} is used by {len(users)}: {', '.join(users[:_SHOWN])}{rest}; it is cloned as "
            f"{self._name(seen)}, and only {name} gets the clone"
        )
        notes.append(f"open connections to its servers now: {_say(seen.conns)}; they fall only as clients leave")
        return notes

    async def look(self, step: str, host: Host) -> Evidence:  # noqa: ARG002 (there is one step)
        """Look at the virtual service."""
        seen = await self._see(host)
        return {
            "service": str(seen.service["uuid"]),
            "profile": str(seen.profile.get("uuid")),
            "profile_name": str(seen.profile.get("name")),
            "type": str(seen.profile.get("type")),
            "multiplexing": multiplexed(seen.profile),
            "open_conns": seen.count,
            "open_conns_at": seen.conns.at if seen.conns else None,
        }

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:  # noqa: ARG002 (there is one step)
        """Whether its profile multiplexes."""
        return now.get("multiplexing") is True

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        """Clone and attach; each only where it has not happened yet."""
        for last in (False, True):
            seen = await self._see(host)
            if multiplexed(seen.profile):
                break
            refuse_unfit(seen.service, seen.profile, seen.count)
            if seen.profile.get("uuid") != before.get("profile") and before.get("profile"):
                raise FleetError(
                    f"{host.name} has another profile now ({seen.profile.get('name')}) than when the run looked at it",
                    hint="somebody else is at work on it: look, and plan anew",
                )
            clone = await self._cloned(seen)
            try:
                await self._attach(seen.service, clone)
            except Refused as error:
                if not error.conflict:
                    raise
                if last:
                    raise FleetError(
                        f"{host.name} was changed by somebody else twice while this run changed it",
                        hint="find out who changes it (another tool?) before the run goes on",
                    ) from None
            else:
                break
        return await self.look(step, host)

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        """Judge by the profile that the virtual service has; tell the connections before and after."""
        now = await self.look(step, host)
        if now["multiplexing"] is not True:
            return Verdict(False, True, f"profile {now['profile_name']} does not multiplex", now)
        was, is_ = before.get("open_conns"), now["open_conns"]
        counts = f"{'not counted' if was is None else was} → {'not counted' if is_ is None else is_}"
        evidence = {**now, "open_conns_before": was}
        says = (
            f"multiplexes by {now['profile_name']}; open connections {counts}, falling as the clients of before leave"
        )
        return Verdict(True, True, says, evidence)

    def commands(self, step: str, host: Host) -> list[str]:  # noqa: ARG002 (there is one step)
        """Return the requests."""
        name = self._service(host)
        clone = self._clone or f"<profile>-mux-{name}"
        return [
            f"GET /api/virtualservice?name={name}  (its profile, its _last_modified)",
            "GET /api/applicationprofile/<profile>",
            "GET /api/analytics/metrics/virtualservice/<uuid>?metric_id=l4_server.avg_open_conns",
            f"POST /api/applicationprofile  (the same, named {clone}, connection_multiplexing_enabled true)",
            "PUT /api/virtualservice/<uuid>  (application_profile_ref of the clone, all else unchanged)",
            f"back again: PUT /api/virtualservice/<uuid> with the old application_profile_ref ({name})",
        ]

    def undo(self, step: str) -> str | None:  # noqa: ARG002 (there is one step)
        """Return nothing: a clone that nobody uses harms nobody."""
        return None

    async def close(self) -> None:
        """Log out."""
        await self.avi.close()

    def _service(self, host: Host) -> str:
        return host.labels.get("virtual_service", host.name)

    def _name(self, seen: _Seen) -> str:
        return self._clone or f"{seen.profile.get('name')}-mux-{seen.service['name']}"

    async def _see(self, host: Host) -> _Seen:
        if host.name not in self._uuids:
            wanted, services = self._service(host), await self.avi.services()
            found = [str(one["uuid"]) for one in services if wanted in {one.get("name"), one.get("uuid")}]
            if len(found) != 1:
                what = "no virtual service" if not found else f"{len(found)} virtual services"
                hint = 'write its name or UUID: labels = { virtual_service = "…" }'
                raise FleetError(f"{self.avi.session.whose} has {what} called {wanted}", hint=hint)
            self._uuids[host.name] = found[0]
        uuid = self._uuids[host.name]
        service = await self.avi.service(uuid)
        profile = await self.avi.profile(ref_uuid(str(service.get("application_profile_ref"))))
        return _Seen(service, profile, await self.avi.open_conns(uuid))

    async def _cloned(self, seen: _Seen) -> dict[str, Any]:
        """Return the clone; create it where there is none of its name."""
        wanted = clone_of(seen.profile, self._name(seen))
        found = await self.avi.profile_named(wanted["name"])
        if found is None:
            try:
                return await self.avi.create_profile(wanted)
            except Refused as error:
                found = await self.avi.profile_named(wanted["name"]) if error.conflict else None
                if found is None:
                    raise
        if not same_profile(found, wanted):
            raise FleetError(
                f"there is a profile {wanted['name']} already, and it is not a multiplexing clone of "
                f"{seen.profile.get('name')}",
                hint='name another: clone = "…" in [options]',
            )
        return found

    async def _attach(self, service: dict[str, Any], clone: dict[str, Any]) -> None:
        old = str(service.get("application_profile_ref"))
        base = old.partition("#")[0].rstrip("/").rpartition("/")[0] or "/api/applicationprofile"
        reference = f"{base}/{clone['uuid']}"
        await self.avi.put_service(str(service["uuid"]), {**service, "application_profile_ref": reference})


def _say(conns: OpenConns | None) -> str:
    return "not counted yet" if conns is None else str(conns.count)


def work(plan: Plan) -> EnableMultiplexing:
    """Return the plan's work.

    ``[options]``: ``clone`` (the clone's name), ``version`` (``X-Avi-Version``; left out: the controller's own),
    ``tenant`` ("admin").
    """
    options = Options(plan)
    clone, version, tenant = options.text("clone"), options.text("version"), options.text("tenant", "admin")
    options.finish()
    headers = {"X-Avi-Tenant": tenant, **({"X-Avi-Version": version} if version else {})}
    endpoint = plan.avi
    if endpoint is None:
        hint = 'write a table [avi] with address = "avi.example" and user = "admin"'
        raise FleetError("no Avi Controller is named", hint=hint)
    reach = manager_options(endpoint, "Avi Controller")
    variable = endpoint.password_env or "TIDEGATE_AVI_PASSWORD"
    return EnableMultiplexing(
        Avi.at(
            reach,
            endpoint.user,
            lambda: read_secret(variable, endpoint.password_file, reach.whose),
            headers=headers,
        ),
        clone,
    )

"""NSX Manager: versions, host transport nodes, profiles, and what mode a host's switches really run in.

A document is kept as the text that the manager sent (:class:`Document`), so that a change of one field can leave every
other byte as it was. What a mode *should* be stands in the document; what it *is* comes from the transport zone's
members.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode

from tidegate.clients.http import Http, HttpOptions, Request
from tidegate.clients.session import Pace, Refused, Session, refusal
from tidegate.errors import FleetError

__all__ = ["Attachment", "Document", "Member", "Nsx", "State"]

_POINT = "/policy/api/v1/infra/sites/default/enforcement-points/default"
_PROFILES = "/policy/api/v1/infra/host-transport-node-profiles"
_SPEC = "/api/v1/spec/openapi/nsx_policy_api.json"
_PAGES_MAX = 1000
_DEPTH_MAX = 12


@dataclass(frozen=True, slots=True)
class Document:
    """An object of the manager: its text as it was sent, and what it says."""

    text: str
    value: Mapping[str, Any]

    @classmethod
    def read(cls, data: bytes, whose: str) -> Self:
        """Read an answer.

        Raises
        ------
        FleetError
            When it is no JSON object.
        """
        text, value = data.decode("utf-8", "replace"), None
        with contextlib.suppress(ValueError):
            value = json.loads(data)
        if not isinstance(value, dict):
            raise FleetError(f"{whose}: an answer of {len(data)} bytes is no object", slug="bad-answer")
        return cls(text, value)

    @property
    def revision(self) -> int:
        """Its ``_revision``."""
        return int(self.value.get("_revision", 0))

    @property
    def switches(self) -> list[Mapping[str, Any]]:
        """Its host switches."""
        spec = self.value.get("host_switch_spec") or {}
        return [one for one in spec.get("host_switches") or [] if isinstance(one, dict)]


@dataclass(frozen=True, slots=True)
class Member:
    """A host as its transport zones see it: the realised mode of each of its switches."""

    id: str
    name: str
    cluster: str
    modes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """How far a host has got with what was asked of it."""

    state: str
    pending: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do or to wait for."""
        return self.state == "success" and not self.pending


@dataclass(frozen=True, slots=True)
class Attachment:
    """A cluster and the profile that it is attached to."""

    cluster: str
    profile: str


class Nsx:
    """One NSX Manager."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def at(
        cls,
        options: HttpOptions,
        user: str,
        password: Callable[[], str],
        *,
        pace: Pace | None = None,
    ) -> Self:
        """Return a client that logs in, and asks for the password, when it is first used."""

        async def login(http: Http) -> Mapping[str, str]:
            form = urlencode({"j_username": user, "j_password": password()}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            request = Request("POST", "/api/session/create", content=form, headers=headers, repeat=True)
            answer = await http.call(request)
            if not answer.fine:
                # It answers 401 or 403 to a wrong password, by version.
                known = answer if answer.status != 403 else type(answer)(401, answer.body, answer.headers)
                raise refusal(options.whose, request, known)
            return {"X-XSRF-TOKEN": answer.headers.get("x-xsrf-token", "")}

        return cls(
            Session(
                Http(options, sleep=(pace or Pace()).sleep),
                login,
                logout=Request("GET", "/api/session/destroy"),
                pace=pace,
            )
        )

    async def close(self) -> None:
        """Log out and close the connections."""
        await self.session.close()

    async def version(self) -> str:
        """Return the manager's ``product_version``."""
        answer = await self.session.get("/api/v1/node/version")
        return str(answer.get("product_version") or answer.get("node_version") or "")

    async def builds(self) -> dict[str, str]:
        """Return the NSX build of every host, by node id."""
        nodes = self._all("/api/v1/upgrade/nodes", {"component_type": "HOST"})
        return {str(node["id"]): str(node.get("component_version") or "") async for node in nodes if "id" in node}

    async def modules(self, node: str) -> dict[str, str]:
        """Return the versions of the kernel modules on a host, by name (``nsxt-vsip`` is the distributed firewall)."""
        answer = await self.session.get(f"{_node(node)}/modules")
        modules = answer.get("software_modules") or []
        return {str(one.get("module_name")): str(one.get("module_version")) for one in modules}

    async def nodes(self) -> list[Mapping[str, Any]]:
        """Return every host transport node."""
        return [node async for node in self._all(f"{_POINT}/host-transport-nodes", {})]

    async def members(self) -> dict[str, Member]:
        """Return every host with the realised modes of its switches, over all transport zones, by node id."""
        found: dict[str, Member] = {}
        zones = [str(zone["id"]) async for zone in self._all("/api/v1/transport-zones", {}) if "id" in zone]
        for zone in zones:
            summary = await self.session.get(f"/api/v1/transport-zones/{quote(zone, safe='')}/summary")
            for one in summary.get("transport_node_members") or []:
                id_ = str(one.get("transport_node_id"))
                modes = {
                    str(switch.get("host_switch_id")): str(switch.get("host_switch_mode") or "")
                    for switch in one.get("host_switches") or []
                }
                before = found[id_].modes if id_ in found else {}
                name, cluster = str(one.get("transport_node_display_name")), str(one.get("compute_collection_id") or "")
                found[id_] = Member(id_, name, cluster, {**before, **modes})
        return found

    async def node(self, node: str) -> Document:
        """Return a host transport node."""
        answer = await self.session.call(Request("GET", _node(node)))
        return Document.read(answer.body, self.session.whose)

    async def put_node(self, node: str, text: str, *, overwrite: bool = False) -> Document:
        """Replace a host transport node: an override of its cluster's profile.

        Raises
        ------
        Refused
            ``conflict`` when it has changed since it was read.
        """
        return await self._put(_node(node), text, overwrite)

    async def state(self, node: str) -> State:
        """Return how far a host has got."""
        answer = await self.session.get(f"{_node(node)}/state")
        inner = answer.get("node_deployment_state") or {}
        pending = tuple(str(one) for one in answer.get("pending_user_actions") or ())
        return State(str(answer.get("state") or inner.get("state") or "unknown"), pending)

    async def restore(self, node: str) -> None:
        """Let a host follow its cluster's profile again (``restore_cluster_config``)."""
        await self.session.call(Request("PUT", _node(node), query={"action": "restore_cluster_config"}, repeat=True))

    async def attachments(self) -> list[Attachment]:
        """Return which cluster is attached to which profile."""
        collections = self._all(f"{_POINT}/transport-node-collections", {})
        return [
            Attachment(
                str(one.get("compute_collection_id")), str(one.get("transport_node_profile_id")).rsplit("/", 1)[-1]
            )
            async for one in collections
        ]

    async def profile(self, profile: str) -> Document:
        """Return a transport node profile."""
        answer = await self.session.call(Request("GET", f"{_PROFILES}/{quote(profile, safe='')}"))
        return Document.read(answer.body, self.session.whose)

    async def put_profile(self, profile: str, text: str, *, overwrite: bool = False) -> Document:
        """Replace a profile: reaches every host of every cluster that is attached to it, at once."""
        return await self._put(f"{_PROFILES}/{quote(profile, safe='')}", text, overwrite)

    async def offered_modes(self) -> frozenset[str]:
        """Return the values of ``host_switch_mode`` in the manager's own API document; none where it gives out none."""
        answer = await self.session.call(Request("GET", _SPEC), accept=(403, 404))
        if not answer.fine:
            return frozenset()
        value = answer.json()
        definitions = value.get("definitions") if isinstance(value, dict) else None
        switch = definitions.get("StandardHostSwitch") if isinstance(definitions, dict) else None
        return frozenset(_enum(switch, "host_switch_mode", _DEPTH_MAX))

    async def _put(self, path: str, text: str, overwrite: bool) -> Document:
        headers = {"X-Allow-Overwrite": "true"} if overwrite else {}
        # Once more does no harm: the second one finds another revision.
        request = Request("PUT", path, content=text.encode(), headers=headers, repeat=True)
        return Document.read((await self.session.call(request)).body, self.session.whose)

    async def _all(self, path: str, query: Mapping[str, str | int]) -> AsyncIterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_PAGES_MAX):
            page = await self.session.get(path, {**query, **({"cursor": cursor} if cursor else {})})
            for one in page.get("results") or []:
                yield one
            cursor = str(page.get("cursor") or "")
            if not cursor:
                return
        raise Refused(f"{self.session.whose}: {path} does not end after {_PAGES_MAX} pages", 200)


def _node(node: str) -> str:
    return f"{_POINT}/host-transport-nodes/{quote(node, safe=':')}"


def _enum(value: Any, name: str, depth: int) -> list[str]:
    """Return the enumeration of the property ``name``, wherever in a definition it stands."""
    if depth == 0 or not isinstance(value, (dict, list)):
        return []
    if isinstance(value, list):
        return [word for one in value for word in _enum(one, name, depth - 1)]
    found = value.get(name)
    if isinstance(found, dict) and isinstance(found.get("enum"), list):
        return [str(word) for word in found["enum"]]
    return [word for one in value.values() for word in _enum(one, name, depth - 1)]

"""An NSX Manager of the lab, unpleasant where the real one is.

``_revision`` is checked, a protected object wants ``X-Allow-Overwrite``, sessions can be forgotten, lists come in
pages. What is asked for is not what is so: a host takes a new mode only in maintenance mode (until then
``PENDING_HOST_MAINTENANCE_MODE``), only after its state was asked for ``lag`` times, or never (``stuck``); and where
``automatic`` the mode STANDARD means that the data plane chooses, which on capable uplinks is ENS again. A profile
reaches every host of every attached cluster at once.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tidegate.lab.rest_server import Reply, Request, RestServer

__all__ = ["LabNode", "LabProfile", "NsxServer"]

Json = Any

_POINT = "/policy/api/v1/infra/sites/default/enforcement-points/default"
_PROFILES = "/policy/api/v1/infra/host-transport-node-profiles"
_REVISION = re.compile(r'("_revision"\s*:\s*)(\d+)')
_OVERRIDDEN = re.compile(r'("is_overridden"\s*:\s*)(true|false)')
ENS = frozenset({"ENS", "ENS_INTERRUPT"})


@dataclass(slots=True)
class LabNode:
    """One host. ``raw`` is its document as it is sent; ``realised`` what its data plane does, by switch."""

    id: str
    name: str
    raw: str
    realised: dict[str, str]
    version: str = "4.1.2.1.0.22667789"
    cluster: str = "cluster-a"
    maintenance: bool = False
    overridden: bool = False
    lag: int = 0
    stuck: bool = False
    capable: bool = True
    polls: int = 0

    @property
    def wanted(self) -> dict[str, str]:
        """What its document asks for, by switch."""
        switches = json.loads(self.raw)["host_switch_spec"]["host_switches"]
        return {switch["host_switch_id"]: switch["host_switch_mode"] for switch in switches}

    @property
    def told(self) -> str:
        """Its document as it is sent: with what the manager itself adds."""
        return _OVERRIDDEN.sub(lambda found: f"{found[1]}{json.dumps(self.overridden)}", self.raw, count=1)

    @property
    def ens_driven(self) -> bool:
        """What ``esxcfg-nics -e`` says on the host."""
        return any(mode in ENS for mode in self.realised.values())


@dataclass(slots=True)
class LabProfile:
    """A transport node profile and the clusters that it is attached to."""

    id: str
    raw: str
    clusters: list[str] = field(default_factory=list)


class NsxServer(RestServer):
    """An NSX Manager; what it is like is set before it is asked."""

    def __init__(
        self,
        tls: ssl.SSLContext | None,
        *,
        rate: int = 100,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(tls, rate=rate, now=now)
        self.version = "4.1.2.1.0.22667789"
        self.offered: tuple[str, ...] = ("STANDARD", "ENS", "ENS_INTERRUPT")
        """The values of ``host_switch_mode`` that it knows."""
        self.automatic = False
        """Whether STANDARD leaves the choice to the data plane."""
        self.conflict = 412
        """What it answers to a wrong ``_revision``: 412 or 409."""
        self.serves_spec = True
        """Whether it gives out its OpenAPI document."""
        self.page = 3
        self.user, self.password = "admin", "VMware1!VMware1!"
        self.nodes: dict[str, LabNode] = {}
        self.profiles: dict[str, LabProfile] = {}
        self.sessions: dict[str, str] = {}
        self.logins = 0
        self.before_put: list[Callable[[], None]] = []
        """What happens just before the next PUTs are looked at, one each: somebody else's change."""

    def add_profile(self, id_: str, clusters: list[str], mode: str = "ENS") -> LabProfile:
        """Add a profile whose one switch has ``mode``."""
        body: dict[str, Json] = {"resource_type": "PolicyHostTransportNodeProfile", "id": id_, "display_name": id_}
        body |= {"path": f"/infra/host-transport-node-profiles/{id_}", "ignore_overridden_hosts": False}
        profile = LabProfile(id_, _document(body, mode), clusters)
        self.profiles[id_] = profile
        return profile

    def add_node(self, name: str, mode: str = "ENS", **more: Any) -> LabNode:
        """Add a host whose one switch has ``mode``, asked for and realised."""
        id_ = f"{len(self.nodes):08x}-54cf-4a5b-9b10-0050568d9a00:host-{len(self.nodes) + 10}"
        body: dict[str, Json] = {"resource_type": "HostTransportNode", "id": id_, "display_name": name}
        body |= {
            "is_overridden": False,
            "node_deployment_info": {"fqdn": name, "ip_addresses": [f"10.90.0.{len(self.nodes) + 1}"]},
        }
        raw = _document(body, mode)
        node = LabNode(id_, name, raw, {"50 2a 17 c0-1": mode}, **more)
        self.nodes[id_] = node
        return node

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        if request.path == "/api/session/create":
            return self._log_in(request)
        cookie = dict(part.strip().partition("=")[::2] for part in request.headers.get("cookie", "").split(";"))
        token = self.sessions.get(cookie.get("JSESSIONID", ""))
        if token is None or request.headers.get("x-xsrf-token") != token:
            return _no(401, "The credentials were incorrect or the account specified has been locked.", 403)
        if request.path == "/api/session/destroy":
            self.sessions.pop(cookie["JSESSIONID"])
            return Reply()
        return self._route(request)

    def _log_in(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if (form.get("j_username"), form.get("j_password")) != (self.user, self.password):
            return _no(403, "The credentials were incorrect or the account specified has been locked.", 403)
        self.logins += 1
        session, token = f"S{self.logins}", f"xsrf-{self.logins}"
        self.sessions[session] = token
        cookie = f"JSESSIONID={session}; Path=/; Secure; HttpOnly"
        return Reply(200, None, {"Set-Cookie": cookie, "X-XSRF-TOKEN": token})

    def _route(self, request: Request) -> Reply:  # noqa: PLR0911 (one line per path)
        path, get = request.path, request.method == "GET"
        if path == "/api/v1/node/version" and get:
            return Reply(200, {"node_version": self.version, "product_version": self.version})
        if path == "/api/v1/upgrade/nodes" and get:
            return self._page(request, [_upgrade(node) for node in self.nodes.values()])
        if path == "/api/v1/spec/openapi/nsx_policy_api.json" and get and self.serves_spec:
            return Reply(200, self._spec())
        if path == "/api/v1/transport-zones" and get:
            return self._page(request, [{"id": "tz-overlay", "resource_type": "TransportZone"}])
        if path == "/api/v1/transport-zones/tz-overlay/summary" and get:
            return Reply(200, self._zone())
        if path == f"{_POINT}/transport-node-collections" and get:
            return self._page(request, list(self._collections()))
        if path.startswith(f"{_PROFILES}/"):
            return self._profile(request, path.removeprefix(f"{_PROFILES}/"))
        if path == f"{_POINT}/host-transport-nodes" and get:
            return self._page(request, [json.loads(node.told) for node in self.nodes.values()])
        if path.startswith(f"{_POINT}/host-transport-nodes/"):
            id_, _, rest = path.removeprefix(f"{_POINT}/host-transport-nodes/").partition("/")
            node = self.nodes.get(id_)
            return self._node(request, node, rest) if node else _no(404, f"HostTransportNode {id_} was not found.", 600)
        return _no(404, f"No handler found for {request.method} {path}", 225)

    def _node(self, request: Request, node: LabNode, rest: str) -> Reply:  # noqa: PLR0911 (one line per path)
        match (request.method, rest, request.query.get("action", "")):
            case ("GET", "", ""):
                return Reply(200, node.told.encode())
            case ("GET", "state", ""):
                return Reply(200, self._state(node))
            case ("GET", "modules", ""):
                build = node.version.rsplit(".", 1)[-1]
                return Reply(
                    200, {"software_modules": [_module("nsxt-vsip", build), _module("nsx-esx-datapath", build)]}
                )
            case ("PUT", "", ""):
                refused, raw = self._put(request, node.raw)
                if refused is None:
                    node.raw, node.overridden, node.polls = raw, True, 0
                return refused or Reply(200, node.told.encode())
            case ("PUT", "", "restore_cluster_config"):
                profile = self._profile_of(node)
                if profile is None:
                    return _no(400, "The host belongs to no cluster with a profile.", 8603)
                self._adopt(node, profile)
                return Reply(200)
        return _no(405, f"Request method '{request.method}' not supported", 286)

    def _profile(self, request: Request, id_: str) -> Reply:
        profile = self.profiles.get(id_)
        if profile is None:
            return _no(404, f"Profile {id_} was not found.", 600)
        if request.method == "PUT":
            refused, raw = self._put(request, profile.raw)
            if refused is not None:
                return refused
            profile.raw = raw
            keeps = json.loads(raw).get("ignore_overridden_hosts", False)
            for node in self.nodes.values():
                if node.cluster in profile.clusters and not (keeps and node.overridden):
                    self._adopt(node, profile)
        return Reply(200, profile.raw.encode())

    def _put(self, request: Request, raw: str) -> tuple[Reply | None, str]:
        if self.before_put:
            self.before_put.pop(0)()
            raw = self._raw(json.loads(raw)["id"])
        body, current = request.json, json.loads(raw)
        if not isinstance(body, dict) or body.get("_revision") != current["_revision"]:
            sentence = f"The object {current['display_name']} has been modified by somebody else. Please retry."
            return _no(self.conflict, sentence, 604), raw
        if current.get("_protection") == "REQUIRE_OVERRIDE" and request.headers.get("x-allow-overwrite") != "true":
            return _no(403, "The object is protected: it was created by another principal.", 289), raw
        for switch in body["host_switch_spec"]["host_switches"]:
            mode = switch["host_switch_mode"]
            if mode not in self.offered:
                return _no(400, f"Cannot deserialize value of type HostSwitchMode from String {mode}.", 287), raw
            if switch.get("cpu_config") and mode not in ENS:
                return _no(400, "cpu_config is supported only for ENS host switches.", 8518), raw
        return None, _REVISION.sub(lambda found: f"{found[1]}{int(found[2]) + 1}", request.body.decode(), count=1)

    def _raw(self, id_: str) -> str:
        node = self.nodes.get(id_)
        return node.raw if node else self.profiles[id_].raw

    def _adopt(self, node: LabNode, profile: LabProfile) -> None:
        document = json.loads(node.raw)
        document["host_switch_spec"] = json.loads(profile.raw)["host_switch_spec"]
        document["_revision"] += 1
        node.raw, node.overridden, node.polls = json.dumps(document), False, 0

    def _state(self, node: LabNode) -> Json:
        goal = {switch: self._realises(node, mode) for switch, mode in node.wanted.items()}
        pending = goal != node.realised
        if pending and node.maintenance and not node.stuck:
            node.polls += 1
            if node.polls > node.lag:
                node.realised, pending = goal, False
        waits = ["PENDING_HOST_MAINTENANCE_MODE"] if pending and not node.maintenance else []
        state = "in_progress" if pending and node.maintenance else "pending" if pending else "success"
        return {"transport_node_id": node.id, "state": state, "pending_user_actions": waits, "details": []}

    def _realises(self, node: LabNode, mode: str) -> str:
        chosen = self.automatic and mode == "STANDARD"
        return ("ENS_INTERRUPT" if node.capable else "STANDARD") if chosen else mode

    def _profile_of(self, node: LabNode) -> LabProfile | None:
        return next((one for one in self.profiles.values() if node.cluster in one.clusters), None)

    def _collections(self) -> list[Json]:
        return [
            {"id": f"tnc-{cluster}", "compute_collection_id": cluster, "transport_node_profile_id": _path(profile.id)}
            for profile in self.profiles.values()
            for cluster in profile.clusters
        ]

    def _zone(self) -> Json:
        members = [
            {
                "transport_node_id": node.id,
                "transport_node_display_name": node.name,
                "compute_collection_id": node.cluster,
                "host_switches": [{"host_switch_id": s, "host_switch_mode": m} for s, m in node.realised.items()],
            }
            for node in self.nodes.values()
        ]
        return {
            "transport_zone_id": "tz-overlay",
            "num_transport_nodes": len(members),
            "transport_node_members": members,
        }

    def _spec(self) -> Json:
        mode = {"type": "string", "enum": list(self.offered), "title": "Operational mode of a HostSwitch."}
        switch = {"allOf": [{"$ref": "#/definitions/HostSwitch"}, {"properties": {"host_switch_mode": mode}}]}
        return {"swagger": "2.0", "definitions": {"HostSwitch": {"properties": {}}, "StandardHostSwitch": switch}}

    def _page(self, request: Request, items: list[Json]) -> Reply:
        start = int(request.query.get("cursor") or 0)
        body: dict[str, Json] = {"results": items[start : start + self.page], "result_count": len(items)}
        if start + self.page < len(items):
            body["cursor"] = str(start + self.page)
        return Reply(200, body)


def _document(body: dict[str, Json], mode: str) -> str:
    r"""Return a document with one switch, in a form that no serialiser would write again (``1.50``, ``\/``)."""
    switch = {
        "host_switch_id": "50 2a 17 c0-1",
        "host_switch_mode": mode,
        "host_switch_profile_ids": [{"key": "UplinkHostSwitchProfile", "value": "/infra/host-switch-profiles/up-1"}],
        **({"cpu_config": [{"numa_node_index": 0, "num_lcores": 4}]} if mode == "ENS" else {}),
        "transport_zone_endpoints": [{"transport_zone_id": "/infra/…/transport-zones/tz-overlay"}],
    }
    spec = {"resource_type": "StandardHostSwitchSpec", "host_switches": [switch]}
    text = json.dumps({**body, "host_switch_spec": spec, "_revision": 7, "tags": []}, ensure_ascii=False)
    return text.replace('"/infra/', '"\\/infra\\/').replace('"tags": []', '"tags" : [ ], "x_weight":1.50')


def _path(profile: str) -> str:
    return f"/infra/host-transport-node-profiles/{profile}"


def _upgrade(node: LabNode) -> Json:
    return {"id": node.id, "display_name": node.name, "type": "HOST", "component_version": node.version}


def _module(name: str, build: str) -> Json:
    return {"module_name": name, "module_version": f"1.0.8.0.{build}"}


def _no(status: int, sentence: str, code: int) -> Reply:
    return Reply(status, {"httpStatus": status, "error_code": code, "module_name": "policy", "error_message": sentence})

"""An Avi Controller of the lab: application profiles, virtual services, and connections that outlive a change.

A change needs the ``_last_modified`` that was read (else 412), the CSRF token and a ``Referer``; a profile can be used
by many virtual services; open connections fall only as clients that were there before leave (``leave``), and what the
metrics show comes from them.
"""

from __future__ import annotations

import json
import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tidegate.lab.rest_server import Reply, Request, RestServer

__all__ = ["AviServer", "LabService"]

Json = Any


@dataclass(slots=True)
class LabService:
    """A virtual service and its clients: those of before the last change of its profile hold on to what they have."""

    document: dict[str, Json]
    old_clients: int = 0
    old_conns: int = 0
    clients: int = 0

    def conns(self, multiplexed: bool) -> int:
        """Return how many connections to servers are open."""
        new = math.ceil(self.clients / 50) if multiplexed else self.clients
        return self.old_conns + new


@dataclass(slots=True)
class _Session:
    token: str
    user: str = field(default="")


class AviServer(RestServer):
    """An Avi Controller."""

    def __init__(
        self,
        tls: ssl.SSLContext | None,
        *,
        version: str = "22.1.5",
        page: int = 2,
        rate: int = 100,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(tls, rate=rate, now=now)
        self.version = version
        self.page = page
        self.user, self.password = "admin", "Avi-password-1"
        self.profiles: dict[str, dict[str, Json]] = {}
        self.services: dict[str, LabService] = {}
        self.pools: dict[str, dict[str, Json]] = {}
        self.members: dict[str, list[Json]] = {}
        """By pool, what every process of every service engine says of its servers."""
        self.sessions: dict[str, _Session] = {}
        self.before_put: list[Callable[[], None]] = []
        """What happens just before the next PUTs are looked at, one each: somebody else's change."""
        self._stamp = 1_700_000_000_000_000
        self._made = 0

    def add_profile(self, name: str, kind: str = "HTTP", **more: Any) -> str:
        """Add an application profile; return its UUID."""
        http = {"connection_multiplexing_enabled": False, "keepalive_timeout": 30000, "max_keepalive_requests": 100}
        http |= {"detect_ntlm_app": False}
        body: dict[str, Json] = {"name": name, "type": f"APPLICATION_PROFILE_TYPE_{kind}", "preserve_client_ip": False}
        if kind == "HTTP":
            body["http_profile"] = http | more.pop("http_profile", {})
        return str(self._keep("applicationprofile", self.profiles, body | more)["uuid"])

    def add_service(self, name: str, profile: str, clients: int = 0, **more: Any) -> str:
        """Add a virtual service with clients that each hold one connection; return its UUID."""
        known: dict[str, dict[str, Json]] = {}
        body = {"name": name, "enabled": True, "services": [{"port": 443, "enable_ssl": True}]}
        body |= {"application_profile_ref": self._ref("applicationprofile", profile, self.profiles[profile]["name"])}
        document = self._keep("virtualservice", known, body | more)
        self.services[document["uuid"]] = LabService(document, 0, 0, clients)
        return str(document["uuid"])

    def add_pool(self, name: str, servers: list[tuple[str, int, str, int]]) -> str:
        """Add a pool with servers: address, port, service engine, open connections; return its UUID."""
        uuid = str(self._keep("pool", self.pools, {"name": name, "enabled": True})["uuid"])
        self.members[uuid] = [
            {
                "ip_addr": {"addr": address, "type": "V4"},
                "port": port,
                "oper_status": {"state": "OPER_UP"},
                "se_uuid": engine,
                "proc_id": "C0_L4",
                "server_l4stats": {"capacity": 100_000, "open_conns": count},
            }
            for address, port, engine, count in servers
        ]
        return uuid

    def leave(self, service: str, count: int) -> None:
        """Let clients leave that connected before the last change, and as many new ones come."""
        one = self.services[service]
        gone = min(count, one.old_clients)
        one.old_clients -= gone
        one.old_conns -= min(gone, one.old_conns)
        one.clients += gone

    def conns(self, service: str) -> int:
        """Return the open connections of a virtual service."""
        one = self.services[service]
        return one.conns(self._multiplexed(one))

    def touch(self, service: str) -> None:
        """Let somebody else change a virtual service."""
        self._renew(self.services[service].document)

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        if request.path == "/login" and request.method == "POST":
            return self._log_in(request)
        cookie = dict(part.strip().partition("=")[::2] for part in request.headers.get("cookie", "").split(";"))
        session = self.sessions.get(cookie.get("sessionid", ""))
        if session is None:
            return Reply(401, {"error": "Authentication credentials were not provided."})
        if "x-avi-version" not in request.headers:
            return Reply(400, {"error": "X-Avi-Version is missing."})
        if request.method != "GET":
            if request.headers.get("x-csrftoken") != session.token or "referer" not in request.headers:
                return Reply(403, {"detail": "CSRF Failed: CSRF token missing or incorrect."})
            if request.path == "/logout":
                self.sessions.pop(cookie["sessionid"])
                return Reply(200, {})
        parts = request.path.strip("/").split("/")
        return self._route(request, parts)

    def _log_in(self, request: Request) -> Reply:
        body = request.json or {}
        if (body.get("username"), body.get("password")) != (self.user, self.password):
            return Reply(401, {"error": "Invalid credentials"})
        self._made += 1
        session, token = f"sess{self._made}", f"csrf{self._made}"
        self.sessions[session] = _Session(token)
        cookies = f"csrftoken={token}; Path=/; Secure\nsessionid={session}; Path=/; Secure; HttpOnly"
        return Reply(200, {"version": {"Version": self.version}, "user_initialized": True}, {"Set-Cookie": cookies})

    def _route(self, request: Request, parts: list[str]) -> Reply:  # noqa: PLR0911 (one line per path)
        documents = {uuid: service.document for uuid, service in self.services.items()}
        match (request.method, *parts):
            case ("GET", "api", "applicationprofile"):
                return self._page(request, list(self.profiles.values()))
            case ("GET", "api", "virtualservice"):
                return self._page(request, list(documents.values()))
            case ("GET", "api", "applicationprofile", uuid) if uuid in self.profiles:
                return Reply(200, self.profiles[uuid])
            case ("GET", "api", "virtualservice", uuid) if uuid in documents:
                return Reply(200, documents[uuid])
            case ("GET", "api", "virtualservice", uuid, "runtime", "detail") if uuid in documents:
                return Reply(200, [{"uuid": uuid, "oper_status": {"state": "OPER_UP"}, "open_conns": self.conns(uuid)}])
            case ("GET", "api", "pool"):
                return self._page(request, list(self.pools.values()))
            case ("GET", "api", "pool", uuid, "runtime", "server", "detail") if uuid in self.pools:
                return Reply(200, self.members[uuid])
            case ("GET", "api", "analytics", "metrics", "virtualservice", uuid) if uuid in documents:
                return Reply(200, self._metrics(request, uuid))
            case ("POST", "api", "applicationprofile"):
                return self._create(request)
            case ("DELETE", "api", "applicationprofile", uuid) if uuid in self.profiles:
                return self._delete(uuid)
            case ("PUT", "api", "virtualservice", uuid) if uuid in documents:
                return self._put(request, uuid)
        return Reply(404, {"error": f"{request.path} not found!"})

    def _create(self, request: Request) -> Reply:
        body = request.json
        if not isinstance(body, dict) or not body.get("name") or "uuid" in body or "url" in body:
            return Reply(400, {"error": "uuid and url are set by the controller."})
        if any(profile["name"] == body["name"] for profile in self.profiles.values()):
            return Reply(
                409, {"error": f"Application Profile with this Name and Tenant ref already exists: {body['name']}"}
            )
        if (wrong := _wrong(body)) is not None:
            return Reply(400, {"error": wrong})
        return Reply(201, self._keep("applicationprofile", self.profiles, body))

    def _delete(self, uuid: str) -> Reply:
        if any(uuid in service.document["application_profile_ref"] for service in self.services.values()):
            return Reply(403, {"error": "Cannot delete, object is referred by: ['VirtualService']"})
        del self.profiles[uuid]
        return Reply(204)

    def _put(self, request: Request, uuid: str) -> Reply:
        if self.before_put:
            self.before_put.pop(0)()
        service, body = self.services[uuid], request.json
        if not isinstance(body, dict) or body.get("_last_modified") != service.document["_last_modified"]:
            return Reply(412, {"error": "Concurrent Update Error: the object has been modified since it was read."})
        profile = self._profile_of(body)
        if profile is None:
            return Reply(400, {"error": "application_profile_ref: object not found!"})
        changed = body["application_profile_ref"] != service.document["application_profile_ref"]
        if changed:
            # Who is there keeps what it has; who comes now gets the new profile.
            service.old_conns = self.conns(uuid)
            service.old_clients, service.clients = service.old_clients + service.clients, 0
        service.document = body
        self._renew(body)
        return Reply(200, body)

    def _metrics(self, request: Request, uuid: str) -> Json:
        wanted = request.query.get("metric_id", "").split(",")
        value = float(self.conns(uuid))
        return {
            "entity_uuid": uuid,
            "series": [
                {
                    "header": {"name": name, "entity_uuid": uuid, "units": "METRIC_COUNT"},
                    "data": [{"timestamp": "2026-03-04T03:11:00", "value": value}],
                }
                for name in wanted
                if name in {"l4_server.avg_open_conns", "l4_server.max_open_conns"}
            ],
        }

    def _page(self, request: Request, items: list[dict[str, Json]]) -> Reply:
        name = request.query.get("name")
        items = [item for item in items if name is None or item["name"] == name]
        page = int(request.query.get("page", "1"))
        part = items[(page - 1) * self.page : page * self.page]
        body: dict[str, Json] = {"count": len(items), "results": part}
        if page * self.page < len(items):
            body["next"] = f"https://controller{request.path}?page={page + 1}"
        return Reply(200, body)

    def _keep(self, kind: str, where: dict[str, dict[str, Json]], body: dict[str, Json]) -> dict[str, Json]:
        self._made += 1
        uuid = f"{kind}-{self._made:08x}-6c5b-4f2a-8d0e-0050568d9a01"
        document = {"uuid": uuid, "url": f"https://controller/api/{kind}/{uuid}", **json.loads(json.dumps(body))}
        self._renew(document)
        where[uuid] = document
        return document

    def _renew(self, document: dict[str, Json]) -> None:
        self._stamp += 1_000_003
        document["_last_modified"] = str(self._stamp)

    def _ref(self, kind: str, uuid: str, name: str) -> str:
        return f"https://controller/api/{kind}/{uuid}#{name}"

    def _profile_of(self, document: dict[str, Json]) -> dict[str, Json] | None:
        uuid = str(document.get("application_profile_ref", "")).partition("#")[0].rstrip("/").rsplit("/", 1)[-1]
        return self.profiles.get(uuid)

    def _multiplexed(self, service: LabService) -> bool:
        profile = self._profile_of(service.document) or {}
        return bool(profile.get("http_profile", {}).get("connection_multiplexing_enabled"))


def _wrong(profile: dict[str, Json]) -> str | None:
    """Return why the controller does not take a profile."""
    multiplexed = profile.get("http_profile", {}).get("connection_multiplexing_enabled")
    if multiplexed and profile.get("preserve_client_ip"):
        return "Connection multiplexing is not compatible with Preserve Client IP."
    if multiplexed and profile.get("type") != "APPLICATION_PROFILE_TYPE_HTTP":
        return "http_profile is only for HTTP profiles."
    return None

"""Reports of diagnoses as tests need them: a storm with everything, one that is unknown, and one from a hostile log."""

from __future__ import annotations

from typing import Any

__all__ = ["HOSTILE", "finding", "hostile", "spoiled", "storm", "unknown"]

START = 1_795_572_840
HOSTILE = (
    "</script><script>document.documentElement.dataset.owned=1</script><!--<script> \x1b[31mred\x1b]0;title\x07 "
    "\u202egpj.exe\u202c \u2066x\u2069 \u200bzero <img src=x onerror=document.documentElement.dataset.owned=1> "
    "{{data}} {{uplot_js}} \"' &amp; שלום \x00\x9b31m \ud800"
)


def finding(**changes: Any) -> dict[str, Any]:
    hosts = [f"esx{number:02d}.dc1.example" for number in range(1, 41)]
    record = (
        "2026-11-25T02:14:07.512Z Er(163) vvold[2099041]: [Originator@6876 sub=Default] VasaSession::ConnectAfter: "
        "Failed to establish connection https://vasa1.example:8443/version.xml: transport error: Connection refused"
    )
    whole: dict[str, Any] = {
        "rule": "vmware.vasa.412434",
        "title": "A VASA provider is flooded by hosts that reconnect",
        "article": "412434",
        "kind": "incident",
        "severity": "critical",
        "confidence": "high",
        "explains": "After the provider restarted, all hosts open new sessions at once; it cannot serve them all.",
        "signatures": [
            {"id": "transport", "says": "A host could not open a session with the provider.", "hits": 812},
            {"id": "storage", "says": "A host lost a vVols container.", "hits": 44},
        ],
        "windows": [
            {
                "id": "storm",
                "says": "Ten or more hosts within 60 s.",
                "fired": True,
                "at": "2026-11-25T02:14:31Z",
                "count": 40,
                "limit": 10,
            },
            {
                "id": "long",
                "says": "Twenty minutes without an end.",
                "fired": False,
                "at": None,
                "count": 14,
                "limit": 20,
            },
        ],
        "first": "2026-11-25T02:14:07Z",
        "last": "2026-11-25T02:28:40Z",
        "hits": 856,
        "scope": {"hosts": hosts, "providers": ["vasa1.example:8443"], "vcenters": ["vcsa.example"]},
        "timeline": [
            [START + 60 * minute, count]
            for minute, count in enumerate([40, 160, 155, 120, 96, 70, 60, 44, 38, 30, 20, 13, 7, 3])
        ],
        "evidence": [
            {
                "path": f"esx{number:02d}-vmsupport.tgz!/var/run/log/vvold.log",
                "line": 4120 + number,
                "time": "2026-11-25T02:14:07Z",
                "record": record,
                "fields": {"provider": "vasa1.example:8443"},
                "signature": "transport",
            }
            for number in range(1, 14)
        ],
        "version_verdict": {
            "verdict": "no-fix",
            "why": "The article says that no fix exists; what it gives is a way around.",
            "product": "esxi",
            "version": "8.0.2-22380479",
            "evidence": {
                "path": "esx01-vmsupport.tgz!/var/run/log/vvold.log",
                "line": 1,
                "record": "Section for VMware ESX, pid=2099041, version=8.0.2, build=22380479, option=Release",
            },
        },
        "remedies": [
            {
                "id": "all",
                "title": "Restart vvold on all hosts",
                "prefer": False,
                "impact": "vVols of every host are away for a minute",
                "steps": [{"do": "Restart it", "run": "/etc/init.d/vvold restart", "on": "every host"}],
                "verify": [{"say": "no further hit for 10 minutes"}],
            },
            {
                "id": "waves",
                "title": "Let the hosts back in waves",
                "prefer": True,
                "impact": "hosts that wait have no vVols for as long as they wait",
                "steps": [
                    {"do": "Stop vvold on all hosts but five", "run": "/etc/init.d/vvold stop", "on": "hosts 6 to 40"},
                    {
                        "do": "Start it again five hosts at a time, one minute apart",
                        "run": "/etc/init.d/vvold start",
                        "on": "hosts",
                    },
                ],
                "verify": [
                    {
                        "say": "the provider is online",
                        "run": "esxcli storage vvol vasaprovider list",
                        "expect": "Status: online",
                    },
                    {"say": "no further hit for 10 minutes"},
                ],
            },
        ],
        "discriminators": [{"if": "certificate has expired", "then": "not this: renew the certificate first"}],
        "source": {"title": "Broadcom article 412434", "url": "https://knowledge.broadcom.com/external/article/412434"},
    }
    return whole | changes


def _callers() -> dict[str, Any]:
    def one(user: str | None, ip: str, agent: str | None, logins: int, calls: int, **more: Any) -> dict[str, Any]:
        return {
            "user": user, "ip": ip, "agent": agent, "session": None, "local": ip == "127.0.0.1",
            "logins": logins, "logouts": logins // 9, "failed_logins": 0,
            "left_open": logins - logins // 9, "calls": calls,
            "logins_per_minute": {"mean": round(logins / 30, 2), "peak": logins // 12},
            "calls_per_minute": {"mean": round(calls / 30, 2), "peak": calls // 9},
            "share_of_logins": logins / 1900, "share_of_calls": calls / 22_000,
            "operations": [{"name": "vmodl.query.PropertyCollector.retrieveContents", "calls": calls // 2}],
            "first": "2026-11-25T02:10:00Z", "last": "2026-11-25T02:40:00Z",
        } | more  # fmt: skip

    return {
        "from": "2026-11-25T02:10:00Z",
        "to": "2026-11-25T02:40:00Z",
        "minutes": 30.0,
        "totals": {
            "callers": 5, "logins": 1900, "logins_from": "events", "logouts": 210, "failed_logins": 17,
            "left_open": 1690,
            "calls": 22_000, "calls_from": "vpxd", "calls_without_user": 900,
            "begun": 22_400, "finished": 22_100, "errors": 31,
        },
        "series": {
            "step_s": 60,
            "logins": [[START - 240 + 60 * n, (n * 37) % 90 + (60 if n > 4 else 0)] for n in range(30)],
            "calls": [[START - 240 + 60 * n, 300 + (n * 131) % 700] for n in range(30)],
        },
        "operations": [{"name": "vmodl.query.PropertyCollector.retrieveContents", "calls": 15_000}],
        "top": [
            one("CORP\\svc-backup", "10.20.0.31", "VMware VI Client/4.0.0", 1600, 9000),
            one("automation@vsphere.local", "10.20.7.9", "pyvmomi Python/3.7.5 (Linux; x86_64)", 210, 7600),
            one("VSPHERE.LOCAL\\vsphere-ui-1f2e", "127.0.0.1", "VMware vim-java 1.0", 60, 4000),
            one(None, "10.20.9.77", "curl/8.5.0", 0, 500, logins_per_minute={"mean": 0, "peak": None}),
        ],
        "stands_out": {
            "by": "caller", "user": "CORP\\svc-backup", "ip": "10.20.0.31", "agent": "VMware VI Client/4.0.0",
            "session": None,
            "of": "logins", "count": 1600, "peak": 133, "callers": 1, "share": 0.8421, "why": "rate",
            "says": "CORP\\svc-backup from 10.20.0.31 (VMware VI Client/4.0.0) opened 1600 of 1900 sessions (84%), "
            "up to 133 in one minute. It left 1423 of them open.",
        },
        "notes": ["Some calls show a session whose user is not known."],
    }  # fmt: skip


def _ports() -> list[dict[str, Any]]:
    def bucket(source: str, connections: int, level: str, **more: Any) -> dict[str, Any]:
        return {
            "source": source, "destination": "10.1.4.20", "port": 443, "connections": connections, "capacity": 64_512,
            "share": connections / 64_512, "level": level, "idle": connections // 3, "said": "", "at_most": False,
        } | more  # fmt: skip

    return [
        {
            "kind": "ss",
            "title": "Sockets (ss -tan)",
            "path": "lb1/ss.txt",
            "buckets": [
                bucket("10.1.4.1", 63_900, "critical", exhausted=True, says="612 ports of 64512 are left."),
                bucket("10.1.4.2", 50_100, "warning", said="Inet port exhaustion"),
                bucket("10.1.4.3", 1200, "ok", idle=None, at_most=True),
            ],
            "gauges": [
                {
                    "name": "vs-vasa",
                    "kind": "service",
                    "open_connections": 63_900,
                    "open_requests": 41,
                    "idle": 63_859,
                    "queued": 3,
                    "limit": None,
                    "state": "OPER_UP",
                    "dropped": 0,
                }
            ],
            "more": {"buckets": 7, "gauges": 0},
            "left_out": {"listening": 12},
            "what_if": [
                {"says": "With multiplexing 310 connections would do."},
                {"says": "With 2 source addresses 31950 each."},
            ],
        }
    ]


def storm() -> dict[str, Any]:
    """Return an incident on 40 hosts, an article, callers, ports, and gaps."""
    nfc = finding(
        rule="vmware.vcenter.nfc-not-authenticated", title="Backups fail: NFC calls are not authenticated",
        article="440879", severity="warning", confidence="medium", hits=14, evidence=finding()["evidence"][:1],
        timeline=[[START + 60 * minute, 1 + minute % 3] for minute in range(4, 11)],
        version_verdict={"verdict": "unknown", "why": "No line told the build.", "product": "vcenter", "version": None},
    )  # fmt: skip
    prose = finding(
        rule="vmware.nsx.433412", title="Ens-Lcore threads stop", article="433412", kind="article", severity="notice",
        confidence="low", first=None, last=None, hits=1, timeline=[],
        scope={"hosts": [], "providers": [], "vcenters": []},
        windows=[], evidence=finding()["evidence"][:1], version_verdict=None,
    )  # fmt: skip
    return {
        "format": 1,
        "verdict": "incident",
        "findings": [finding(), nfc, prose],
        "callers": _callers(),
        "ports": _ports(),
        "coverage": {
            "members": [
                {
                    "index": number, "path": f"esx{number:02d}-vmsupport.tgz!/var/run/log/vvold.log",
                    "bytes": 10_485_760,
                    "lines": 61_000, "first": START * 10**9, "last": (START + 3600) * 10**9, "ended": "whole",
                    "why": "", "text": True,
                }
                for number in range(1, 41)
            ],
            "from": "2026-11-25T01:50:00Z",
            "to": "2026-11-25T03:00:00Z",
            "missing": ["No log of the provider itself was given."],
            "troubles": [
                {"path": "esx07-vmsupport.tgz", "what": "missing-fragment", "detail": "no vmkernel.log.FRAG-00002"}
            ],
            "not_read": [{"log": "**/haproxy*.log*", "rules": ["haproxy.backend.no-server"]}],
            "cut": {"hits": 1200, "marks": 0},
            "complete": False,
        },
    }  # fmt: skip


def unknown() -> dict[str, Any]:
    """No finding, and a file that broke off."""
    member = {
        "index": 0, "path": "vc-support.tgz!/var/log/vmware/vpxd/vpxd-12.log.gz", "bytes": 120_000, "lines": 700,
        "first": None, "last": None, "ended": "truncated", "why": "the gzip stream ends early", "text": True,
    }  # fmt: skip
    return {
        "format": 1,
        "verdict": "unknown",
        "findings": [],
        "callers": None,
        "ports": [],
        "coverage": {
            "members": [member],
            "from": None,
            "to": None,
            "missing": ["No record has a time."],
            "troubles": [],
            "complete": False,
        },
    }


def spoiled(value: Any) -> Any:
    """Return a report with something of an attacker in every text, whose verdict is an incident all the same."""
    if isinstance(value, str):
        return f"{value}{HOSTILE}"
    if isinstance(value, list):
        return [spoiled(item) for item in value]
    if isinstance(value, dict):
        return {key: item if (key, item) == ("verdict", "incident") else spoiled(item) for key, item in value.items()}
    return value


def hostile() -> dict[str, Any]:
    """Return a report in which every text comes from an attacker."""
    whole: dict[str, Any] = spoiled(storm())
    for one in whole["findings"]:
        one["source"]["url"] = "javascript:alert(3)"
    return whole

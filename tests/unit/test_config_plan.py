"""The plan: every key that Rust expects, every span in nanoseconds."""

import json
from pathlib import Path
from typing import Any

from texts import MINIMAL
from tidegate.config.load import parse_config
from tidegate.config.write import sped_up, to_toml
from tidegate.gate.service import plan_for
from tidegate.units import Duration

FILE = Path("/etc/tidegate/gate.toml")
ADMISSION = {
    "mode", "servers", "guarantees", "seed", "held_max", "held_per_client_max", "reserved_places",
    "bulk_per_client_min", "clients_max", "sessions_max", "client_timeout_ns", "margin_ns", "upstream_timeout_ns",
    "quarantine_ns", "seniority_ns", "settle_after_ns", "settle_calls", "session_idle_ns", "follow_ups_milli",
    "retry_server_ns", "renew_within_ns", "retry_after_min_ns", "retry_after_max_ns", "rate_window_ns",
    "limit_window_ns", "silence_ns",
}  # fmt: skip
IO = {
    "head_timeout_ns", "handshake_timeout_ns", "idle_timeout_ns", "write_timeout_ns", "body_rate_timeout_ns",
    "connect_timeout_ns", "server_idle_ns", "connections_max", "handshakes_max", "buffers_max_bytes", "drain_ns",
}  # fmt: skip
TCP = {
    "half_open_max", "half_closed_timeout_ns", "idle_timeout_ns", "idle_timeout_pressed_ns", "lazy",
    "connections_per_client_max",
}  # fmt: skip
FULL = """\
[gate]
admin = "unix:/run/x.sock"
admin_tcp = "127.0.0.1:9900"
admin_token_file = "token"
seed = 7
state = "state.json"

[service.vasa]
listen = "[::1]:8443"
protocol = "vasa"
mode = "enforce"
pool_scope = "never"
accept_proxy = true
forwarded_from = "10.0.0.0/8"
tls = {kind = "terminate", certificate = "c.pem", key = "k.pem", client_ca = "ca.pem"}

[service.vasa.server.vp-a]
address = "vp.example.com:8443"
limit = "static:22"
send_proxy = "v2"
tls = {sha256 = "SHA", name = "vp", certificate = "c.pem", key = "k.pem"}

[service.vasa.server.vp-b]
address = "192.0.2.1:8443"
limit = "static:8"
tls = {insecure = true}

[service.vasa.vasa]
public_url = "https://gate:8443"
operation.getEvents = {role = "poll", cost = 0.5, fault = "LostEvent"}

[service.vasa.admission]
client_timeout = "10s"
session_idle = "5m"
follow_ups = 0.5

[service.vasa.identity.vcenter]
subject = "CN=vc"
reserved = true

[service.vasa.identity.backup]
header = ["user-agent", "backup/"]
role = "bulk"
""".replace("SHA", "ab" * 32)


def plan(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(plan_for(parse_config(text, FILE)))
    return value


def test_every_key_of_the_contract_is_there_and_no_other() -> None:
    service = plan(MINIMAL)["services"][0]
    assert set(service["admission"]) == ADMISSION
    assert set(service["io"]) == IO
    assert set(service) == {
        "name", "listen", "protocol", "tls", "servers", "accept_proxy", "forwarded_from", "admission", "io",
        "identities", "pool_scope", "tcp", "monitor",
    }  # fmt: skip
    assert set(service["tcp"]) == TCP


def test_defaults() -> None:
    whole = plan(MINIMAL)
    assert whole["format"] == 1
    assert whole["admin"] == {"unix": "/run/tidegate/admin.sock", "tcp": None, "token_file": None}
    service = whole["services"][0]
    assert service["tls"] == {"kind": "none"}
    assert service["pool_scope"] == "service"
    assert service["admission"]["mode"] == "observe"
    assert service["admission"]["client_timeout_ns"] == 30_000_000_000
    assert service["admission"]["guarantees"] == {"continuation": 500, "new_session": 250, "steady": 100, "bulk": 100}
    assert service["admission"]["session_idle_ns"] is None
    assert service["io"]["buffers_max_bytes"] == 64 * 2**20
    assert service["protocol"] == {
        "kind": "http", "rules": [], "session_cookie": None, "user_header": None, "status": 503, "probe_paths": [],
    }  # fmt: skip


def test_bytes_that_are_not_read() -> None:
    text = MINIMAL.replace('"http"', '"tcp"')
    bounds = "tcp = {lazy = true, connections_per_client_max = 9, idle_timeout = '10m'}"
    service = plan(text.replace("\n\n", f"\n{bounds}\n\n", 1))["services"][0]
    assert service["protocol"] == {"kind": "tcp"}
    assert service["tcp"] == {
        "half_open_max": 64,
        "half_closed_timeout_ns": 30_000_000_000,
        "idle_timeout_ns": 600_000_000_000,
        "idle_timeout_pressed_ns": 60_000_000_000,
        "lazy": True,
        "connections_per_client_max": 9,
    }


def test_a_full_file() -> None:
    whole = plan(FULL)
    assert whole["admin"] == {"unix": "/run/x.sock", "tcp": "127.0.0.1:9900", "token_file": "/etc/tidegate/token"}
    service = whole["services"][0]
    assert service["tls"] == {
        "kind": "terminate",
        "certificate": "/etc/tidegate/c.pem",
        "key": "/etc/tidegate/k.pem",
        "client_ca": "/etc/tidegate/ca.pem",
        "client_required": True,
    }
    assert service["servers"][0]["tls"] == {
        "verify": {"sha256": ":".join(["AB"] * 32)},
        "name": "vp",
        "certificate": "/etc/tidegate/c.pem",
        "key": "/etc/tidegate/k.pem",
    }
    assert service["servers"][0]["send_proxy"] == "v2"
    assert service["servers"][1]["tls"]["verify"] == {"none": True}
    assert service["admission"]["servers"] == [
        {"name": "vp-a", "limit": 22, "standby": False},
        {"name": "vp-b", "limit": 8, "standby": False},
    ]
    assert service["admission"]["seed"] == 7
    assert service["admission"]["session_idle_ns"] == 300_000_000_000
    assert service["admission"]["follow_ups_milli"] == 500
    assert service["forwarded_from"] == ["10.0.0.0/8"]
    assert service["pool_scope"] == "never"
    operations = service["protocol"]["operations"]
    assert operations["setContext"] == {"role": "open", "cost_milli": 1000, "fault": "StorageFault"}
    assert operations["getEvents"] == {"role": "poll", "cost_milli": 500, "fault": "LostEvent"}
    assert service["identities"] == [
        {"match": {"subject": "CN=vc"}, "role": None, "reserved": True, "honours_retry_after": False},
        {
            "match": {"header": ["user-agent", "backup/"]},
            "role": "bulk",
            "reserved": False,
            "honours_retry_after": False,
        },
    ]


def test_a_limit_is_adaptive_unless_it_is_set() -> None:
    static = 'limit = "static:4"'
    for line, limit in (
        ("", {"most": 256, "first": 1}),
        ('limit = "adaptive"', {"most": 256, "first": 1}),
        ("limit_max = 9", {"most": 9, "first": 1}),
        (static, 4),
    ):
        assert plan(MINIMAL.replace(static, line))["services"][0]["admission"]["servers"][0]["limit"] == limit


def test_a_seed_is_drawn_for_every_start() -> None:
    seeds = {plan(MINIMAL)["services"][0]["admission"]["seed"] for _ in range(8)}
    assert len(seeds) == 8


def test_what_is_written_is_read_back() -> None:
    for text in (MINIMAL, FULL):
        config = parse_config(text, FILE)
        assert parse_config(to_toml(config), FILE) == config


def test_a_world_at_speed_5_has_every_duration_divided() -> None:
    config = parse_config(FULL, FILE)
    fast = parse_config(to_toml(sped_up(config, 5)), FILE)
    slow_plan, fast_plan = (json.loads(plan_for(one))["services"][0] for one in (config, fast))
    for part in ("admission", "io"):
        for key, value in slow_plan[part].items():
            if key.endswith("_ns"):
                assert fast_plan[part][key] == Duration(value).divided(5).count, key
            else:
                assert fast_plan[part][key] == value, key


def test_ports_are_ranges_sources_and_headroom() -> None:
    ports = '[gate.ports]\nrange = "20000-24999, 30000-32767"\nsources = "10.0.0.5"\nheadroom = 16\n\n'
    assert json.loads(plan_for(parse_config(ports + MINIMAL, FILE)))["ports"] == {
        "ranges": [{"first": 20000, "last": 24999}, {"first": 30000, "last": 32767}],
        "sources": ["10.0.0.5"],
        "headroom": 16,
    }
    assert json.loads(plan_for(parse_config(MINIMAL, FILE)))["ports"] == {"ranges": [], "sources": [], "headroom": 8}

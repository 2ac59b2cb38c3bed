"""A vCenter in a file: defaults, mistakes, and a plan that Rust takes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.load import parse_config
from tidegate.config.plan import Known, compile_plan
from tidegate.config.write import sped_up, to_toml
from tidegate.errors import ConfigError, Problem
from tidegate.gate import vasa, vcenter
from tidegate.gate.service import Gate, check_plan

FILE = Path("/etc/tidegate/gate.toml")
NOW = datetime(2026, 12, 3, 12, tzinfo=UTC).timestamp()  # a Thursday
BEGIN = """\
[service.vc]
listen = "127.0.0.1:0"
protocol = "vcenter"
mode = "enforce"
"""
SERVER = """
[service.vc.server.a]
address = "vc.example.com:443"
tls.insecure = true
"""
SMALL = BEGIN + SERVER
FULL = (
    SMALL
    + """
[service.vc.vcenter]
clones = 4
clone_wait = "20s"
sessions_max = 100
session_idle = "1h"
long_polls_max = 50
operation.RetrievePropertiesEx = {role = "call", cost = 0.3}
operation."POST /api/session" = {role = "open", cost = 2}

[service.vc.vcenter.tasks]
start = 16
leases_per_host_max = 8

[service.vc.vcenter.pace]
hold = "15ms"
account = {user = "counters@vsphere.local", password_file = "counters"}

[service.vc.vcenter.principal.backup]
users = ["*\\\\svc-backup", "svc-backup@*"]
vms_max = 20

[service.vc.vcenter.principal.automation]
users = ["svc-terraform@vsphere.local"]

[window.night]
principals = "backup"
from = "22:00"
to = "06:00"
zone = "UTC"

[window.noon]
principals = ["backup", "automation"]
days = ["fri"]
from = "12:00"
to = "13:00"
zone = "UTC"
outside = "turn-away"
"""
)


def plan(text: str) -> dict[str, Any]:
    protocol: dict[str, Any] = service(text)["protocol"]
    return protocol


def service(text: str) -> dict[str, Any]:
    known = Known(vasa.OPERATIONS, vasa.DEFAULT, vcenter.OPERATIONS, vcenter.DEFAULT)
    compiled: dict[str, Any] = json.loads(compile_plan(parse_config(text, FILE), known, NOW))["services"][0]
    return compiled


def with_line(line: str, text: str = FULL) -> str:
    """Return ``text`` with another line in ``[service.vc.vcenter]``, or instead of the one with the same key."""
    key = line.partition("=")[0].strip()
    kept = [old for old in text.splitlines() if old.partition("=")[0].strip() != key]
    kept.insert(kept.index("[service.vc.vcenter]") + 1, line)
    return "\n".join(kept)


def only(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, FILE)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def test_defaults() -> None:
    second = 1_000_000_000
    protocol = plan(SMALL)
    assert protocol["broker"] == {
        "clones_max": 8, "sessions_max": 16_384, "sessions_per_principal_max": 4096, "own_max": 200,
        "principals_max": 200, "waiting_max": 4096, "wait_max_ns": 60 * second, "idle_ns": 1800 * second,
        "life_ns": 72_000 * second, "verify_ns": 900 * second, "keepalive_ns": 600 * second,
    }  # fmt: skip
    assert protocol["tasks"] == {
        "token_life_ns": 300 * second, "start": 32, "most": 640, "leases_max": 52, "leases_per_host_max": 48,
        "snapshots_per_datastore_max": 4, "lease_timeout_ns": 300 * second, "wait_max_ns": 60 * second,
        "waiting_max": 2000, "work_max_ns": 7200 * second, "hold_us": 20_000, "halve_us": 25_000,
    }  # fmt: skip
    assert (protocol["kind"], protocol["principals"]) == ("vcenter", [])
    assert (protocol["long_polls_max"], protocol["long_poll_max_ns"]) == (200, 60 * second)
    assert protocol["operations"]["CreateSnapshot_Task"] == {"role": "call", "cost_milli": 8000}
    assert protocol["default"] == {"role": "call", "cost_milli": 100}


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (SMALL, 4096),
        (with_line("sessions_per_principal_max = 70_000"), 65_536),
        (f"{SMALL}[service.vc.admission]\nheld_per_client_max = 8\n", 8),
        (SMALL.replace("vcenter", "http"), 8),
    ],
)
def test_scripts_of_one_machine_may_all_be_held_before_a_vcenter(text: str, held: int) -> None:
    assert service(text)["admission"]["held_per_client_max"] == held


@pytest.mark.parametrize("text", [SMALL.replace("enforce", "observe"), with_line('broker = "off"')])
def test_sessions_are_shared_only_where_the_gate_enforces_and_may(text: str) -> None:
    assert plan(text)["broker"] is None


def test_a_full_file() -> None:
    protocol = plan(FULL)
    assert protocol["operations"]["RetrievePropertiesEx"] == {"role": "call", "cost_milli": 300}
    assert protocol["operations"]["POST /api/session"]["cost_milli"] == 2000
    backup, automation = protocol["principals"]
    assert (backup["name"], backup["users"]) == ("backup", ["*\\svc-backup", "svc-backup@*"])
    assert (backup["bulk"], backup["vms_max"]) == (True, 20)
    assert [window["outside"] for window in backup["windows"]] == ["hold", "turn-away"]
    assert automation["windows"] == backup["windows"][1:]
    assert protocol["tasks"]["hold_us"] == 15_000


def test_windows_are_open_for_the_next_fifteen_days() -> None:
    night, noon = plan(FULL)["principals"][0]["windows"]
    evening = int(datetime(2026, 12, 3, 22, tzinfo=UTC).timestamp())
    assert night["open"][0] == [evening, evening + 8 * 3600]
    assert len(night["open"]) == 16
    friday = int(datetime(2026, 12, 4, 12, tzinfo=UTC).timestamp())
    assert noon["open"] == [[friday + week * 7 * 86_400, friday + week * 7 * 86_400 + 3600] for week in range(3)]
    assert night["open"][-1][1] >= NOW + 14 * 86_400


def test_days_that_meet_are_one_opening() -> None:
    text = FULL.replace('from = "22:00"\nto = "06:00"', 'from = "00:00"\nto = "24:00"')
    assert len(plan(text)["principals"][0]["windows"][0]["open"]) == 1


def test_what_is_written_is_read_back() -> None:
    for text in (SMALL, FULL):
        config = parse_config(text, FILE)
        assert parse_config(to_toml(config), FILE) == config
        assert parse_config(to_toml(sped_up(config, 5)), FILE).service


@pytest.mark.parametrize(
    "text", [SMALL, FULL, with_line('broker = "off"'), FULL.replace("enforce", "observe"), with_line("clones = 0")]
)
def test_rust_takes_it(text: str) -> None:
    check_plan(parse_config(text, FILE))


spans = st.integers(1, 86_400_000).map(lambda count: f'"{count}ms"')
counts = st.integers(1, 1_000_000)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "clone_wait": spans, "session_idle": spans, "session_life": spans, "password_ttl": spans,
            "keepalive": spans, "long_poll_max": spans, "sessions_max": counts, "own_max": counts,
            "principals_max": counts, "long_polls_max": counts, "clones": st.integers(0, 64),
            "tasks.start": counts, "tasks.most": counts, "tasks.leases_max": counts, "tasks.waiting_max": counts,
            "tasks.token_life": spans, "tasks.wait_max": spans, "pace.hold": spans, "pace.halve": spans,
        },
    )
)  # fmt: skip
def test_whatever_python_takes_rust_takes(keys: dict[str, object]) -> None:
    text = SMALL + "\n[service.vc.vcenter]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items())
    try:
        config = parse_config(text, FILE)
    except ConfigError:
        return
    check_plan(config)


@pytest.mark.parametrize(
    ("line", "where", "message", "hint"),
    [
        ('broker = "of"', "broker", '"of" is not one of the words', 'did you mean "off"?'),
        ("clone = 4", "clone", 'there is no key "clone" here', 'did you mean "clones"?'),
        ("clones = 65", "clones", "65 is out of range", "write 64 or less"),
        ("session_life = '25h'", "session_life", "1d1h is out of range", "write 1ms to 1d"),
        ("password_ttl = '0s'", "password_ttl", "no time at all", "write the time that you mean"),
        ("long_poll_max = '500ms'", "long_poll_max", "500ms is out of range", "whole seconds"),
        ("keepalive = '2h'", "keepalive", "is not shorter than session_idle, which is 1h", "ends of idleness"),
        ("tasks.most = 8", "tasks.start", "is more than most, which is 8", "begin with fewer"),
        ("tasks.leases_max = 4", "tasks.leases_per_host_max", "is more than leases_max, which is 4", ""),
        ("pace.halve = '10ms'", "pace.halve", "is shorter than hold, which is 15ms", ""),
        ("pace.halve = '2m'", "pace.halve", "2m is out of range", "write 1ms to 1m"),
        ("operation.Login = {role = 'login', cost = 1}", "operation.Login.role", '"login" is not one of', ""),
        ("principal.x.users = []", "principal.x.users", "", ""),
        ("principal.x.users = ['SVC-BACKUP@*']", "principal.backup.users[1]", 'belongs to the principal "x"', "once"),
        ("principal.x = {users = ['a'], vms_max = 0}", "principal.x.vms_max", "0 is out of range", "1 or more"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_place(line: str, where: str, message: str, hint: str) -> None:
    text = with_line(line)
    if line.startswith(("tasks.", "pace.")):  # the file has these tables
        table, _, rest = line.partition(".")
        key = rest.partition("=")[0].strip()
        kept = [old for old in FULL.splitlines() if old.partition("=")[0].strip() != key]
        kept.insert(kept.index(f"[service.vc.vcenter.{table}]") + 1, rest)
        text = "\n".join(kept)
    problem = only(text)
    assert problem.where == f"service.vc.vcenter.{where}"
    assert message in problem.message
    assert hint in problem.hint
    assert problem.line


@pytest.mark.parametrize(
    ("old", "new", "where", "message", "hint"),
    [
        ('"backup"', '"backups"', "window.night.principals[0]", 'no principal "backups"', 'did you mean "backup"?'),
        ('"backup"', '"zzz"', "window.night.principals[0]", 'principal "zzz"', "known principals: automation, backup"),
        ('"22:00"', '"6:00"', "window.night", '"6:00" is no time of day', "write for example 22:30"),
        ('"22:00"', '"06:00"', "window.night", "never opens", "00:00"),
        ('["fri"]', '["fry"]', "window.noon", '"fry" is no day', "write some of mon"),
        ('"turn-away"', '"turn away"', "window.noon.outside", "is not one of the words", 'did you mean "turn-away"?'),
        ('"UTC"', '"Europe/Berlim"', "window.night", "no time zone", 'did you mean "Europe/Berlin"?'),
    ],
)  # fmt: skip
def test_a_window_that_cannot_be(old: str, new: str, where: str, message: str, hint: str) -> None:
    problem = only(FULL.replace(old, new, 1))
    assert (problem.where, message in problem.message, hint in problem.hint) == (where, True, True), problem


def test_a_window_of_a_file_without_principals() -> None:
    problem = only(SMALL + '\n[window.night]\nprincipals = "backup"\nfrom = "22:00"\nto = "06:00"\n')
    assert problem.message == 'there is no principal "backup"'
    assert problem.hint == "declare it with its users: [service.NAME.vcenter.principal.backup]"


def test_an_account_is_verified_in_one_way() -> None:
    both = 'account = {user = "a", ca = "c.pem", thumbprint = "SHA"}'.replace("SHA", "ab" * 32)
    old = next(line for line in FULL.splitlines() if line.startswith("account"))
    problem = only(FULL.replace(old, both))
    assert problem.where == "service.vc.vcenter.pace.account"


def passthrough(table: str) -> str:
    server = SERVER.replace("tls.insecure = true\n", "")
    return BEGIN + 'tls.kind = "passthrough"\n' + server + "\n[service.vc.vcenter]\n" + table


def test_nothing_is_shared_where_tls_passes_through() -> None:
    problem = only(passthrough(""))
    assert problem.where == "service.vc.vcenter.broker"
    assert problem.hint == 'set kind = "terminate" for the service, or broker = "off"'
    config = parse_config(passthrough('broker = "off"'), FILE)
    check_plan(config)
    problem = only(passthrough('broker = "off"\ntasks.start = 4'))
    assert problem.message == "the gate reads no calls when TLS passes through"


def test_sessions_are_shared_at_one_vcenter() -> None:
    two = SMALL + SERVER.replace("server.a", "server.b")
    problem = only(two)
    assert problem.where == "service.vc.vcenter.broker"
    assert "a session lives at one vCenter" in problem.message
    check_plan(parse_config(two + '\n[service.vc.vcenter]\nbroker = "off"\n', FILE))


def test_the_table_is_for_its_protocol() -> None:
    problem = only(FULL.replace('protocol = "vcenter"', 'protocol = "http"', 1))
    assert problem.where == "service.vc.vcenter"
    assert problem.hint == 'remove the table, or set protocol = "vcenter"'


def test_windows_are_renewed_while_the_gate_serves(tmp_path: Path) -> None:
    config = parse_config(f'[gate]\nadmin = "unix:{tmp_path}/admin.sock"\n' + FULL, FILE)
    with Gate(config) as gate:
        report = gate.apply(config)
        assert [service["change"] for service in report["services"]] == ["kept"]


def test_a_probe_asks_for_the_list_of_versions() -> None:
    known = Known(vasa.OPERATIONS, vasa.DEFAULT, vcenter.OPERATIONS, vcenter.DEFAULT)
    text = SMALL + '\n[service.vc.monitor]\ninterval = "2s"\n'
    service = json.loads(compile_plan(parse_config(text, FILE), known, NOW))["services"][0]
    assert service["monitor"]["probe"] == {"kind": "http", "path": "/sdk/vimServiceVersions.xml", "status": [200]}

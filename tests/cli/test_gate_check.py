"""``gate check`` and ``gate run`` with bad input: one sentence with a hint, exit 2, nothing bound."""

import datetime
import json
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Run
from fakes import Authority, fake_admin
from texts import MINIMAL

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECKED = {
    "fleet-hosts.toml",
    "http.toml",
    "pace.toml",
    "storm-100k.toml",
    "tcp.toml",
    "vasa-passthrough.toml",
    "vasa-restart.toml",
    "vasa-terminate.toml",
    "vcenter-2500.toml",
    "vcenter.toml",
    "vvold.toml",
    "watch.toml",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gate.toml"


@pytest.fixture
def taken() -> Iterator[int]:
    """Give a port that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def text(folder: Path, service: str = "", tail: str = "") -> str:
    begin = f'[gate]\nadmin = "unix:{folder}/admin.sock"\n\n'
    return begin + MINIMAL.replace("\n\n", f"\n{service}\n\n" if service else "\n\n", 1) + tail


@pytest.mark.parametrize("name", sorted(CHECKED))
def test_examples_are_fine(run: Run, name: str) -> None:
    example = EXAMPLES / name
    ran = run("gate", "check", example)
    assert ran.code == 0, ran.out
    kinds = r"service|a scenario, \d+ hosts|a plan of|a watch of|an inventory, \d+ hosts"
    assert re.search(rf"{re.escape(str(example))}: fine: ({kinds})", ran.out)


def test_there_are_examples_of_every_kind() -> None:
    assert {path.name for path in EXAMPLES.glob("*.toml")} == CHECKED


def test_a_file_with_mistakes_as_text(run: Run, file: Path) -> None:
    file.write_text(text(file.parent, 'mode = "enforced"').replace("address", "adress"))
    ran = run("gate", "check", file)
    assert ran.code == 2
    assert ran.err == ""
    assert ran.out == (
        f'{file}:7: service.web.mode: "enforced" is not one of the words that may stand here\n'
        '  hint: did you mean "enforce"?\n'
        f'{file}:10: service.web.server.a.adress: there is no key "adress" here\n'
        '  hint: did you mean "address"?\n'
        f"{file}: 2 problems\n"
    )


def test_a_file_with_a_mistake_as_json(run: Run, file: Path) -> None:
    file.write_text(text(file.parent, "io.drain = 30"))
    ran = run("gate", "check", file, "--output", "json")
    assert ran.code == 2
    assert ran.json() == {
        "format": 1,
        "files": [
            {
                "file": str(file),
                "ok": False,
                "problems": [
                    {
                        "line": 7,
                        "key": "service.web.io.drain",
                        "message": "30 has no unit, so it is not a duration",
                        "hint": 'write "30s" for seconds or "30ms" for milliseconds',
                    }
                ],
                "notes": [],
            }
        ],
    }


VCENTER = """
[service.vc]
listen = "127.0.0.1:0"
protocol = "vcenter"
[service.vc.server.a]
address = "192.0.2.1:443"
tls.insecure = true
"""
ACCOUNT = '[service.vc.vcenter.pace]\naccount = {user = "a"ACCOUNT}\n'


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("", "no snapshot is held for slow storage: nobody reads the counters of datastores"),
        (ACCOUNT.replace("ACCOUNT", ""), "the password is not in $TIDEGATE_VCENTER_PASSWORD here"),
        (ACCOUNT.replace("ACCOUNT", ', password_file = "none"'), "cannot be read: No such file or directory"),
    ],
)
def test_a_vcenter_whose_counters_nobody_reads_is_noted(run: Run, file: Path, tail: str, message: str) -> None:
    file.write_text(f'[gate]\nadmin = "unix:{file.parent}/admin.sock"\n{VCENTER}{tail}')
    ran = run("gate", "check", file)
    assert ran.code == 0, ran.out
    assert message in ran.out
    assert "(note)" in ran.out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("principals_max = 300", "the gate may hold 2900 sessions at the vCenter (300 users with 1 + 8 each, 200"),
        ("clones = 20", "may hold 4400 sessions at the vCenter"),
        ("own_max = 3000", "hint: lower own_max, or have fewer clones"),
        ("clones = 8", None),
        ('broker = "off"\nclones = 64', None),
    ],
)
def test_more_sessions_than_a_vcenter_has_are_noted(run: Run, file: Path, line: str, message: str | None) -> None:
    file.write_text(f'[gate]\nadmin = "unix:{file.parent}/admin.sock"\n{VCENTER}[service.vc.vcenter]\n{line}\n')
    ran = run("gate", "check", file)
    assert ran.code == 0, ran.out
    assert (message or "may hold") in ran.out or message is None
    assert ("sessions at the vCenter" in ran.out) == (message is not None)


def test_one_bad_file_among_good_ones(run: Run, file: Path) -> None:
    file.write_text("x = 1")
    ran = run("gate", "check", EXAMPLES / "http.toml", file)
    assert ran.code == 2
    assert "http.toml: fine" in ran.out


def test_an_address_in_use(run: Run, file: Path, taken: int) -> None:
    file.write_text(text(file.parent).replace("127.0.0.1:0", f"127.0.0.1:{taken}"))
    ran = run("gate", "check", file)
    assert ran.code == 2
    assert f"{file}:5: service.web.listen: the address 127.0.0.1:{taken} is in use\n  hint: `ss -ltnp" in ran.out


def test_an_address_that_this_very_gate_has_is_no_problem(run: Run, file: Path, taken: int) -> None:
    file.write_text(text(file.parent).replace("127.0.0.1:0", f"127.0.0.1:{taken}"))
    with fake_admin(file.parent / "admin.sock") as admin:
        admin.status["services"][0]["listen"] = f"127.0.0.1:{taken}"
        assert run("gate", "check", file).code == 0


def test_an_address_of_another_machine(run: Run, file: Path) -> None:
    file.write_text(text(file.parent).replace("127.0.0.1:0", "192.0.2.1:8443"))
    ran = run("gate", "check", file)
    assert ran.code == 2
    assert "this machine has no address 192.0.2.1" in ran.out


def test_certificates_that_are_missing(run: Run, file: Path) -> None:
    file.write_text(text(file.parent, 'tls = {kind="terminate", certificate="c.pem", key="k.pem", client_ca="ca.pem"}'))
    ran = run("gate", "check", file)
    assert ran.code == 2
    for key, kind, name in (
        ("certificate", "certificate", "c.pem"),
        ("key", "key", "k.pem"),
        ("client_ca", "certificate authority", "ca.pem"),
    ):
        path = file.parent / name
        assert f"{file}:7: service.web.tls.{key}: the {kind} {path} cannot be read: No such file" in ran.out


def test_a_key_of_another_certificate(run: Run, file: Path) -> None:
    authority = Authority(file.parent)
    certificate, _ = authority.issue("gate.test")
    _, key = authority.issue("other.test")
    file.write_text(text(file.parent, f'tls = {{kind="terminate", certificate="{certificate}", key="{key}"}}'))
    ran = run("gate", "check", file)
    assert ran.code == 2
    assert f"the key {key} does not belong to the certificate {certificate}" in ran.out


def test_an_expired_certificate(run: Run, file: Path) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate, key = Authority(file.parent).issue("gate.test", not_after=past)
    file.write_text(text(file.parent, f'tls = {{kind="terminate", certificate="{certificate}", key="{key}"}}'))
    ran = run("gate", "check", file)
    assert ran.code == 2
    assert f"{certificate} cannot be used: certificate has expired" in ran.out


@pytest.mark.parametrize("swap", [True, False])
def test_files_that_are_no_certificates(run: Run, file: Path, swap: bool) -> None:
    certificate, key = Authority(file.parent).issue("gate.test")
    garbage = file.parent / "garbage.pem"
    garbage.write_text("-----BEGIN GARBAGE-----\n")
    first, second = (key, certificate) if swap else (garbage, garbage)
    tail = f'tls = {{insecure = true, certificate = "{first}", key = "{second}"}}\n'
    file.write_text(text(file.parent, tail=tail))
    ran = run("gate", "check", file)
    assert ran.code == 2
    assert "service.web.server.a.tls.certificate: " in ran.out
    assert "holds no PEM block of a certificate" in ran.out


def in_a_small_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that may open 64 files."""
    return subprocess.run(
        [sys.executable, "-m", "tidegate", *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
        check=False,
    )


def test_too_few_file_descriptors(file: Path) -> None:
    file.write_text(text(file.parent, "io.connections_max = 100"))
    for command in ("check", "run"):
        ended = in_a_small_process("gate", command, file)
        assert ended.returncode == 2
        said = ended.stdout + ended.stderr
        assert f"{file}:7: service.web.io.connections_max: the gate may need 169 file descriptors" in said
        assert "and this process may have 64" in said
        assert "ulimit -Hn 169" in said


def test_run_binds_nothing_when_anything_is_wrong(run: Run, file: Path, taken: int) -> None:
    second = MINIMAL.replace("service.web", "service.other").replace("127.0.0.1:0", f"127.0.0.1:{taken}")
    file.write_text(text(file.parent) + second)
    ran = run("gate", "run", file)
    assert ran.code == 2
    assert ran.out == ""
    assert "is in use" in ran.err
    assert "error: the configuration has one problem" in ran.err
    assert not (file.parent / "admin.sock").exists()


def test_run_with_a_mistake_in_the_file(run: Run, file: Path) -> None:
    file.write_text(text(file.parent, "moed = 1"))
    ran = run("gate", "run", file)
    assert (ran.code, ran.out) == (2, "")
    assert f'{file}:7: service.web.moed: there is no key "moed" here\n  hint: did you mean "mode"?' in ran.err


def test_json_keys_do_not_depend_on_the_outcome(run: Run, file: Path) -> None:
    reports = [
        json.loads(run("gate", "check", path, "--output", "json").out)["files"][0]
        for path in (EXAMPLES / "http.toml", file)
    ]
    assert set(reports[0]) == set(reports[1]) == {"file", "ok", "problems", "notes"}


def test_a_source_that_is_not_ours(run: Run, file: Path) -> None:
    file.write_text(text(file.parent, tail='\n[gate.ports]\nsources = ["127.0.0.9", "192.0.2.1"]\n'))
    ran = run("gate", "check", file)
    assert ran.code == 2
    assert "gate.ports.sources: this machine has no address 192.0.2.1\n" in ran.out
    assert "127.0.0.9" not in ran.out

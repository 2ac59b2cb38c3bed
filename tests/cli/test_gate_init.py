"""``gate init``: a look at a real server on this machine, and a file that ``gate check`` likes."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Run
from fakes import Authority, web_server
from tidegate.config.load import load_config

VERSION_XML = """<?xml version="1.0"?><supportedVersions><version id="1"><versionId>3.0</versionId>
<serviceLocation>/vasa/services/vasaService</serviceLocation></version></supportedVersions>"""


VERSIONS = """<?xml version="1.0" encoding="UTF-8" ?><namespaces version="1.0"><namespace><name>urn:vim25</name>
<version>8.0.3.0</version><priorVersions><version>8.0.2.0</version></priorVersions></namespace></namespaces>"""


@pytest.fixture
def vcenter(tmp_path: Path) -> Iterator[str]:
    context = Authority(tmp_path).server_context("vc.test", ask_clients=False)
    with web_server({"/sdk/vimServiceVersions.xml": VERSIONS}, context) as address:
        yield address


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[str]:
    context = Authority(tmp_path).server_context("vp.test", ask_clients=True)
    with web_server({"/vasa/version.xml": VERSION_XML}, context) as address:
        yield address


def test_a_vasa_provider(run: Run, tmp_path: Path, provider: str) -> None:
    file = tmp_path / "gate.toml"
    ran = run("gate", "init", "vasa", "--server", provider, "--file", file)
    assert ran.code == 0, ran.err
    assert "answers with TLSv1.3: vp.test, issued by" in ran.out
    assert "client certificate asked" in ran.out
    config = load_config(file)
    service = config.service["vasa"]
    assert service.mode == "observe"
    assert service.tls is not None
    assert service.tls.kind == "passthrough"
    assert service.server["a"].address == provider
    assert (service.server["a"].limit, service.server["a"].limit_max) == ("adaptive", 256)
    assert config.gate.state == Path("/var/lib/tidegate/vasa.json")
    assert service.monitor is not None
    assert service.monitor.kind == "http"
    text = file.read_text()
    assert "# - certificate for: vp.test" in text
    assert '# names = ["vp.test"]' in text
    assert "# - /vasa/version.xml: versions 3.0" in text
    assert "SHA-256: " in text


def test_what_it_wrote_is_fine(run: Run, tmp_path: Path, provider: str) -> None:
    file = tmp_path / "gate.toml"
    run("gate", "init", "vasa", "--server", provider, "--file", file, "--listen", "127.0.0.1:0")
    assert run("gate", "check", file).code == 0


def test_a_vcenter(run: Run, tmp_path: Path, vcenter: str) -> None:
    file = tmp_path / "gate.toml"
    ran = run("gate", "init", "vcenter", "--server", vcenter, "--file", file, "--listen", "127.0.0.1:0")
    assert (ran.code, ran.err) == (0, "")
    service = load_config(file).service["vcenter"]
    assert (service.protocol, service.mode) == ("vcenter", "observe")
    assert service.vcenter is not None
    assert service.vcenter.broker == "off"
    assert service.monitor is not None
    assert service.monitor.kind == "http"
    assert "# - /sdk/vimServiceVersions.xml: vSphere API 8.0.3.0" in file.read_text()
    assert run("gate", "check", file).code == 0


def test_a_vcenter_is_recognised(run: Run, tmp_path: Path, vcenter: str, provider: str) -> None:
    ran = run("gate", "init", "http", "--server", vcenter, "--file", tmp_path / "gate.toml")
    assert f"this is a vCenter or a host: `tidegate gate init vcenter --server {vcenter}`" in ran.out
    ran = run("gate", "init", "vcenter", "--server", provider, "--file", tmp_path / "other.toml")
    assert ran.code == 0
    assert "lists no version of the vSphere API: is it a vCenter?" in ran.err


def test_the_look_as_json(run: Run, tmp_path: Path, provider: str) -> None:
    file = tmp_path / "gate.toml"
    look = run("gate", "init", "vasa", "--server", provider, "--file", file, "--output", "json").json()["look"]
    assert look["certificate"]["names"] == ["vp.test"]
    assert len(look["certificate"]["sha256"]) == 95
    assert look["vasa_versions"] == ["3.0"]
    assert look["client_certificate"] == "asked"


def test_a_server_without_tls(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    with web_server({}) as address:
        ran = run("gate", "init", "http", "--server", address, "--file", file)
    assert ran.code == 0
    assert f"{address} answers, without TLS" in ran.out
    service = load_config(file).service["web"]
    assert (service.tls, service.protocol) == (None, "http")
    assert service.monitor is not None
    assert service.monitor.kind == "tcp"
    assert service.listen == f"127.0.0.1:{int(address.rpartition(':')[2]) + 1}"


def test_a_server_that_asks_for_no_certificate(run: Run, tmp_path: Path) -> None:
    context = Authority(tmp_path).server_context("web.test", ask_clients=False)
    with web_server({}, context) as address:
        ran = run("gate", "init", "http", "--server", address, "--file", tmp_path / "gate.toml")
    assert "client certificate not asked" in ran.out
    monitor = load_config(tmp_path / "gate.toml").service["web"].monitor
    assert monitor is not None
    assert monitor.kind == "tls"


def test_nothing_is_overwritten(run: Run, tmp_path: Path, provider: str) -> None:
    file = tmp_path / "gate.toml"
    file.write_text("mine")
    ran = run("gate", "init", "vasa", "--server", provider, "--file", file)
    assert ran.code == 2
    assert ran.err == f"error: {file} exists already\n  hint: name another with --file, or overwrite it with --force\n"
    assert file.read_text() == "mine"
    assert run("gate", "init", "vasa", "--server", provider, "--file", file, "--force").code == 0
    assert file.read_text() != "mine"


def test_a_server_that_is_not_there(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    file = tmp_path / "gate.toml"
    ran = run("gate", "init", "vasa", "--server", f"127.0.0.1:{port}", "--file", file)
    assert ran.code == 4
    assert ran.err.startswith(f"error: 127.0.0.1:{port} cannot be reached: Connection refused\n  hint: ")
    assert not file.exists()


def test_a_server_that_says_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        ran = run("gate", "init", "vasa", "--server", address, "--file", file, "--timeout", "0.1")
    assert ran.code == 0
    assert "answers, without TLS" in ran.out


@pytest.mark.parametrize("address", ["vp.example.com", "8443", "host:0", "host:99999"])
def test_no_address(run: Run, tmp_path: Path, address: str) -> None:
    ran = run("gate", "init", "vasa", "--server", address, "--file", tmp_path / "gate.toml")
    assert ran.code == 4
    assert f'"{address}" is not an address' in ran.err


def test_a_listen_address_that_is_none_is_refused_before_anything_is_written(
    run: Run, tmp_path: Path, provider: str
) -> None:
    file = tmp_path / "gate.toml"
    ran = run("gate", "init", "vasa", "--server", provider, "--file", file, "--listen", "everywhere")
    assert ran.code == 2
    assert '"everywhere" is not an address' in ran.err
    assert not file.exists()

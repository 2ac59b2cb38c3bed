"""A watch's syslog listener and the programs that send in the field: rsyslog and logger, over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme

from rsyslogs import Tls, log, relaying
from syslogs import Heard, listening
from tidegate.watch.live.syslog_options import SyslogOptions
from tidegate.watch.live.syslog_records import hostname_of
from tidegate.watch.load import load_rules
from tidegate.watch.plan import to_plan
from tidegate.watch.scan import Scanner

ANY = "127.0.0.1:0"
STORM = (
    "[Originator@6876 sub=Default OpId=Session] VasaSession::DoSetContext: setContext for VP array (url: https://array:8443/"
    "vasa/services/vasaService?version=4) failed [connectionState: TransportError]: TRANSPORT_FAULT"
)
FORGED = "<166>2026-11-25T12:17:14Z forged Hostd: info hostd[1] hello"

SECOND = 10**9
SCANNER = Scanner(to_plan(load_rules().rules, now=time.time_ns()))

logger = pytest.mark.peer("logger")
rsyslog = pytest.mark.peer("logger", "rsyslogd")


def plain(relays: tuple[str, ...] = ()) -> SyslogOptions:
    """Return a listener without TLS."""
    return SyslogOptions(udp=ANY, tcp=ANY, relays=relays)


def to(heard: Heard, way: str) -> list[str]:
    """Return how logger is told where to send."""
    return ["--server", "127.0.0.1", "--port", str(heard.source.ports[way]), f"--{way}", "--tag", "vvold"]


@logger
@pytest.mark.parametrize("form", ["--rfc3164", "--rfc5424"])
@pytest.mark.parametrize("way", ["udp", "tcp", "counted"])
def test_what_logger_sends_is_heard_of_its_address(way: str, form: str) -> None:
    async def play() -> None:
        async with listening(plain()) as heard:
            kind, *count = {"counted": ["tcp", "--octet-count"]}.get(way, [way])
            await log(*to(heard, kind), *count, form, "--priority", "local4.err", STORM)
            ((host, line),) = await heard.records(1)
            assert host == "127.0.0.1"
            assert line.startswith(b"<163>")
            assert line.endswith(STORM.encode())
            assert hostname_of(line)
            assert heard.gaps == []

    asyncio.run(play())


@logger
@pytest.mark.parametrize("way", ["udp", "tcp", "counted"])
def test_a_line_feed_in_a_message_speaks_for_nobody_else(way: str) -> None:
    async def play() -> None:
        async with listening(plain()) as heard:
            kind, *count = {"counted": ["tcp", "--octet-count"]}.get(way, [way])
            await log(*to(heard, kind), *count, f"hello\n{FORGED}")
            said = await heard.records(2)
            assert {host for host, _ in said} == {"127.0.0.1"}
            # A line by itself is a message where line feeds end messages: it is its sender's all the same.
            assert said[1][1] == (b"" if way == "tcp" else b"--> ") + FORGED.encode()

    asyncio.run(play())


@rsyslog
@pytest.mark.parametrize("how", ["udp", "lines", "counted"])
def test_rsyslog_as_a_relay_speaks_for_the_host_that_it_names(tmp_path: Path, how: str) -> None:
    async def play() -> None:
        began = time.time_ns()
        async with listening(plain(relays=("127.0.0.0/8",))) as heard:
            port = heard.source.ports["udp" if how == "udp" else "tcp"]
            async with relaying(tmp_path, port, how) as relay:
                await relay.log("--tag", "vvold", STORM)
                # rsyslog tells that it has started, too.
                await heard.until(lambda heard: STORM.encode() in heard.data)
                assert {host for host, _ in heard.said} == {"relay.lab"}
                (hit,) = SCANNER.scan_text("syslog", heard.data)["hits"]
                assert hit["signature"] == "vasa.provider.setcontext-storm/transport"
                assert (hit["host"], hit["program"]) == ("relay.lab", "vvold")
                # To the second, as the old form has no fraction; its zone is the machine's.
                zone = datetime.now().astimezone().utcoffset() if how == "udp" else timedelta()
                assert zone is not None
                told = hit["time"] - int(zone.total_seconds()) * SECOND
                assert began - SECOND <= told <= time.time_ns()

    asyncio.run(play())


@rsyslog
def test_rsyslog_waits_while_the_desk_is_busy_and_nothing_is_lost(tmp_path: Path) -> None:
    async def play() -> None:
        count = 20_000
        lines = tmp_path / "lines"
        lines.write_text("".join(f"{number} {'x' * 800}\n" for number in range(count)))
        async with listening(plain()) as heard:
            heard.gate.clear()
            async with relaying(tmp_path, heard.source.ports["tcp"], "counted") as relay:
                await relay.log("--file", str(lines))
                assert heard.source.view()["lag_bytes"] < 1 << 20
                heard.gate.set()
                await heard.until(lambda heard: bool(heard.batches) and heard.batches[-1].position["records"] >= count)
                numbers = [int(line.split()[-2]) for _, line in heard.said if line.endswith(b"xxx")]
                assert numbers == list(range(count))
                assert heard.gaps == []

    asyncio.run(play())


@pytest.fixture
def ours() -> trustme.CA:
    """Sign the listener and its clients."""
    return trustme.CA()


def written(folder: Path, ours: trustme.CA, signer: trustme.CA, name: str) -> Tls:
    """Write a certificate of ``name`` and its key; trust is in ours."""
    folder.mkdir(exist_ok=True)
    made = signer.issue_cert(name)
    chain, key, authority = folder / "chain.pem", folder / "key.pem", folder / "authority.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    made.private_key_pem.write_to_path(key)
    ours.cert_pem.write_to_path(authority)
    return Tls(authority, chain, key, "watch.lab")


@rsyslog
@pytest.mark.peer("rsyslog-gnutls")
def test_rsyslog_by_tls_is_who_its_certificate_says(tmp_path: Path, ours: trustme.CA) -> None:
    async def play() -> None:
        server = written(tmp_path / "server", ours, ours, "watch.lab")
        client = written(tmp_path / "client", ours, ours, "esx1.lab")
        options = SyslogOptions(tls=ANY, certificate=server.certificate, key=server.key, clients=server.authority)
        async with (
            listening(options) as heard,
            relaying(tmp_path, heard.source.ports["tls"], "tls", client) as relay,
        ):
            await relay.log("--tag", "vvold", STORM)
            await heard.until(lambda heard: STORM.encode() in heard.data)
            assert {host for host, _ in heard.said} == {"esx1.lab"}
            assert heard.gaps == []

    asyncio.run(play())


@rsyslog
@pytest.mark.peer("rsyslog-gnutls")
def test_rsyslog_with_a_certificate_of_somebody_else_is_refused_and_that_is_said(
    tmp_path: Path, ours: trustme.CA
) -> None:
    async def play() -> None:
        server = written(tmp_path / "server", ours, ours, "watch.lab")
        client = written(tmp_path / "client", ours, trustme.CA(), "esx1.lab")
        options = SyslogOptions(tls=ANY, certificate=server.certificate, key=server.key, clients=server.authority)
        async with (
            listening(options) as heard,
            relaying(tmp_path, heard.source.ports["tls"], "tls", client) as relay,
        ):
            await relay.log("--tag", "vvold", STORM)
            gap = await heard.gap("unreadable")
            assert gap.detail.startswith("TLS clients were refused: ")
            assert heard.said == []

    asyncio.run(play())


@rsyslog
@pytest.mark.peer("openssl")
def test_a_client_without_a_certificate_is_refused_and_that_is_said(tmp_path: Path, ours: trustme.CA) -> None:
    async def play() -> None:
        server = written(tmp_path / "server", ours, ours, "watch.lab")
        options = SyslogOptions(tls=ANY, certificate=server.certificate, key=server.key, clients=server.authority)
        async with listening(options) as heard:
            client = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-quiet", "-no_ign_eof", "-connect", f"127.0.0.1:{heard.source.ports['tls']}"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            await client.communicate(b"<13>forged\n")
            gap = await heard.gap("unreadable")
            assert gap.detail == "TLS clients were refused: they showed no certificate (127.0.0.1)"
            assert heard.said == []

    asyncio.run(play())

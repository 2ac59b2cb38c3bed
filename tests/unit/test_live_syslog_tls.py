"""Syslog by TLS: a verified certificate is who a client is, and without one that is wanted nobody is heard."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from pathlib import Path

import pytest
import trustme

from syslogs import NAME, Heard, listening
from tidegate.errors import UsageError
from tidegate.watch.live.syslog import Syslog
from tidegate.watch.live.syslog_options import SyslogOptions
from tidegate.watch.live.syslog_tls import certified_name

ANY = "127.0.0.1:0"


@pytest.fixture(scope="module")
def ours() -> trustme.CA:
    """Sign the listener and its clients."""
    return trustme.CA()


def options(folder: Path, ours: trustme.CA, *, clients: bool = True, relays: tuple[str, ...] = ()) -> SyslogOptions:
    """Return a listener with a certificate, which wants certificates of its clients."""
    server = ours.issue_cert("127.0.0.1")
    chain, key, authorities = folder / "chain.pem", folder / "key.pem", folder / "clients.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    server.private_key_pem.write_to_path(key)
    ours.cert_pem.write_to_path(authorities)
    wanted = authorities if clients else None
    return SyslogOptions(tcp=ANY, tls=ANY, certificate=chain, key=key, clients=wanted, relays=relays)


def context(ours: trustme.CA, shown: trustme.LeafCert | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Return what a client connects with."""
    made = ssl.create_default_context()
    ours.configure_trust(made)
    if shown:
        shown.configure_cert(made)
    if version:
        made.minimum_version = made.maximum_version = version
    return made


async def say(heard: Heard, data: bytes, tls: ssl.SSLContext | None) -> None:
    """Connect, say something and leave; being refused is no error here."""
    # TLS 1.3 tells a client only after its first bytes that it was refused.
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        _, writer = await asyncio.open_connection("127.0.0.1", heard.source.ports["tls"], ssl=tls)
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_is_who_its_certificate_says(tmp_path: Path, ours: trustme.CA, version: ssl.TLSVersion) -> None:
    async def play() -> None:
        async with listening(options(tmp_path, ours)) as heard:
            host = ours.issue_cert("esx1.lab")
            await say(heard, b"<13>Nov 25 12:00:00 forged a: one\n7 <13>two", context(ours, host, version))
            assert await heard.records(2) == [
                ("esx1.lab", b"<13>Nov 25 12:00:00 forged a: one"),
                ("esx1.lab", b"--> 7 <13>two"),
            ]

    asyncio.run(play())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_a_certificate_is_refused_counted_and_said(
    tmp_path: Path, ours: trustme.CA, version: ssl.TLSVersion
) -> None:
    async def play() -> None:
        async with listening(options(tmp_path, ours)) as heard:
            await say(heard, b"<13>forged\n", context(ours, None, version))
            gap = await heard.gap("unreadable")
            assert gap.detail == "TLS clients were refused: they showed no certificate (127.0.0.1)"
            view = heard.source.view()
            assert (view["lost"], view["connections"]) == ({"unreadable": 1}, 0)
            assert view["troubles"] == [f"unreadable: {gap.detail}"]
            assert heard.said == []

    asyncio.run(play())


def test_what_nobody_we_know_has_signed_and_what_is_no_tls_is_refused(tmp_path: Path, ours: trustme.CA) -> None:
    async def play() -> None:
        async with listening(options(tmp_path, ours)) as heard:
            await say(heard, b"<13>forged\n", context(ours, trustme.CA().issue_cert("esx1.lab")))
            await say(heard, b"<13>plain\n", None)
            await heard.until(lambda heard: len(heard.gaps) == 2)
            assert {gap.detail.removeprefix("TLS clients were refused: ") for gap in heard.gaps} == {
                "their certificates are signed by nobody whom we know, or have expired (127.0.0.1)",
                "they do not speak TLS as we do (127.0.0.1)",
            }
            # And the next one is heard.
            await say(heard, b"<13>real\n", context(ours, ours.issue_cert("esx1.lab")))
            assert await heard.records(1) == [("esx1.lab", b"<13>real")]

    asyncio.run(play())


def test_a_client_that_does_not_know_us_is_said_and_one_that_only_looks_is_not(
    tmp_path: Path, ours: trustme.CA
) -> None:
    async def play() -> None:
        async with listening(options(tmp_path, ours)) as heard:
            _, writer = await asyncio.open_connection("127.0.0.1", heard.source.ports["tls"])
            writer.close()
            await asyncio.to_thread(distrust, heard.source.ports["tls"])
            gap = await heard.gap("unreadable")
            assert gap.detail == "TLS clients were refused: they do not take our certificate (127.0.0.1)"
            assert heard.source.view()["lost"] == {"unreadable": 1}

    def distrust(port: int) -> None:
        # asyncio's own client would leave without an alert.
        client = context(trustme.CA(), ours.issue_cert("esx1.lab"))
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
            client.wrap_socket(plain, server_hostname="127.0.0.1")

    asyncio.run(play())


def test_where_no_certificate_is_wanted_the_address_is_who_a_client_is(tmp_path: Path, ours: trustme.CA) -> None:
    async def play() -> None:
        async with listening(options(tmp_path, ours, clients=False)) as heard:
            await say(heard, b"<13>x\n", context(ours, ours.issue_cert("esx1.lab")))
            assert await heard.records(1) == [("127.0.0.1", b"<13>x")]

    asyncio.run(play())


def test_a_relay_is_known_by_its_certificate(tmp_path: Path, ours: trustme.CA) -> None:
    async def play() -> None:
        async with listening(options(tmp_path, ours, relays=("relay.lab",))) as heard:
            await say(heard, b"<13>Nov 25 12:00:00 esx7 a: x\n", context(ours, ours.issue_cert("relay.lab")))
            await say(heard, b"<13>Nov 25 12:00:00 esx8 a: x\n", context(ours, ours.issue_cert("esx1.lab")))
            assert {host for host, _ in await heard.records(2)} == {"esx7", "esx1.lab"}

    asyncio.run(play())


def test_whatever_strangers_send_and_however_they_leave_the_next_one_is_heard(tmp_path: Path, ours: trustme.CA) -> None:
    def bother(ports: dict[str, int]) -> None:
        chance = random.Random(8)  # noqa: S311 (what strangers do is no secret)
        for number in range(120):
            peer, port = f"127.0.1.{number}", ports[chance.choice(["tcp", "tls"])]
            with socket.create_connection(("127.0.0.1", port), source_address=(peer, 0)) as stranger:
                if chance.random() < 0.5:
                    # It leaves with a reset.
                    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                first = chance.choice([b"", b"\x16\x03\x01\x02\x00", b"<13>", b"64 <13>", b"\n\0", b"9 "])
                with contextlib.suppress(OSError):
                    stranger.sendall(first + chance.randbytes(chance.randrange(2000)))

    async def play() -> None:
        async with listening(options(tmp_path, ours)) as heard:
            await asyncio.to_thread(bother, heard.source.ports)
            await say(heard, b"<13>real\n", context(ours, ours.issue_cert("esx1.lab")))
            await heard.until(lambda heard: ("esx1.lab", b"<13>real") in heard.said)
            assert {host for host, _ in heard.said if not host.startswith("127.0.1.")} == {"esx1.lab"}

    asyncio.run(play())


def test_files_that_cannot_be_used_are_said(tmp_path: Path, ours: trustme.CA) -> None:
    good = options(tmp_path, ours)
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(UsageError, match="has no certificate"):
        Syslog(NAME, SyslogOptions(tls=ANY)).open()
    with pytest.raises(UsageError, match="cannot use the certificate"):
        Syslog(NAME, SyslogOptions(tls=ANY, certificate=tmp_path / "absent.pem", key=good.key)).open()
    broken = SyslogOptions(tls=ANY, certificate=good.certificate, key=good.key, clients=empty)
    with pytest.raises(UsageError, match="to verify clients"):
        Syslog(NAME, broken).open()


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        ({"subjectAltName": (("IP Address", "10.0.0.1"), ("DNS", "ESX1.lab"), ("DNS", "other"))}, "esx1.lab"),
        ({"subject": ((("countryName", "DE"),), (("commonName", "esx1.lab"),))}, "esx1.lab"),
        ({"subjectAltName": (("DNS", "*.lab"), ("DNS", "esx1.lab"))}, "esx1.lab"),
        ({"subjectAltName": (("DNS", "*.lab"),), "subject": ((("commonName", "*.lab"),),)}, ""),
        ({"subjectAltName": (("IP Address", "10.0.0.1"),)}, ""),
        ({}, ""),
    ],
)
def test_a_certificate_names_a_host_by_dns_name_then_by_common_name(certificate: dict[str, object], name: str) -> None:
    assert certified_name(certificate) == name

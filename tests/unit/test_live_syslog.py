"""A syslog listener on real sockets: who said what, how it is numbered, and what it does not pass over in silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from syslogs import NAME, Heard, cut, listening, send_datagrams
from tidegate.errors import UsageError
from tidegate.watch.live.syslog import Syslog
from tidegate.watch.live.syslog_options import Caps, SyslogOptions

ANY = "127.0.0.1:0"
HEAD = b"<14>2026-11-25T12:17:14Z esx1 Hostd: "


async def connect(heard: Heard, way: str = "tcp", source: str = "127.0.0.1") -> asyncio.StreamWriter:
    """Return a connection to the listener."""
    _, writer = await asyncio.open_connection("127.0.0.1", heard.source.ports[way], local_addr=(source, 0))
    return writer


async def closed(heard: Heard, data: bytes, source: str = "127.0.0.1") -> None:
    """Connect, say something, and wait until the listener closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", heard.source.ports["tcp"], local_addr=(source, 0))
    writer.write(data)
    with contextlib.suppress(ConnectionResetError):
        await reader.read()
    writer.close()


def test_datagrams_are_of_the_address_that_they_came_from() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(udp=ANY)) as heard:
            await send_datagrams(heard.source.ports["udp"], HEAD + b"one", b"two\n" + HEAD + b"forged", b"")
            assert await heard.records(3) == [
                ("127.0.0.1", HEAD + b"one"),
                ("127.0.0.1", b"<13>two"),
                ("127.0.0.1", b"--> " + HEAD + b"forged"),
            ]

    asyncio.run(play())


def test_both_framings_are_read_each_on_its_connection() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(tcp=ANY)) as heard:
            lines, counts = await connect(heard, source="127.0.0.2"), await connect(heard, source="127.0.0.3")
            lines.write(HEAD + b"one\n" + HEAD + b"two\nof two\n")
            counts.write(b"%d %bthree\n%b" % (len(HEAD) * 2 + 6, HEAD, HEAD) + b"5 <13>x")
            said = await heard.records(6)
            assert [line for host, line in said if host == "127.0.0.2"] == [
                HEAD + b"one",
                HEAD + b"two",
                b"--> of two",
            ]
            assert [line for host, line in said if host == "127.0.0.3"] == [
                HEAD + b"three",
                b"--> " + HEAD,
                b"<13>x",
            ]
            for writer in (lines, counts):
                writer.close()

    asyncio.run(play())


def test_a_relay_speaks_for_the_hosts_that_it_names_and_for_itself_where_it_names_none() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(udp=ANY, tcp=ANY, relays=("127.0.0.2",))) as heard:
            relay, other = await connect(heard, source="127.0.0.2"), await connect(heard, source="127.0.0.3")
            relay.write(HEAD + b"one\ngoes on\n<13>no header\n<13>1 2026-11-25T12:17:14Z esx2 a - - - two\n")
            other.write(HEAD + b"mine\n")
            said = await heard.records(5)
            assert [host for host, _ in said if host != "127.0.0.3"] == ["esx1", "esx1", "127.0.0.2", "esx2"]
            assert ("127.0.0.3", HEAD + b"mine") in said
            for writer in (relay, other):
                writer.close()

    asyncio.run(play())


def test_batches_are_numbered_in_one_row_and_go_on_where_they_stopped() -> None:
    async def play(saved: dict[str, dict[str, int]]) -> Heard:
        async with listening(SyslogOptions(udp=ANY), saved=saved) as heard:
            for count in (1, 2, 3):
                await send_datagrams(heard.source.ports["udp"], b"<13>x")
                await heard.records(count)
            return heard

    first = asyncio.run(play({})).batches
    at = first[-1].position
    assert at == {"format": 1, "bytes": 18, "records": 3}
    for batch in (*first, *asyncio.run(play({NAME: at})).batches):
        assert (batch.source, batch.stream) == (NAME, NAME)
        assert batch.base + len(batch.data) == batch.position["bytes"]
    bases = [batch.base for batch in first]
    assert bases == sorted(set(bases))


def test_when_a_batch_came_tells_of_clocks_unless_its_speaker_may_have_kept_it() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(udp=ANY, tcp=ANY, relays=("127.0.0.2",))) as heard:
            began = time.time_ns()
            host, relay = await connect(heard, source="127.0.0.3"), await connect(heard, source="127.0.0.2")
            for number in (1, 2):
                for writer in (host, relay):
                    writer.write(b"<13>%d\n" % number)
                await send_datagrams(heard.source.ports["udp"], b"<13>%d" % number)
                await heard.records(3 * number)
            live: dict[bytes, set[str]] = {b"<13>1": set(), b"<13>2": set()}
            for batch in heard.batches:
                assert began <= batch.arrival <= time.time_ns()
                for speaker, line in cut(batch):
                    if batch.live:
                        live[line].add(speaker)
            # What a new connection brings first may have waited for it.
            assert live == {b"<13>1": {"127.0.0.1"}, b"<13>2": {"127.0.0.1", "127.0.0.3"}}
            for writer in (host, relay):
                writer.close()

    asyncio.run(play())


def test_a_position_of_another_version_is_refused() -> None:
    async def play() -> None:
        with pytest.raises(UsageError, match="another version"):
            await Syslog(NAME, SyslogOptions()).run(Heard.put, {NAME: {"format": 2}})  # type: ignore[arg-type]

    asyncio.run(play())


def test_the_time_without_a_watch_is_a_gap() -> None:
    async def play() -> None:
        stopped = time.time_ns() - 3600 * 10**9
        async with listening(SyslogOptions(udp=ANY), stopped=stopped) as heard:
            gap = await heard.gap("not_running")
            assert gap.since <= stopped < gap.until <= time.time_ns()
            assert (heard.batches[0].data, heard.batches[0].idle) == (b"", True)

    asyncio.run(play())


def test_messages_cut_off_and_too_long_are_said() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(tcp=ANY)) as heard:
            writer = await connect(heard)
            writer.write(b"<13>" + b"x" * 1_000_000 + b"\n<13>whole\n")
            said = await heard.records(2)
            assert (len(said[0][1]), said[1][1]) == (64 << 10, b"<13>whole")
            writer.close()
            await closed_half(heard, b"99 <13>cut")
            await heard.records(3)
            await closed(heard, b"5 <13>xnonsense")
            await heard.until(lambda heard: len([gap for gap in heard.gaps if gap.kind == "truncated"]) == 3)
            assert sorted(gap.detail for gap in heard.gaps) == [
                "connections ended within a message (127.0.0.1)",
                "connections were closed, because no length stood where the next message's should (127.0.0.1)",
                "messages were longer than 64 KiB (127.0.0.1)",
            ]
            assert heard.source.view()["lost"] == {"truncated": 3}

    async def closed_half(heard: Heard, data: bytes) -> None:
        writer = await connect(heard)
        writer.write(data)
        writer.close()

    asyncio.run(play())


def test_connections_over_the_caps_are_closed_counted_and_said() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(tcp=ANY, caps=Caps(all=3, peer=2))) as heard:
            kept = [await connect(heard, source="127.0.0.2") for _ in range(2)]
            await closed(heard, b"", source="127.0.0.2")
            kept.append(await connect(heard, source="127.0.0.3"))
            await closed(heard, b"", source="127.0.0.4")
            await heard.until(lambda heard: len(heard.gaps) == 2)
            assert [gap.detail for gap in heard.gaps] == [
                "more than 2 connections of one peer were closed (127.0.0.2)",
                "more than 3 connections were closed (127.0.0.4)",
            ]
            view = heard.source.view()
            assert (view["connections"], view["peers"], view["lost"]) == (3, 2, {"unreadable": 2})
            for number, writer in enumerate(kept):
                writer.write(b"<13>still heard %d\n" % number)
            await heard.records(3)
            for writer in kept:
                writer.close()

    asyncio.run(play())


def test_while_the_desk_is_busy_streams_wait_and_lose_nothing() -> None:
    async def play() -> None:
        count = 100_000
        async with listening(SyslogOptions(tcp=ANY)) as heard, asyncio.TaskGroup() as tasks:
            heard.gate.clear()
            sending = tasks.create_task(send(await connect(heard), count))
            # The sender is told to wait: it cannot get rid of all that it has.
            await stalled(heard, sending)
            assert heard.source.view()["lag_bytes"] < 4 << 20
            heard.gate.set()
            await heard.until(lambda heard: bool(heard.batches) and heard.batches[-1].position["records"] == count)
            assert [line for _, line in heard.said] == [message(number) for number in range(count)]
            assert not heard.gaps

    def message(number: int) -> bytes:
        return b"<13>%d " % number + b"x" * 200

    async def send(writer: asyncio.StreamWriter, count: int) -> None:
        for number in range(count):
            writer.write(message(number) + b"\n")
            await writer.drain()
        writer.close()

    async def stalled(heard: Heard, sending: asyncio.Task[None]) -> None:
        before = -1
        while (now := heard.source.view()["lag_bytes"]) > before or not now:
            before = now
            await asyncio.wait([sending], timeout=0.5)
        assert not sending.done()

    asyncio.run(play())


def test_while_the_desk_is_busy_datagrams_wait_within_bounds_and_each_that_is_lost_is_counted() -> None:
    async def play() -> None:
        count = 1000
        async with listening(SyslogOptions(udp=ANY)) as heard:
            heard.gate.clear()
            sent = 0
            while not heard.source.view()["lost"].get("queue_full"):
                await send_datagrams(heard.source.ports["udp"], *[b"<13>" + b"x" * 1000] * count)
                sent += count
                await asyncio.sleep(0)
            assert heard.source.view()["lag_bytes"] < 5 << 20
            heard.gate.set()
            await heard.until(lambda heard: len(heard.said) + sum(gap.count or 0 for gap in heard.gaps) == sent)
            gap = await heard.gap("queue_full")
            assert gap.detail.endswith("(127.0.0.1)")

    asyncio.run(play())


@pytest.mark.parametrize("busy", [False, True])
def test_what_was_heard_before_the_end_is_handed_over(busy: bool) -> None:
    async def play() -> Heard:
        async with listening(SyslogOptions(tcp=ANY, caps=Caps(peer=1))) as heard:
            writer = await connect(heard)
            if busy:
                heard.gate.clear()
            await closed(heard, b"")
            writer.write(b"<13>one\n<13>two\n")
            await heard.until(lambda heard: heard.offered > 0)
            asyncio.get_running_loop().call_soon(heard.gate.set)
        writer.close()
        return heard

    heard = asyncio.run(play())
    assert heard.said == [("127.0.0.1", b"<13>one"), ("127.0.0.1", b"<13>two")]
    assert [gap.kind for gap in heard.gaps] == ["unreadable"]


def test_a_desk_that_takes_nothing_does_not_hold_up_the_end() -> None:
    async def play() -> Heard:
        async with listening(SyslogOptions(udp=ANY)) as heard:
            heard.gate.clear()
            await send_datagrams(heard.source.ports["udp"], b"<13>x")
            await heard.until(lambda heard: heard.offered > 0)
        return heard

    assert asyncio.run(play()).batches == []


def test_datagrams_that_the_kernel_drops_are_counted_exactly() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(udp=ANY)) as heard:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            # Nobody reads meanwhile: this is the loop's own thread.
            for _ in range(30_000):
                sender.sendto(b"<13>" + b"x" * 500, ("127.0.0.1", heard.source.ports["udp"]))
            sender.close()
            gap = await heard.gap("kernel_drops")
            assert gap.since <= gap.until
            await heard.until(lambda heard: len(heard.said) + sum(gap.count or 0 for gap in heard.gaps) == 30_000)

    asyncio.run(play())


def test_an_address_that_is_taken_is_said_with_a_hint() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        source = Syslog(NAME, SyslogOptions(udp=ANY, tcp=address))
        with pytest.raises(UsageError, match="cannot listen for syslog at") as refused:
            source.open()
        assert "another program" in refused.value.hint
    # Nothing is held after that.
    source.open()
    source.close()


def test_ipv4_and_ipv6_peers_have_the_names_that_people_know() -> None:
    async def play() -> None:
        async with listening(SyslogOptions(udp="[::]:0", tcp="[::]:0")) as heard:
            await send_datagrams(heard.source.ports["udp"], b"<13>four")
            writer = await connect(heard)
            writer.write(b"<13>also four\n")
            assert {host for host, _ in await heard.records(2)} == {"127.0.0.1"}
            writer.close()

    asyncio.run(play())

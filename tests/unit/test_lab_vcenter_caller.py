"""A script's connection to a vCenter: what it says, how answers are read, and what counts as a failure."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fakes import Authority
from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Caller, Calls, Ref, Target
from tidegate.lab.vcenter_session import Session

CLOCK = Ref("ServiceInstance", "ServiceInstance")


def answer(body: str, status: str = "200 OK", *more: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body.encode()


def fault(detail: str) -> bytes:
    text = f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><detail>{detail}</detail></soapenv:Fault>"
    return answer(text, "500 Internal Server Error")


def talk(tmp_path: Path, answers: list[bytes], what: Callable[[Target], Awaitable[None]]) -> list[str]:
    """Let ``what`` talk to a server that gives these answers, one per request; an empty one closes. Return requests."""
    authority = Authority(tmp_path)
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            size = int(head.lower().partition("content-length:")[2].split("\r\n")[0])
            heard.append(head + (await reader.readexactly(size)).decode())
            if not (said := answers.pop(0)):
                break
            writer.write(said)
        writer.close()

    async def play() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*authority.issue("vc.lab"))
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        async with server:
            await what(Target("127.0.0.1", port, "vc.lab", ssl.create_default_context(cafile=str(authority.ca))))

    asyncio.run(play())
    return heard


def test_a_cookie_goes_back_as_it_came(tmp_path: Path) -> None:
    async def ask(target: Target) -> None:
        calls = Calls()
        caller = Caller(target, calls, patience_s=5, agent="script-7")
        assert await caller.call("CurrentTime", CLOCK) == "one"
        assert await caller.call("CurrentTime", Ref("Folder", "a<b")) == "two"
        caller.close()
        assert (calls.made, calls.failed, calls.in_flight, len(calls.durations_s)) == (2, 0, 0, 2)

    cookie = 'Set-Cookie: vmware_soap_session="abc"; Path=/; HttpOnly; Secure;'
    heard = talk(tmp_path, [answer("one", "200 OK", cookie), answer("two")], ask)
    assert "Cookie" not in heard[0]
    assert '\r\nCookie: vmware_soap_session="abc"\r\n' in heard[1]
    assert "User-Agent: script-7\r\n" in heard[0]
    assert '<CurrentTime xmlns="urn:vim25"><_this type="Folder">a&lt;b</_this></CurrentTime>' in heard[1]


def test_an_answer_in_chunks(tmp_path: Path) -> None:
    async def ask(target: Target) -> None:
        caller = Caller(target, Calls(), patience_s=5)
        assert await caller.call("CurrentTime", CLOCK) == "onetwo"
        assert await caller.call("CurrentTime", CLOCK) == "three"
        caller.close()

    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3;x=y\r\ntwo\r\n0\r\n\r\n"
    talk(tmp_path, [chunks, answer("three")], ask)


EMPTY_INVENTORY = (
    "<returnval><objects><missingSet><path>name</path><fault>"
    '<fault xsi:type="NotAuthenticated"><privilegeId>System.View</privilegeId></fault></fault></missingSet></objects>'
    "</returnval>"
)
TASK_FAILED = '<propSet><name>info.error</name><val><fault xsi:type="NotAuthenticated"/></val></propSet>'


@pytest.mark.parametrize(
    ("said", "how", "why", "not_authenticated"),
    [
        (answer("", "503 Service Unavailable"), "fault", "503", 0),
        (
            fault('<NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated"/>'),
            "fault",
            "NotAuthenticated",
            1,
        ),
        (fault("<InvalidLoginFault/>"), "fault", "InvalidLogin", 0),
        (fault('<Fault xmlns:x="urn" xsi:type="ns:InvalidState">'), "fault", "InvalidState", 0),
        (fault(""), "fault", "fault", 0),
        (answer(EMPTY_INVENTORY), "fault", "NotAuthenticated", 1),
        (b"", "cut", "cut", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "cut", "cut", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "cut", "cut", 0),
        (b"nonsense\r\n\r\n", "cut", "cut", 0),
    ],
)
def test_what_is_a_failure(tmp_path: Path, said: bytes, how: str, why: str, not_authenticated: int) -> None:
    async def ask(target: Target) -> None:
        calls = Calls()
        caller = Caller(target, calls, patience_s=5)
        with pytest.raises(CallFailed) as failed:
            await caller.call("CurrentTime", CLOCK)
        caller.close()
        assert (failed.value.how, failed.value.why) == (how, why)
        assert (calls.failed, calls.not_authenticated, calls.durations_s) == (1, not_authenticated, [])
        assert calls.why == {why: 1}

    talk(tmp_path, [said], ask)


def test_a_task_that_failed_is_an_answer(tmp_path: Path) -> None:
    async def ask(target: Target) -> None:
        caller = Caller(target, Calls(), patience_s=5)
        await caller.call("RetrievePropertiesEx", CLOCK)
        caller.close()

    talk(tmp_path, [answer(TASK_FAILED)], ask)


def test_an_answer_that_does_not_come(tmp_path: Path) -> None:
    async def ask(target: Target) -> None:
        caller = Caller(target, Calls(), patience_s=0.05)
        with pytest.raises(CallFailed, match="late"):
            await caller.call("CurrentTime", CLOCK)

    talk(tmp_path, [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"of a next one"], ask)


def test_nobody_listens() -> None:
    async def ask() -> None:
        caller = Caller(Target("127.0.0.1", 1, "vc.lab", ssl.create_default_context()), Calls(), patience_s=5)
        with pytest.raises(CallFailed, match="refused"):
            await caller.call("CurrentTime", CLOCK)

    asyncio.run(ask())


CONTENT = '<rootFolder type="Folder">group-d1</rootFolder><sessionManager type="SessionManager">sm</sessionManager>'
MORE = '<propertyCollector type="PropertyCollector">pc</propertyCollector>'
STATES = (
    '<objects><obj type="Task">task-1</obj><propSet><name>info.state</name><val>success</val></propSet></objects>'
    '<objects><obj type="Task">task-2</obj><propSet><name>info.state</name><val>{}</val></propSet></objects>'
)


def test_tasks_are_asked_about_until_they_have_ended(tmp_path: Path) -> None:
    calls = Calls()

    async def ask(target: Target) -> None:
        caller = Caller(target, calls, patience_s=5)
        session = await Session.begin(caller, calls, "me", "a&b")
        with pytest.raises(CallFailed, match="task"):
            await session.wait([Ref("Task", "task-1"), Ref("Task", "task-2")], "poll", 0.001)
        with pytest.raises(CallFailed, match="no viewManager"):
            await session.machines()
        caller.close()

    answers = [answer(CONTENT + MORE), answer(""), answer(STATES.format("running")), answer(STATES.format("error"))]
    heard = talk(tmp_path, answers, ask)
    assert "<userName>me</userName><password>a&amp;b</password>" in heard[1]
    assert "task-1" in heard[2]
    assert "task-1" not in heard[3]
    assert calls.why == {"task": 1}

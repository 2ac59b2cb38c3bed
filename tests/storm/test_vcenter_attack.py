"""Clients that mean ill, at a gate that shares a vCenter's sessions: refused, counted, and harmful to nobody."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fronts import OTHER, PASSWORD, USER, Front, front, gate_text
from gates import RunningGate, gate_process
from wires import Answer, Wire, call, envelope, login, post

pytestmark = [pytest.mark.storm, pytest.mark.peer("vcsim")]

TIME = call("CurrentTime")
FOLDER = call("Fetch", "group-d1", "<prop>name</prop>", kind="Folder")
WHO = call("Fetch", "SessionManager", "<prop>currentSession</prop>")
OK, BAD = 200, 400
BLOCK = 16 << 10


@dataclass(frozen=True)
class World:
    """A vCenter, and a gate before it."""

    vcenter: Front
    gate: RunningGate
    tls: bool

    def wire(self, service: str = "vc") -> Wire:
        """Connect to the gate."""
        return Wire(self.gate.services[service], self.vcenter.authority.ca if self.tls else None)

    def says(self, data: bytes, service: str = "vc") -> Answer:
        """Send a request on a connection of its own."""
        with self.wire(service) as wire:
            return wire.says(data)

    def enter(self, user: str = USER) -> str:
        """Log in; return the session."""
        token = self.says(post(login(user, PASSWORD))).token
        assert re.fullmatch("[0-9a-f]{40}", token)
        return token

    def who(self, token: str) -> str:
        """Return whose session this is, or nothing."""
        answer = self.says(post(WHO, cookie(token)))
        found = re.search("<userName>([^<]*)", answer.body)
        return found[1] if found else ""

    def refused(self) -> int:
        """Return how many requests the gate has refused as bad."""
        return int(self.counters()["turned_away"]["bad-request"])

    def counters(self) -> Any:
        """Return what the gate counts."""
        return self.gate.admin.status()["services"][0]["counters"]

    def arrived(self) -> dict[str, int]:
        """Return what has come to the vCenter, by operation."""
        return dict(self.vcenter.counters()["by_operation"])


def cookie(*tokens: str) -> str:
    """Return the field that says these sessions."""
    return "Cookie: " + "; ".join(f'vmware_soap_session="{token}"' for token in tokens)


@pytest.fixture(scope="module", params=["tls", "clear"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("attacks")
    inventory = {"cluster": 0, "standalone-host": 1, "vm": 2}
    with front(place / "front", inventory=inventory) as vcenter:
        text = gate_text(place, vcenter) + "[service.vc.io]\nconnections_max = 500\n"
        other = text[text.index("[service.vc]") :].replace("service.vc", "service.other")
        text += other + other.replace("service.other", "service.plain").replace('broker = "on"', 'broker = "off"')
        if request.param == "clear":
            text = re.sub("(?m)^tls = {kind.*\n", "", text)
        with gate_process(text, place) as gate:
            one = World(vcenter, gate, request.param == "tls")
            yield one


@pytest.fixture(scope="module")
def token(world: World) -> str:
    return world.enter()


def nested(depth: int) -> bytes:
    return envelope("<a>" * depth + "</a>" * depth)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
BODIES = {
    "no XML": b"hello",
    "half an envelope": TIME[:-20],
    "no end tag": TIME.replace(b"</CurrentTime>", b""),
    "crossed tags": envelope("<a><b></a></b>"),
    "two operations": envelope("<CurrentTime/><Logout/>"),
    "two bodies": TIME.replace(b"</e:Body>", b"</e:Body><e:Body/>"),
    "two targets": TIME.replace(b"</CurrentTime>", b"<_this>SessionManager</_this></CurrentTime>"),
    "nothing in it": envelope(""),
    "another envelope behind": TIME + TIME,
    "no namespace": b"<Envelope><Body><CurrentTime/></Body></Envelope>",
    "100 deep": nested(100),
    "10 000 open": b"<e:Envelope>" + b"<a>" * 10_000,
    "laughs": f"<!DOCTYPE e [{LAUGHS}]>".encode() + TIME.replace(b"ServiceInstance<", b"&l9;<"),
    "a file": b'<!DOCTYPE e [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + TIME.replace(b"ServiceInstance<", b"&f;<"),
    "a DTD": b'<!DOCTYPE e SYSTEM "http://127.0.0.1/e.dtd">' + TIME,
    "an entity of nobody": TIME.replace(b"ServiceInstance<", b"&f;<"),
    "an instruction": b"<?php exit ?>" + TIME,
    "a control character": TIME.replace(b"ServiceInstance<", b"Service\x01<"),
    "no UTF-8": TIME.replace(b"ServiceInstance<", b"\xff\xfe<"),
    "Latin-1": b'<?xml version="1.0" encoding="iso-8859-1"?>' + TIME,
    "UTF-16": TIME.decode().encode("utf-16"),
    "UTF-16 that says so": ('<?xml version="1.0" encoding="UTF-16"?>' + TIME.decode()).encode("utf-16"),
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>' + TIME,
    "packed": gzip.compress(TIME),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_call_goes_nowhere(world: World, token: str, body: bytes) -> None:
    refused, arrived = world.refused(), world.arrived()
    answer = world.says(post(body, cookie(token), "Content-Encoding: gzip" if body[:2] == b"\x1f\x8b" else "X: y"))
    assert answer.status == BAD, answer
    assert (world.refused(), world.arrived()) == (refused + 1, arrived)
    assert world.who(token) == USER


HEADS = {
    "a length and chunks": "Transfer-Encoding: chunked\r\nContent-Length: 4",
    "two lengths": "Content-Length: 4\r\nContent-Length: 400",
    "a length with a sign": "Content-Length: +4",
    "a list of lengths": "Content-Length: 4, 4",
    "chunks twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunks of something": "Transfer-Encoding: gzip, chunked",
    "chunks by another name": "Transfer_Encoding: chunked\r\nContent-Length: 4",
    "a space before the colon": "Transfer-Encoding : chunked",
    "a folded line": "Transfer-Encoding:\r\n chunked",
    "a bare line feed": "X: y\nTransfer-Encoding: chunked",
    "a bare return": "X: y\rTransfer-Encoding: chunked",
    "a zero": "X: y\0\r\nContent-Length: 4",
}
HIDDEN = post(call("Logout", "SessionManager"))


@pytest.mark.parametrize("framing", HEADS.values(), ids=HEADS)
def test_a_request_hidden_in_anothers_body_is_none(world: World, token: str, framing: str) -> None:
    refused, arrived = world.refused(), world.arrived()
    with world.wire() as wire:
        wire.send(post(b"0\r\n\r\n" + HIDDEN, cookie(token), framing=framing))
        said = wire.closed()
    assert re.match(rb"HTTP/1.1 (400|501) ", said), said
    assert said.count(b"HTTP/1.1") == 1
    assert (world.refused(), world.arrived()) == (refused + 1, arrived)


CHUNKS = {
    "a size that is none": b"zz\r\n",
    "a negative one": b"-1\r\n",
    "one of 17 digits": b"1" + b"0" * 16 + b"\r\n",
    "no end of a chunk": b"4\r\nabcdef\r\n",
    "an extension without end": b"4;" + b"a" * 20_000,
    "nothing but extensions": b"1;a=b\r\n<\r\n" * 3000 + b"0\r\n\r\n",
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_chunks_that_break_their_framing(world: World, token: str, body: bytes) -> None:
    refused, arrived = world.refused(), world.arrived()
    answer = world.says(post(body, cookie(token), framing="Transfer-Encoding: chunked"))
    assert answer.status == BAD
    assert (world.refused(), world.arrived()) == (refused + 1, arrived)


def test_chunks_may_have_extensions_and_trailers(world: World, token: str) -> None:
    half = len(WHO) // 2
    parts = [b'%x;name="a;b"\r\n%s\r\n' % (len(part), part) for part in (WHO[:half], WHO[half:])]
    body = b"".join(parts) + b"0\r\nX-Check: 1\r\n\r\n"
    with world.wire() as wire:
        for _ in range(2):
            answer = wire.says(post(body, cookie(token), framing="Transfer-Encoding: chunked"))
            assert f"<userName>{USER}<" in answer.body


def test_who_waits_for_a_word_before_its_body_gets_it(world: World, token: str) -> None:
    with world.wire() as wire:
        head, body = post(WHO, cookie(token), "Expect: 100-continue").split(b"\r\n\r\n", 1)
        wire.send(head + b"\r\n\r\n")
        wire.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert f"<userName>{USER}<" in wire.says(body).body


def test_calls_in_a_row_are_each_whose_cookie_they_have(world: World, token: str) -> None:
    other = world.enter(OTHER)
    with world.wire() as wire:
        asked = [post(login(USER, PASSWORD)), post(WHO), post(WHO, cookie(other)), post(WHO, cookie(token)), post(WHO)]
        wire.send(b"".join(asked))
        answers = [wire.answer() for _ in asked]
    assert answers[0].token
    found = [re.search("<userName>([^<]*)", answer.body) for answer in answers[1:]]
    # To log in does not log in the connection.
    assert [one and one[1] for one in found] == [None, OTHER, USER, None]


@pytest.mark.parametrize("size", [*range(16_376, 16_392), 17_000, 40_000])
def test_a_body_as_long_as_a_block(world: World, token: str, size: int) -> None:
    early = WHO.replace(b"<prop>", b"<!--" + b"x" * (size - len(WHO) - 7) + b"--><prop>")
    late = WHO.replace(b"<e:Body>", b"<!--" + b"x" * (size - len(WHO) - 7) + b"--><e:Body>")
    assert len(early) == len(late) == size
    answers = [world.says(post(body, cookie(token))) for body in (early, late)]
    told = [f"<userName>{USER}<" in answer.body for answer in answers]
    # What it asks for is seen further on than what it calls.
    assert told[0]
    assert told[1] or (size > BLOCK and answers[1].status == BAD)


def test_fifty_megabytes_of_login_cost_no_memory(world: World) -> None:
    def peak() -> int:
        status = Path(f"/proc/{world.gate.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # type: ignore[index]

    before, refused, arrived = peak(), world.refused(), world.arrived()
    for body in (login(USER, "x" * (50 << 20)), login("x" * (50 << 20), PASSWORD)):
        for framing in (f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"):
            sent = body if framing[0] == "C" else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            with world.wire() as wire:
                wire.send(post(b"", framing=framing))
                wire.pours(sent)
                assert wire.closed().startswith(b"HTTP/1.1 413 ")
    assert (world.refused(), world.arrived()) == (refused + 4, arrived)
    assert peak() - before < 8 << 10


T = "{token}"
ACCEPTED = {
    "quoted": f'Cookie: vmware_soap_session="{T}"',
    "bare": f"Cookie: vmware_soap_session={T}",
    "all that was given, as pyVmomi says it": f'Cookie: vmware_soap_session="{T}"; Path=/; HttpOnly; Secure; ',
    "with another that was given": f'Cookie: a="1"; Path=/ui; Secure, vmware_soap_session="{T}"; Path=/; HttpOnly',
    "twice the same": f'Cookie: vmware_soap_session={T}\r\nCookie: vmware_soap_session="{T}"',
    "among others": f"Cookie: JSESSIONID=1; vmware_soap_session={T}; b=c",
}
FORGED = {
    "another one": f"Cookie: vmware_soap_session={'a' * 40}",
    "no value": "Cookie: vmware_soap_session=",
    "a bit shorter": f"Cookie: vmware_soap_session={T}"[:-1],
    "a bit longer": f"Cookie: vmware_soap_session={T}0",
    "very long": f"Cookie: vmware_soap_session={T * 200}",
    "two": f"Cookie: vmware_soap_session={T}; vmware_soap_session={'a' * 40}",
    "two lines": f"Cookie: vmware_soap_session={'a' * 40}\r\nCookie: vmware_soap_session={T}",
    "another name": f"Cookie: vmware_soap_session2={T}",
    "big letters": f"Cookie: VMWARE_SOAP_SESSION={T}",
    "in the quotes of another": f'Cookie: a="x; vmware_soap_session={T}"',
    "with a quote in it": f'Cookie: vmware_soap_session={T}"x',
    "percent": f"Cookie: vmware_soap_session=%22{T}%22",
    "in another field": f'Set-Cookie: vmware_soap_session="{T}"',
    "by RFC 2965": f'Cookie2: vmware_soap_session="{T}"',
}


@pytest.mark.parametrize("said", ACCEPTED.values(), ids=ACCEPTED)
def test_a_session_however_it_is_sent_back(world: World, token: str, said: str) -> None:
    answer = world.says(post(WHO, said.replace(T, token)))
    assert f"<userName>{USER}<" in answer.body


@pytest.mark.parametrize("said", FORGED.values(), ids=FORGED)
def test_a_forged_session_is_nobodys(world: World, token: str, said: str) -> None:
    said, arrived = said.replace(T, token), world.arrived()
    for body in (FOLDER, call("Logout", "SessionManager")):
        answer = world.says(post(body, said))
        assert answer.fault == "NotAuthenticated", answer
    assert world.arrived().get("Logout") == arrived.get("Logout")
    assert "userName" not in world.says(post(WHO, said)).body
    assert world.who(token) == USER


def test_a_session_that_a_client_chose_is_none(world: World) -> None:
    chosen, token = "c0ffee" * 7, ""
    for password, fault in (("wrong", "InvalidLogin"), (PASSWORD, "")):
        answer = world.says(post(login(USER, password), cookie(chosen)))
        assert answer.fault == fault
        assert answer.token != chosen
        assert not world.who(chosen)
        token = answer.token
    assert world.who(token) == USER
    again = world.says(post(login(OTHER, PASSWORD), cookie(token)))
    assert (again.fault, again.token) == ("InvalidLogin", "")
    assert world.who(token) == USER


def test_a_session_ends_with_its_logout_and_at_the_door_of_its_service(world: World) -> None:
    token = world.enter()
    assert world.says(post(FOLDER, cookie(token)), "other").fault == "NotAuthenticated"
    assert world.says(post(call("Logout", "SessionManager"), cookie(token))).status == OK
    for body in (FOLDER, call("Logout", "SessionManager")):
        assert world.says(post(body, cookie(token))).fault == "NotAuthenticated"
    assert not world.who(token)


PLACES = ("/sdk", "/sdk/", "/pbm/sdk", "/sms/sdk", "/vslm/sdk")


@pytest.mark.parametrize("path", PLACES)
def test_a_session_in_the_body_is_no_way_in(world: World, token: str, path: str) -> None:
    other, arrived = world.enter(OTHER), world.arrived()
    for inside, outside in ((other, [token]), (token, [other]), ("a" * 40, []), ("a" * 40, [token])):
        header = f'<vcSessionCookie>"{inside}"</vcSessionCookie>'
        asked = call("Fetch", "group-d1", "<prop>name</prop>", kind="Folder", header=header)
        answer = world.says(post(asked, *(map(cookie, outside)), path=path))
        assert answer.fault == "NotAuthenticated", (path, answer)
    assert world.arrived() == arrived
    two = f"<vcSessionCookie>{token}</vcSessionCookie>" * 2
    assert world.says(post(call("CurrentTime", header=two), path=path)).status == BAD


LOGOUTS = ["//sdk", "/./sdk", "/x/../sdk", "/%73dk", "/sdk%2f", "/SDK", "/sdk;x", "/sdk/x", "/sdk//", "/pbm/../sdk"]


@pytest.mark.parametrize("path", [*LOGOUTS, "/ui/../sdk", "/sdk/vim25", "/sdk/vim25/../", "/sdk/vim25/a/b/c/../../.."])
def test_a_path_written_in_another_way_leads_to_no_shared_session(world: World, token: str, path: str) -> None:
    before = world.arrived().get("Logout", 0)
    answer = world.says(post(call("Logout", "SessionManager"), cookie(token), path=path))
    assert world.arrived().get("Logout", 0) == before, answer
    assert world.who(token) == USER


def keys(world: World, token: str) -> set[str]:
    """Return the keys in the answer to who asks for all sessions."""
    answer = world.says(post(call("Fetch", "SessionManager", "<prop>sessionList</prop>"), cookie(token)))
    return set(re.findall("<key>([^<]*)", answer.body))


def view_of(world: World, token: str) -> str:
    """Make a view; return its name, in which the key of the gate's own session stands."""
    inside = '<container type="Folder">group-d1</container><type>VirtualMachine</type><recursive>true</recursive>'
    answer = world.says(post(call("CreateContainerView", "ViewManager", inside), cookie(token)))
    found = re.search(r"session\[[^\]]*\][^<]*", answer.body)
    assert found, answer
    return found[0]


def test_what_is_of_another_user_is_not_there(world: World, token: str) -> None:
    other = world.enter(OTHER)
    view = view_of(world, other)
    sizes = []
    for who in (other, token):
        asked = call("Fetch", view, "<prop>view</prop>", kind="ContainerView")
        answer = world.says(post(asked, cookie(who)))
        sizes.append((answer.fault, answer.body.count("VirtualMachine")))
        told = "".join(f"&#{ord(sign)};" for sign in view)
        hidden = call("Fetch", told, "<prop>view</prop>", kind="ContainerView")
        assert world.says(post(hidden, cookie(who))).fault == answer.fault
    assert sizes == [("", 2), ("ManagedObjectNotFound", 0)]
    assert world.says(post(call("DestroyView", view, kind="ContainerView"), cookie(token))).fault == (
        "ManagedObjectNotFound"
    )
    assert world.says(post(call("DestroyView", view, kind="ContainerView"), cookie(other))).status == OK


def written(key: str) -> list[str]:
    """Return a key in the ways in which XML may say it."""
    return [key, f" {key}\n", f"&#x{ord(key[0]):x};{key[1:]}", f"{key[:4]}<!-- -->{key[4:]}", f"<![CDATA[{key}]]>"]


def test_a_session_of_another_user_cannot_be_ended(world: World, token: str) -> None:
    other = world.enter(OTHER)
    found = re.search("<key>([^<]*)", world.says(post(WHO, cookie(other))).body)
    assert found
    upstream = view_of(world, token)[len("session[") :].partition("]")[0]
    arrived = world.arrived().get("TerminateSession", 0)
    for key in (found[1], upstream):
        for text in written(key):
            asked = call("TerminateSession", "SessionManager", f"<sessionId>{text}</sessionId>")
            answer = world.says(post(asked, cookie(token)))
            assert answer.fault in ("NotFound", "InvalidRequest"), (text, answer)
            asked = call("SessionIsActive", "SessionManager", f"<sessionID>{text}</sessionID><userName>x</userName>")
            assert "<returnval>false<" in world.says(post(asked, cookie(token))).body
    assert world.arrived().get("TerminateSession", 0) == arrived
    assert (world.who(other), world.who(token)) == (OTHER, USER)


def test_a_list_of_sessions_shows_none_of_the_gates(world: World, token: str) -> None:
    mate, other = world.enter(), world.enter(OTHER)
    ours = {view_of(world, one)[len("session[") :].partition("]")[0] for one in (mate, other)}
    mine = re.search("<key>([^<]*)", world.says(post(WHO, cookie(token))).body)
    assert mine
    assert mine[1] in keys(world, token)
    assert not keys(world, token) & ours


def test_updates_tell_of_no_session(world: World, token: str) -> None:
    for path in ("sessionList", "currentSession", "currentSession.key"):
        spec = f"<propSet><type>SessionManager</type><pathSet>{path}</pathSet></propSet>"
        spec += '<objectSet><obj type="SessionManager">SessionManager</obj></objectSet>'
        asked = call("CreateFilter", "propertyCollector", f"<spec>{spec}</spec><partialUpdates>false</partialUpdates>")
        assert world.says(post(asked, cookie(token))).fault == "InvalidRequest"


def collect(inside: str) -> bytes:
    """Return a RetrievePropertiesEx."""
    return call("RetrievePropertiesEx", "propertyCollector", inside, kind="PropertyCollector")


def test_a_body_that_is_longer_than_a_block_goes_on_a_session_of_its_own(world: World, token: str) -> None:
    things = '<objectSet><obj type="Folder">group-d1</obj></objectSet>' * 400
    spec = f"<specSet><propSet><type>Folder</type><pathSet>name</pathSet></propSet>{things}</specSet><options/>"
    asked, clones = collect(spec), world.vcenter.counters()["clones"]
    assert len(asked) > BLOCK
    for framing in (None, "Transfer-Encoding: chunked"):
        sent = asked if framing is None else b"%x\r\n%s\r\n0\r\n\r\n" % (len(asked), asked)
        answer = world.says(post(sent, cookie(token), framing=framing))
        assert "Datacenters" in answer.body, answer
    assert world.vcenter.counters()["clones"] <= clones + 1
    # Nor is it refused where sessions are not shared.
    straight = cookie(world.says(post(login(USER, PASSWORD)), "plain").token)
    assert "Datacenters" in world.says(post(asked, straight), "plain").body
    # What it names of a session may be another client's, behind what the gate sees of it too.
    view = view_of(world, world.enter())
    for before in (things, ""):
        foreign = f'{before}<objectSet><obj type="ContainerView">{view}</obj></objectSet>{things}'
        spec = f"<specSet><propSet><type>ContainerView</type><pathSet>view</pathSet></propSet>{foreign}</specSet>"
        answer = world.says(post(collect(f"{spec}<options/>"), cookie(token)))
        assert (answer.fault, answer.status) in (("ManagedObjectNotFound", 500), ("", 413)), answer

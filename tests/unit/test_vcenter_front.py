"""The pure parts of the lab's vCenter: what it reads of bodies and heads, whose a cookie is, what work costs."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.lab.vcenter_front_http import Answer, Call, read_call
from tidegate.lab.vcenter_front_rpc import said, translated
from tidegate.lab.vcenter_front_sessions import Sessions, Wait
from tidegate.lab.vcenter_front_soap import (
    cookie_of,
    header_cookie,
    operation,
    request,
    returned,
    set_cookie,
    stale_gateway,
    text_of,
    texts_of,
    this,
    void,
    with_this,
)
from tidegate.lab.vcenter_front_spec import Counters, Spec
from tidegate.lab.vcenter_front_work import Work

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40)


@given(TEXTS)
def test_a_body_is_read_as_it_was_written(id_: str) -> None:
    body = request("DestroyView", ("ContainerView", id_), "<name>a &amp; b</name><name>c</name>")
    assert operation(body) == "DestroyView"
    assert texts_of(body, "name") == ["a & b", "c"]
    moved = with_this(body, "view-1", "ListView")
    assert this(moved) == ("ListView", "view-1")
    assert moved.count(b"view-1") == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_read(body: bytes) -> None:
    assert isinstance(operation(body), str)
    assert this(body) is not None
    assert returned(body) is not None
    assert with_this(body, "x") is not None
    assert header_cookie(body) is None or body


def test_an_answer_names_what_it_returns() -> None:
    assert returned(void("CreateFilter", '<returnval type="PropertyFilter">session[a]b</returnval>')) == (
        "PropertyFilter",
        "session[a]b",
    )
    assert text_of(stale_gateway("host-12"), "privilegeId") == "Datastore.FileManagement"
    assert operation(b"<x/>") == ""


@pytest.mark.parametrize(
    "header",
    [
        'vmware_soap_session="0a"',
        "vmware_soap_session=0a",
        'other=1; vmware_soap_session="0a"; Path=/; HttpOnly; Secure;',
        set_cookie("0a")[1],
    ],
)
def test_a_cookie_in_every_form(header: str) -> None:
    assert cookie_of(header) == "0a"


def test_a_session_is_idle_unless_it_waits() -> None:
    sessions = Sessions(idle_s=10)
    one, two = (sessions.open(key, "user", b"", 0.0) for key in ("k1", "k2"))
    assert sessions.find(one.cookie, 9.0) is one
    two.waits.add(Wait("collector", 0))
    assert sessions.idle(20.0) == [one]
    assert sessions.find(one.cookie, 20.0) is None
    assert sessions.find("forged", 0.0) is None
    assert sessions.by_key("k2") is two
    assert sessions.end(one)
    assert not sessions.end(one)
    assert (len(sessions), sessions.peak, sessions.of("user"), sessions.of("other")) == (1, 2, [two], [])
    two.tickets.add("t")
    assert sessions.by_ticket("t") is two
    assert sessions.by_ticket("") is None


def test_what_a_call_costs() -> None:
    work = Work(Spec(costs={"Login": 2.0, "backup/*": 8.0, "backup/Login": 3.0}))
    costs = [work.units(user, name) for user in ("", "backup") for name in ("Login", "CurrentTime")]
    assert costs == [2.0, 1.0, 3.0, 8.0]


def test_counters_are_json() -> None:
    told = json.loads(json.dumps(Counters(logins=2).told(sessions=1)))
    assert (told["logins"], told["sessions"], told["calls"], told["not_authenticated"]["3"]) == (2, 1, 0, 0)


class _Nowhere:
    """A writer that hears of ``100 Continue``."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def read(data: bytes) -> tuple[Call | None, bytes]:
    async def through() -> tuple[Call | None, bytes]:
        reader, writer = asyncio.StreamReader(), _Nowhere()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_call(reader, writer), writer.data  # type: ignore[arg-type]

    return asyncio.run(through())


def test_heads_and_bodies() -> None:
    call, said_ = read(
        b"POST /sdk?x HTTP/1.1\r\nCookie: a=1\r\nCookie: b=2\r\nExpect: 100-continue\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\n"
    )
    assert call is not None
    assert (call.path, call.headers["cookie"], call.body, call.closes) == ("/sdk", "a=1; b=2", b"abcd", False)
    assert said_ == b"HTTP/1.1 100 Continue\r\n\r\n"
    call, _ = read(b"GET / HTTP/1.0\r\n\r\n")
    assert call is not None
    assert call.closes
    assert read(b"")[0] is None
    for bad in (b"GET /", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        with pytest.raises(ValueError, match=r"."):
            read(bad)


def test_json_rpc() -> None:
    def asked(operation_: str, **context: str) -> bytes:
        params = {"serviceId": "com.vmware.cis.session", "operationId": operation_, "ctx": {"securityCtx": context}}
        return json.dumps({"jsonrpc": "2.0", "id": "7", "params": params}).encode()

    scheme = "com.vmware.vapi.std.security.user_pass"
    call, number = translated(
        asked("create", schemeId=scheme, userName="u", password="p"), lambda user, password: f"{user}:{password}"
    )
    assert call is not None
    assert (call.method, call.headers["authorization"], number) == ("POST", "u:p", "7")
    assert translated(asked("dance"), str.__add__) == (None, "7")
    for bad in (b"{}", b"[]", b"nothing", b'{"params": {"serviceId": "a", "operationId": "b", "ctx": 1}}'):
        with pytest.raises(ValueError, match=r"."):
            translated(bad, str.__add__)

    async def refuses(_: Call) -> Answer:
        return Answer(401)

    told = json.loads(asyncio.run(said(call, number, refuses)).body)
    assert list(told["result"]["error"]["ERROR"]) == ["com.vmware.vapi.std.errors.unauthenticated"]

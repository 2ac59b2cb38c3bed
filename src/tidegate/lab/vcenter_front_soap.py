"""What the lab's vCenter reads of a SOAP body, by regular expressions over bounded bytes, and the bodies it writes."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, unescape

__all__ = [
    "FILE_MANAGEMENT",
    "Ref",
    "cookie_of",
    "envelope",
    "fault",
    "header_cookie",
    "not_authenticated",
    "not_found",
    "operation",
    "request",
    "returned",
    "set_cookie",
    "stale_gateway",
    "stale_words",
    "text_of",
    "texts_of",
    "this",
    "void",
    "with_this",
]

_BODY = re.compile(rb"<(?:[\w.-]+:)?Body\b[^>]*>\s*<(?:[\w.-]+:)?([\w.-]+)")
_THIS = re.compile(rb"<(?:[\w.-]+:)?_this\b([^>]*)>([^<]*)<")
_TYPE = re.compile(rb"""\btype=["']([\w.:-]+)["']""")
_RETURNED = re.compile(rb"""<returnval\b[^>]*\btype=["'](?:\w+:)?(\w+)["'][^>]*>([^<]+)</returnval>""")
_COOKIE = re.compile(r"""vmware_soap_session="?([\w-]+)"?""")
_HEADER_COOKIE = re.compile(rb"<(?:[\w.-]+:)?vcSessionCookie\b[^>]*>([^<]*)<")
_LOOK = 256 << 10
"""How far into a body is looked: a SAML token in the header is long, nothing that we need stands behind more."""

FILE_MANAGEMENT = "Datastore.FileManagement"
"""The privilege that a host's gateway names when it does not take a token (KB 440879)."""

Ref = tuple[str, str]
"""Type and id of a managed object."""


def operation(body: bytes) -> str:
    """Return the name of the operation, or nothing."""
    found = _BODY.search(body, 0, _LOOK)
    return found[1].decode() if found else ""


def this(body: bytes) -> Ref:
    """Return ``_this``: the object that is called."""
    found = _THIS.search(body, 0, _LOOK)
    if not found:
        return "", ""
    kind = _TYPE.search(found[1])
    return kind[1].decode() if kind else "", found[2].decode("utf-8", "replace").strip()


def with_this(body: bytes, id_: str, kind: str = "") -> bytes:
    """Return the body with another object called; ``kind`` changes its type too."""
    found = _THIS.search(body, 0, _LOOK)
    if not found:
        return body
    attributes = _TYPE.sub(b'type="%s"' % kind.encode(), found[1]) if kind else found[1]
    start = found.start(1)
    return b"%s%s>%s%s" % (body[:start], attributes, escape(id_).encode(), body[found.end(2) :])


def texts_of(body: bytes, name: str) -> list[str]:
    """Return the texts of the elements of that local name."""
    found = re.finditer(rb"<(?:[\w.-]+:)?%s\b[^>]*>([^<]*)</" % name.encode(), body[:_LOOK])
    return [unescape(one[1].decode("utf-8", "replace"), {"&quot;": '"', "&apos;": "'"}) for one in found]


def text_of(body: bytes, name: str) -> str:
    """Return the text of the first one, or nothing."""
    return next(iter(texts_of(body, name)), "")


def returned(body: bytes) -> Ref:
    """Return the reference that an answer gives."""
    found = _RETURNED.search(body, 0, _LOOK)
    return (found[1].decode(), found[2].decode()) if found else ("", "")


def cookie_of(header: str) -> str:
    """Return the session's cookie from a ``Cookie`` header: quoted, bare, or a whole ``Set-Cookie`` that came back."""
    found = _COOKIE.search(header)
    return found[1] if found else ""


def header_cookie(body: bytes) -> tuple[int, int] | None:
    """Return where the session stands in the SOAP header of ``/pbm/sdk`` and its like (vsphere.md §0, item 9)."""
    found = _HEADER_COOKIE.search(body, 0, _LOOK)
    return found.span(1) if found else None


def set_cookie(value: str) -> tuple[str, str]:
    """Return the header that gives a client its cookie, as vCenter writes it (vsphere.md §0, item 8)."""
    return "Set-Cookie", f'vmware_soap_session="{value}"; Path=/; HttpOnly; Secure;'


def envelope(body: str) -> bytes:
    """Return a whole answer around ``body``."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"'
        ' xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n<soapenv:Body>\n{body}\n</soapenv:Body>\n'
        "</soapenv:Envelope>"
    ).encode()


def request(name: str, ref: Ref, inside: str = "") -> bytes:
    """Return a call of the front's own; ``inside`` are its arguments, as XML."""
    return envelope(f'<{name} xmlns="urn:vim25"><_this type="{ref[0]}">{escape(ref[1])}</_this>{inside}</{name}>')


def void(name: str, inside: str = "") -> bytes:
    """Return the answer to ``name`` that says nothing, or ``inside``."""
    return envelope(f'<{name}Response xmlns="urn:vim25">{inside}</{name}Response>')


def fault(kind: str, words: str, inside: str = "") -> bytes:
    """Return a fault of the type ``kind``; ``inside`` are its elements, as XML."""
    detail = f'<{kind}Fault xmlns="urn:vim25" xsi:type="{kind}">{inside}</{kind}Fault>'
    return envelope(
        f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{escape(words)}</faultstring>"
        f"<detail>{detail}</detail></soapenv:Fault>"
    )


def not_authenticated(ref: Ref) -> bytes:
    """Return the fault that says that the session is none (vsphere.md §2.2, shape 1)."""
    return _denied("The session is not authenticated.", ref, "System.View")


def stale_gateway(host: str) -> bytes:
    """Return the fault of a session that is fine while a hop behind it is not (shape 3, KB 440879)."""
    return _denied(stale_words(host), ("HostSystem", host), FILE_MANAGEMENT)


def stale_words(host: str) -> str:
    """Return what vCenter says then."""
    return (
        "Received SOAP response fault from [<cs p:00007f8c2c0123a0, UNIX '/var/run/envoy-hgw/hgw-pipe'>>,"
        f" /hgw/{host}/sdk]: fileManagement\nThe session is not authenticated."
    )


def not_found(ref: Ref) -> bytes:
    """Return the fault for an object that is not there, or is another session's."""
    words = "The object has already been deleted or has not been completely created"
    return fault("ManagedObjectNotFound", words, f"<obj {_reference(ref)}</obj>")


def _denied(words: str, ref: Ref, privilege: str) -> bytes:
    inside = f"<object {_reference(ref)}</object><privilegeId>{privilege}</privilegeId>"
    return fault("NotAuthenticated", words, inside)


def _reference(ref: Ref) -> str:
    kind, id_ = (escape(part, {'"': "&quot;"}) for part in ref)
    return f'type="{kind}">{id_}'

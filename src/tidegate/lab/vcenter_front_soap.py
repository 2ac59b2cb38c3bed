"""What the lab's vCenter reads of a SOAP body, by regular expressions over bounded bytes, and the faults it answers."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, unescape

__all__ = ["Ref", "cookie_of", "envelope", "fault", "not_authenticated", "operation", "set_cookie", "text_of", "this"]

_BODY = re.compile(rb"<(?:[\w.-]+:)?Body\b[^>]*>\s*<(?:[\w.-]+:)?([\w.-]+)")
_THIS = re.compile(rb"<(?:[\w.-]+:)?_this\b([^>]*)>([^<]*)<")
_TYPE = re.compile(rb"""\btype=["']([\w.:-]+)["']""")
_COOKIE = re.compile(r"""vmware_soap_session="?([\w-]+)"?""")
_LOOK = 256 << 10
"""How far into a body is looked: a SAML token in the header is long, nothing that we need stands behind more."""

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


def text_of(body: bytes, name: str) -> str:
    """Return the text of the first element of that local name, or nothing."""
    found = re.search(rb"<(?:[\w.-]+:)?%s\b[^>]*>([^<]*)</" % name.encode(), body[:_LOOK])
    return unescape(found[1].decode("utf-8", "replace"), {"&quot;": '"', "&apos;": "'"}) if found else ""


def cookie_of(header: str) -> str:
    """Return the session's cookie from a ``Cookie`` header: quoted, bare, or a whole ``Set-Cookie`` that came back."""
    found = _COOKIE.search(header)
    return found[1] if found else ""


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


def fault(kind: str, words: str, inside: str = "") -> bytes:
    """Return a fault of the type ``kind``; ``inside`` are its elements, as XML."""
    detail = f'<{kind}Fault xmlns="urn:vim25" xsi:type="{kind}">{inside}</{kind}Fault>'
    return envelope(
        f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{escape(words)}</faultstring>"
        f"<detail>{detail}</detail></soapenv:Fault>"
    )


def not_authenticated(ref: Ref, privilege: str = "System.View") -> bytes:
    """Return the fault that says that the session is none (vsphere.md §2.2, shape 1)."""
    kind, id_ = (escape(part, {'"': "&quot;"}) for part in ref)
    inside = f'<object type="{kind}">{id_}</object><privilegeId>{privilege}</privilegeId>'
    return fault("NotAuthenticated", "The session is not authenticated.", inside)

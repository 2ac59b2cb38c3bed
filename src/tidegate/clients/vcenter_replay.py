"""Which calls to a vCenter may be made again after they failed. Pure: (the call, how it failed) → yes or no.

The rules, in words (vsphere reference, §2.2):

- A session of ours that has died: the call was not made. Reads are made again on the new session, and so is what leaves
  nothing behind but an object of the session (a view, a collector, a ticket). A write is not: who asked decides. What
  names an object of the old session is not either, since that is gone with it.
- "Not now" (503, 429): the same, and a login: made twice it leaves one session more, which ends when it is idle.
- A connection that could not be made: nothing was sent, so everything may be sent again.
- Anything else between the request and its answer: it may have happened. Reads only.
- A hop behind vCenter that refuses a session (KB 440879): never.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from enum import Enum, auto
from typing import Any

from tidegate.clients.vcenter_session import own_session_died
from tidegate.clients.vmomi import vmodl

__all__ = ["Failure", "failure_of", "is_read", "lost_in", "repeats"]

_READS = re.compile(r"(?!QueryNext)(?:Retrieve|Query|Fetch|Find|Current|List)\w*(?<!_Task)")
_LEAVES_NOTHING = frozenset(
    {
        "AcquireCloneTicket",
        "CreateCollectorForEvents",
        "CreateCollectorForTasks",
        "CreateContainerView",
        "CreateInventoryView",
        "CreateListView",
        "CreatePropertyCollector",
    }
)
_STATUS = re.compile(r"(\d{3})\b")
_OF_A_SESSION = b"session["
_Pc = vmodl.query.PropertyCollector


class Failure(Enum):
    """How a call failed."""

    SESSION_DIED = auto()
    NOT_NOW = auto()
    NOT_SENT = auto()
    UNKNOWN = auto()
    """No answer, or not vCenter's: it may have happened."""
    FINAL = auto()
    """vCenter's own answer, or a server that has no such name or is not who it should be."""


def failure_of(error: BaseException, *, sent: bool) -> Failure:
    """Return how a call failed.

    Parameters
    ----------
    sent
        Whether there was a connection to send it over.
    """
    if own_session_died(error):
        return Failure.SESSION_DIED
    if isinstance(error, ssl.SSLCertVerificationError | socket.gaierror):
        return Failure.FINAL
    if not isinstance(error, OSError | http.client.HTTPException):
        return Failure.FINAL
    if not sent:
        return Failure.NOT_SENT
    # pyVmomi tells a status that is neither 200 nor 500 in these words only: "503 Service Unavailable".
    status = _STATUS.match(str(error)) if type(error) is http.client.HTTPException else None
    if status is None or status[1] in {"502", "504"}:
        return Failure.UNKNOWN
    return Failure.NOT_NOW if status[1] in {"429", "503"} else Failure.FINAL


def is_read(name: str) -> bool:
    """Return whether a method (by its name in the WSDL) changes nothing."""
    return _READS.fullmatch(name) is not None


def repeats(name: str, failure: Failure, body: bytes) -> bool:
    """Return whether a call may be made again.

    Parameters
    ----------
    body
        The request as it was sent.
    """
    harmless = is_read(name) or name in _LEAVES_NOTHING
    match failure:
        case Failure.SESSION_DIED:
            return harmless and _OF_A_SESSION not in body
        case Failure.NOT_NOW:
            return harmless or name == "Login"
        case Failure.NOT_SENT:
            return True
        case Failure.UNKNOWN:
            return is_read(name)
        case Failure.FINAL:
            return False


def lost_in(answer: Any) -> Any:
    """Return the fault in an answer which says, in place of every property, that our session is gone; else ``None``.

    Without this an inventory would look empty: HTTP says 200.
    """
    objects = answer.objects if isinstance(answer, _Pc.RetrieveResult) else answer
    if not isinstance(objects, list):
        return None
    for one in objects:
        if not isinstance(one, _Pc.ObjectContent):
            return None
        for missing in one.missingSet or ():
            # pyVmomi gives the fault itself where the WSDL has one with a localized message around it.
            if own_session_died(missing.fault):
                return missing.fault
    return None

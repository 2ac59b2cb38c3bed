"""Which calls are made again: never one that may have happened, and what "may" means by how it failed."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any

import pytest
import pyVmomi
from hypothesis import given
from hypothesis import strategies as st

from tidegate.clients.vcenter_replay import Failure, failure_of, is_read, lost_in, repeats
from tidegate.clients.vcenter_session import fault_words
from tidegate.clients.vmomi import vim, vmodl

NAMES = sorted({str(name) for _, name in vars(pyVmomi.VmomiSupport)["_wsdlMethodMap"]})
PLAIN = b'<_this type="Folder">group-d1</_this>'
OF_A_SESSION = b'<_this type="ContainerView">session[52bb85b0]5286fa88</_this>'
CHANGES = st.sampled_from(["CreateSnapshot_Task", "CloneVM_Task", "CreateFolder", "ReconfigVM_Task", "PowerOnVM_Task"])

failures = st.sampled_from(Failure)
methods = st.sampled_from(NAMES)
bodies = st.sampled_from([PLAIN, OF_A_SESSION])


def test_every_method_of_pyvmomi_is_known_here() -> None:
    assert len(NAMES) > 1000
    assert {"RetrievePropertiesEx", "CreateSnapshot_Task", "Login"} <= set(NAMES)


@given(name=methods)
def test_no_task_and_no_wait_is_a_read(name: str) -> None:
    verbs = ("Create", "Delete", "Destroy", "Power", "Re", "Set", "Update", "WaitFor", "CheckFor", "Continue", "Cancel")
    if name.endswith("_Task") or (name.startswith(verbs) and not name.startswith("Retrieve")):
        assert not is_read(name)


@given(name=methods, body=bodies)
def test_what_may_have_happened_is_repeated_only_if_it_is_a_read(name: str, body: bytes) -> None:
    assert repeats(name, Failure.UNKNOWN, body) == is_read(name)
    assert repeats(name, Failure.NOT_SENT, body)
    assert not repeats(name, Failure.FINAL, body)


@given(name=methods, failure=failures)
def test_what_names_the_old_session_is_not_made_on_a_new_one(name: str, failure: Failure) -> None:
    assert not repeats(name, Failure.SESSION_DIED, OF_A_SESSION)
    if repeats(name, Failure.SESSION_DIED, PLAIN):
        assert repeats(name, Failure.NOT_NOW, PLAIN)
    assert repeats(name, failure, PLAIN) in {True, False}


@given(name=CHANGES, failure=failures.filter(lambda one: one is not Failure.NOT_SENT), body=bodies)
def test_a_change_is_never_repeated_once_it_was_sent(name: str, failure: Failure, body: bytes) -> None:
    assert not repeats(name, failure, body)


def died(privilege: str | None = "System.View", msg: str = "") -> Any:
    fault = vim.fault.NotAuthenticated(privilegeId=privilege)
    fault.msg = msg
    return fault


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (died(), Failure.SESSION_DIED),
        (died(None), Failure.SESSION_DIED),
        (died("Datastore.FileManagement"), Failure.FINAL),
        (died(msg="Received SOAP response fault from [<cs p:1>]: login"), Failure.FINAL),
        (vim.fault.NoPermission(privilegeId="System.View"), Failure.FINAL),
        (http.client.HTTPException("503 Service Unavailable"), Failure.NOT_NOW),
        (http.client.HTTPException("429 Too Many Requests"), Failure.NOT_NOW),
        (http.client.HTTPException("502 Bad Gateway"), Failure.UNKNOWN),
        (http.client.HTTPException("404 Not Found"), Failure.FINAL),
        (http.client.RemoteDisconnected("Remote end closed connection without response"), Failure.UNKNOWN),
        (http.client.BadStatusLine("503"), Failure.UNKNOWN),
        (TimeoutError(), Failure.UNKNOWN),
        (ConnectionResetError(), Failure.UNKNOWN),
        (ssl.SSLCertVerificationError(), Failure.FINAL),
        (socket.gaierror(), Failure.FINAL),
        (ValueError(), Failure.FINAL),
    ],
)
def test_failures_are_told_apart(error: BaseException, failure: Failure) -> None:
    assert failure_of(error, sent=True) is failure


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), ssl.SSLError()])
def test_without_a_connection_nothing_was_sent(error: OSError) -> None:
    assert failure_of(error, sent=False) is Failure.NOT_SENT


def test_an_answer_without_a_session_is_seen() -> None:
    collector = vmodl.query.PropertyCollector
    folder = vim.Folder("group-d1", None)

    def one(*faults: Any) -> Any:
        missing = [collector.MissingProperty(path="name", fault=fault) for fault in faults]
        return collector.ObjectContent(obj=folder, missingSet=missing)

    fault = died()
    assert lost_in(collector.RetrieveResult(objects=[one(), one(vim.fault.NoPermission(), fault)])) is fault
    assert lost_in([one(fault)]) is fault
    assert lost_in([one(vim.fault.NoPermission(), died("Datastore.FileManagement"))]) is None
    for answer in (None, "text", [], ["text"], collector.RetrieveResult(objects=[one()])):
        assert lost_in(answer) is None


def test_a_fault_is_told_in_one_line() -> None:
    assert fault_words(died(msg="The session\n is not authenticated. ")) == "The session is not authenticated."
    assert fault_words(vim.fault.Timedout()) == "Timedout"
    assert len(fault_words(died(msg="x" * 1000))) == 300

"""A script by pyVmomi itself, in a thread: what a gate answers is read by the client that most scripts use."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, Literal

from tidegate.clients.vmomi import SoapStubAdapter, vim, vmodl
from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Calls
from tidegate.lab.vcenter_habits import Habits, ScriptsSpec, own_machines

__all__ = ["work_through"]

_VERSION = "vim.version.version11"
_OVER = ("success", "error")


def work_through(spec: ScriptsSpec, number: int, calls: Calls, until: float) -> None:
    """Do what a script does that logs in once.

    Parameters
    ----------
    spec
        What all scripts are told.
    number
        Of this one; its habits follow from it.
    calls
        Where its calls are counted, by this thread alone.
    until
        On the monotonic clock: from then on it calls no more.

    Raises
    ------
    CallFailed
        A call failed.
    TimeoutError
        It was not done in time.
    """
    stub = SoapStubAdapter(
        spec.host,
        spec.port,
        version=_VERSION,
        sslContext=ssl.create_default_context(cafile=spec.ca),
        httpConnectionTimeout=min(spec.patience_s, max(1.0, until - time.monotonic())),
    )
    stub.InvokeMethod = _counted(calls, stub.InvokeMethod, until)
    try:
        _work(spec, number, stub, calls)
    finally:
        stub.DropConnections()


def _counted(calls: Calls, invoke: Callable[..., Any], until: float) -> Callable[..., Any]:
    def one(*words: Any, **more: Any) -> Any:
        if time.monotonic() > until:
            raise TimeoutError
        began = time.monotonic()
        calls.made += 1
        how: Literal["fault", "cut"] = "fault"
        why, answer = "", None
        try:
            answer = invoke(*words, **more)
        except vmodl.MethodFault as fault:
            why = type(fault).__name__.rpartition(".")[2]
        except HTTPException as error:
            why = str(error)[:3]
        except OSError:
            how, why = "cut", "cut"
        if why:
            calls.fail(why)
            raise CallFailed(how, why)
        calls.durations_s.append(time.monotonic() - began)
        return answer

    return one


def _work(spec: ScriptsSpec, number: int, stub: Any, calls: Calls) -> None:
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.sessionManager.Login(spec.user, spec.password, None)
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    machines = own_machines(view.view, number, spec.machines)
    change = vim.vm.ConfigSpec(annotation=f"script {number}")
    tasks = [machine.ReconfigVM_Task(change) for machine in machines[:: spec.task_every]]
    for machine in machines:
        _ = machine.name
    for task in tasks:
        while (state := task.info.state) not in _OVER:
            time.sleep(spec.pause_s)
        if state == "error":
            calls.fail("task")
    if calls.failed:
        raise CallFailed("fault", "task")
    if not Habits.of(number).forgets:
        view.DestroyView()
        content.sessionManager.Logout()

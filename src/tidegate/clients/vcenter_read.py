"""Reading properties of many objects at once, in pages (blocks: runs in a thread of the session)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidegate.clients.vmomi import vim, vmodl

__all__ = ["read_all", "read_one", "read_these"]

_PAGES_MAX = 1000
_Pc = vmodl.query.PropertyCollector


def read_all(content: Any, kind: Any, paths: Sequence[str], page: int) -> list[tuple[Any, dict[str, Any]]]:
    """Return every object of a kind, with the properties that could be read.

    A property that is missing for want of a session (vsphere reference, §2.2: HTTP 200 with NotAuthenticated inside)
    raises as the fault that it is; otherwise an expired session would look like an empty inventory.
    """
    # A collector of our own: its pages are nobody else's, not even another thread's of this session.
    collector = content.propertyCollector.CreatePropertyCollector()
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    try:
        travel = _Pc.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
        spec = _Pc.FilterSpec(
            objectSet=[_Pc.ObjectSpec(obj=view, skip=True, selectSet=[travel])],
            propSet=[_Pc.PropertySpec(type=kind, pathSet=list(paths), all=False)],
        )
        found: list[tuple[Any, dict[str, Any]]] = []
        answer = collector.RetrievePropertiesEx([spec], _Pc.RetrieveOptions(maxObjects=page))
        for _ in range(_PAGES_MAX):
            if answer is None:
                break
            found.extend(map(_properties, answer.objects))
            if not answer.token:
                break
            answer = collector.ContinueRetrievePropertiesEx(answer.token)
        return found
    finally:
        view.DestroyView()
        collector.DestroyPropertyCollector()


def read_one(content: Any, thing: Any, paths: Sequence[str]) -> dict[str, Any]:
    """Return properties of one object."""
    found = read_these(content, [thing], paths)
    return found[0][1] if found else {}


def read_these(content: Any, things: Sequence[Any], paths: Sequence[str]) -> list[tuple[Any, dict[str, Any]]]:
    """Return properties of some objects of one kind, with one call; raises as :func:`read_all`."""
    if not things:
        return []
    spec = _Pc.FilterSpec(
        objectSet=[_Pc.ObjectSpec(obj=thing, skip=False) for thing in things],
        propSet=[_Pc.PropertySpec(type=type(things[0]), pathSet=list(paths), all=False)],
    )
    answer = content.propertyCollector.RetrievePropertiesEx([spec], _Pc.RetrieveOptions())
    return [] if answer is None else [_properties(one) for one in answer.objects]


def _properties(thing: Any) -> tuple[Any, dict[str, Any]]:
    for missing in thing.missingSet or ():
        # pyVmomi gives the fault itself where the WSDL has one with a localized message around it.
        if isinstance(missing.fault, vim.fault.NotAuthenticated):
            raise missing.fault
    return thing.obj, {one.name: one.val for one in thing.propSet}

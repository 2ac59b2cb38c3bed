"""pyVmomi, whose types exist only at run time: its names as ``Any``, in one place."""

from __future__ import annotations

from typing import Any

import pyVmomi

__all__ = ["SoapStubAdapter", "id_of", "stub_of", "vim", "vmodl"]

vim: Any = vars(pyVmomi)["vim"]
vmodl: Any = vars(pyVmomi)["vmodl"]
SoapStubAdapter: Any = vars(pyVmomi)["SoapStubAdapter"]


def id_of(thing: Any) -> str:
    """Return the id of a managed object: ``host-150117``."""
    return str(thing._GetMoId())  # noqa: SLF001 (pyVmomi's public name for it begins so)


def stub_of(thing: Any) -> Any:
    """Return what a managed object's calls go through."""
    return thing._GetStub()  # noqa: SLF001 (as above)

"""The operations of a VASA provider: what each is for, what it costs, and which fault may turn it away.

A client's stub cannot decode a fault that is not declared for the operation that it called; KB 412434 shows the result,
"ADB conversion error. Details: Invalid Fault Id". So each operation names one fault that *is* declared for it in the
VASA WSDL. ``VasaProviderBusy`` says most exactly what is meant, but is declared only from VASA 2.0 on and not for
``setContext``, ``getEvents`` and ``getAlarms``; ``StorageFault`` is declared for every operation.

Costs are in units: opening a session (``setContext``) is one unit. They are starting values, chosen by what an
operation makes a provider do, and any of them can be overridden under ``[service.NAME.vasa.operation.OPERATION]``:

==========  =====  ==========================================================================
kind        cost   operations
==========  =====  ==========================================================================
open        1      setContext: certificate check, session table, fan-out
poll        0.01   getEvents, getAlarms: every 10 s from each host, usually an empty list
follow-up   0.33   what a host asks right after setContext, a third of a unit each
call        0.33   everything else that reads
change      1      what creates, binds, copies or deletes
==========  =====  ==========================================================================
"""

from __future__ import annotations

from tidegate.config.model import Operation, Role

__all__ = ["DECLARED", "DEFAULT", "OPERATIONS"]

_STORAGE = frozenset({"InvalidSession", "StorageFault"})
_BUSY = _STORAGE | {"VasaProviderBusy"}

DECLARED: dict[str, frozenset[str]] = {
    "setContext": _STORAGE | {"InvalidArgument"},
    "getEvents": _STORAGE | {"LostEvent", "InvalidArgument"},
    "getAlarms": _STORAGE | {"LostAlarm", "InvalidArgument"},
    "registerVASACertificate": _STORAGE | {"InvalidCertificate", "InvalidLogin"},
    "registerCACertificatesAndCRLs": _BUSY | {"InvalidCertificate", "InvalidLogin"},
    "setPEContext": _BUSY | {"NotImplemented"},
    "bindVirtualVolume": _BUSY | {"InactiveProvider", "InvalidArgument", "NotFound", "OutOfResource"},
    "createVirtualVolume": _BUSY | {"InactiveProvider", "InvalidArgument", "NotFound", "OutOfResource", "TooMany"},
    "snapshotVirtualVolume": _BUSY | {"InactiveProvider", "InvalidArgument", "NotFound", "ResourceInUse", "TooMany"},
}
"""Faults that are declared per operation, for the operations whose declaration is known (VASA 1.0 and 2.0)."""


def _operation(role: Role, cost: float, fault: str = "StorageFault") -> Operation:
    return Operation(role=role, cost=cost, fault=fault)


_POLLS = ("getEvents", "getAlarms")
_READS = (
    "queryArrays",
    "queryStorageContainer",
    "queryStorageContainerForArray",
    "queryStorageCapabilities",
    "queryStorageFileSystems",
    "queryStorageLuns",
    "queryStoragePorts",
    "queryStorageProcessors",
    "queryProtocolEndpoint",
    "queryProtocolEndpointForArray",
    "queryDefaultProfileForStorageContainer",
    "queryCapabilityMetadata",
    "queryCapabilityProfile",
    "queryBackingStoragePools",
    "queryCatalog",
    "queryUniqueIdentifiersForEntity",
    "queryVirtualVolume",
    "queryVirtualVolumeInfo",
    "spaceStatsForStorageContainer",
    "spaceStatsForVirtualVolume",
)
_CHANGES = (
    "bindVirtualVolume",
    "unbindVirtualVolume",
    "unbindAllVirtualVolumesFromHost",
    "createVirtualVolume",
    "cloneVirtualVolume",
    "fastCloneVirtualVolume",
    "copyDiffsToVirtualVolume",
    "deleteVirtualVolume",
    "resizeVirtualVolume",
    "revertVirtualVolume",
    "snapshotVirtualVolume",
    "prepareToSnapshotVirtualVolume",
    "updateStorageProfileForVirtualVolume",
)
_BUSY_DECLARED = frozenset({"bindVirtualVolume", "createVirtualVolume", "snapshotVirtualVolume"})

OPERATIONS: dict[str, Operation] = {
    "setContext": _operation("open", 1.0),
    **{name: _operation("poll", 0.01) for name in _POLLS},
    "setPEContext": _operation("call", 0.33, "VasaProviderBusy"),
    **{name: _operation("call", 0.33) for name in _READS},
    **{
        name: _operation("call", 1.0, "VasaProviderBusy" if name in _BUSY_DECLARED else "StorageFault")
        for name in _CHANGES
    },
    "registerVASACertificate": _operation("call", 1.0),
    "registerCACertificatesAndCRLs": _operation("call", 1.0, "VasaProviderBusy"),
}
"""Every operation that the gate knows, by local name."""

DEFAULT = _operation("call", 0.33)
"""For operations that it does not know."""

"""The operations of a vCenter: what each is for, and what it costs until that is learned.

Costs are in units: a password login is one unit. They are starting values, chosen by what an operation makes vCenter
and its hosts do; the gate learns better ones, and any of them can be overridden under
``[service.NAME.vcenter.operation.OPERATION]``:

==========  =====  ==========================================================================
kind        cost   operations
==========  =====  ==========================================================================
open        1      logins: single sign-on, session table
            0.3    ``CloneSession``: a session without single sign-on
poll        0.05   ``WaitForUpdatesEx`` and its like: little work when something has changed
small       0.02   what is answered from memory: ``CurrentTime``, ``SessionIsActive``, a lease's progress
call        0.1    everything else that reads
wide        0.5    reads over much of the inventory, counters, events, datastore folders
change      2      tasks
storage     8      what copies disks or holds a snapshot open, and tickets of NFC: hosts and storage work for it
==========  =====  ==========================================================================

VI/JSON's methods have the same names; REST is told apart by method and path where it opens or ends sessions.
"""

from __future__ import annotations

from tidegate.config.fields import Role
from tidegate.config.vcenter import VcenterOperation

__all__ = ["DEFAULT", "OPERATIONS"]

_LOGINS = (
    "Login",
    "LoginBySSPI",
    "LoginByToken",
    "LoginExtensionByCertificate",
    "LoginExtensionBySubjectName",
    "POST /api/session",
    "POST /rest/com/vmware/cis/session",
)
_POLLS = (
    "CheckForUpdates",
    "WaitForUpdates",
    "WaitForUpdatesEx",
)
_SMALL = (
    "CancelRetrievePropertiesEx",
    "CancelWaitForUpdates",
    "CurrentTime",
    "DELETE /api/session",
    "DELETE /rest/com/vmware/cis/session",
    "GET /api/session",
    "GET /rest/com/vmware/cis/session",
    "GET /sdk/vimServiceVersions.xml",
    "HttpNfcLeaseProgress",
    "Logout",
    "RetrieveServiceContent",
    "SessionIsActive",
)
_WIDE = (
    "QueryAvailablePerfMetric",
    "QueryEvents",
    "QueryPerf",
    "QueryPerfComposite",
    "ReadNextEvents",
    "ReadNextTasks",
    "SearchDatastoreSubFolders_Task",
    "SearchDatastore_Task",
)
_STORAGE = (
    "CloneVApp_Task",
    "CloneVM_Task",
    "ConsolidateVMDisks_Task",
    "CopyDatastoreFile_Task",
    "CopyVirtualDisk_Task",
    "CreateSnapshotEx_Task",
    "CreateSnapshot_Task",
    "ExportSnapshot",
    "ExportVApp",
    "ExportVm",
    "ImportVApp",
    "InstantClone_Task",
    "MoveVirtualDisk_Task",
    "NfcFileManagement",
    "NfcGetVmFiles",
    "NfcPutVmFiles",
    "NfcRandomAccessOpen",
    "NfcRandomAccessOpenDisk",
    "NfcRandomAccessOpenReadonly",
    "RelocateVM_Task",
    "RemoveAllSnapshots_Task",
    "RemoveSnapshot_Task",
    "RevertToCurrentSnapshot_Task",
    "RevertToSnapshot_Task",
)


def _operation(role: Role, cost: float) -> VcenterOperation:
    return VcenterOperation(role=role, cost=cost)


OPERATIONS: dict[str, VcenterOperation] = {
    **{name: _operation("open", 1.0) for name in _LOGINS},
    "CloneSession": _operation("open", 0.3),
    **{name: _operation("poll", 0.05) for name in _POLLS},
    **{name: _operation("call", 0.02) for name in _SMALL},
    **{name: _operation("call", 0.5) for name in _WIDE},
    **{name: _operation("call", 8.0) for name in _STORAGE},
    "*_Task": _operation("call", 2.0),
}
"""Every operation that the gate knows, by name; ``*_Task`` stands for tasks that are not listed."""

DEFAULT = _operation("call", 0.1)
"""For operations that it does not know."""

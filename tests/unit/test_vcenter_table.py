"""The table of a vCenter's operations: its names are vSphere's, and what works the storage costs most."""

import pytest
from pyVmomi.VmomiSupport import GetWsdlMethod

from tidegate.gate.vcenter import DEFAULT, OPERATIONS

PUBLISHED = sorted(name for name in OPERATIONS if " " not in name and name != "*_Task" and not name.startswith("Nfc"))
"""Without REST, and without the tickets of VDDK, which stand in no published WSDL."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_name_is_one_of_the_wsdl(name: str) -> None:
    assert GetWsdlMethod("urn:vim25", name)  # type: ignore[no-untyped-call]


def test_what_opens_a_session() -> None:
    opens = {name for name, operation in OPERATIONS.items() if operation.role == "open"}
    assert opens == {
        "CloneSession", "Login", "LoginBySSPI", "LoginByToken", "LoginExtensionByCertificate",
        "LoginExtensionBySubjectName", "POST /api/session", "POST /rest/com/vmware/cis/session",
    }  # fmt: skip
    assert OPERATIONS["Login"].cost == 1
    assert OPERATIONS["CloneSession"].cost < OPERATIONS["Login"].cost


def test_polls_are_those_that_wait() -> None:
    polls = {name for name, operation in OPERATIONS.items() if operation.role == "poll"}
    assert polls == {"CheckForUpdates", "WaitForUpdates", "WaitForUpdatesEx"}


def test_a_snapshot_costs_as_much_as_eight_logins_and_a_read_next_to_nothing() -> None:
    for name in ("CreateSnapshot_Task", "ExportVm", "CloneVM_Task", "NfcFileManagement"):
        assert OPERATIONS[name].cost == 8
    assert OPERATIONS["*_Task"].cost == 2
    assert DEFAULT.cost == 0.1

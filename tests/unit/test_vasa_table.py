"""The table of VASA operations: no client meets a fault that its stub cannot decode."""

import pytest

from tidegate.gate.vasa import DECLARED, DEFAULT, OPERATIONS


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_the_fault_is_declared_for_the_operation(name: str) -> None:
    assert OPERATIONS[name].fault in DECLARED[name]


def test_busy_is_never_an_answer_to_set_context() -> None:
    assert OPERATIONS["setContext"].fault == "StorageFault"
    assert "VasaProviderBusy" not in DECLARED["setContext"]


def test_roles() -> None:
    assert [name for name, operation in OPERATIONS.items() if operation.role == "open"] == ["setContext"]
    assert {name for name, operation in OPERATIONS.items() if operation.role == "poll"} == {"getEvents", "getAlarms"}


def test_a_poll_costs_next_to_nothing_and_a_session_one_unit() -> None:
    assert OPERATIONS["setContext"].cost == 1
    assert OPERATIONS["getEvents"].cost < 0.1


def test_what_is_not_known_is_turned_away_with_a_fault_that_every_operation_declares() -> None:
    assert DEFAULT.fault == "StorageFault"
    assert all("StorageFault" in faults for faults in DECLARED.values())

"""Talking to what runs over fleets change and read: hosts by SSH, vCenter, its appliance, NSX, Avi.

Every client verifies whom it talks to unless it is told not to, bounds what it reads and how long it waits, and raises
:class:`~tidegate.errors.FleetError` with one sentence.
"""

__all__: list[str] = []

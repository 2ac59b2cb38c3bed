"""The gate, seen from Python: its handle, what it knows of protocols, and the talk with a gate that runs elsewhere.

- ``service.py``: :class:`~tidegate.gate.service.Gate`, the handle of a gate in this process.
- ``limiter.py``, ``asgi.py``: the same admission inside a server of one's own.
- ``vasa.py``, ``vcenter.py``: the operations of a VASA provider and of a vCenter: tables that go into the plan.
- ``latency.py``: the counters of a vCenter's datastores, read in a thread and told to the gate.
"""

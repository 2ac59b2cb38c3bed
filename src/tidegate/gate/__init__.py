"""The gate, seen from Python: its handle, what it knows of protocols, and the talk with a gate that runs elsewhere.

- ``service.py``: :class:`~tidegate.gate.service.Gate`, the handle of a gate in this process.
- ``limiter.py``, ``asgi.py``: the same admission inside a server of one's own.
- ``vasa.py``: the operations of a VASA provider, as a table that is compiled into the plan.
"""

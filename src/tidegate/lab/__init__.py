"""The lab: worlds of real processes in which a storm can be watched, without and with the gate.

- ``world.py``: the supervisor of one world's processes.
- ``scenario.py``: what is played: provider, hosts, gate, all from one seed.
- ``play.py``: plays it once and measures.
- ``report.py``: the page about it.

The processes themselves are Rust (``tidegate-lab``) and ``tidegate gate run``; Python only starts and reads them.
"""

"""The lab: worlds of real processes in which a storm can be watched, without and with the gate.

- ``world.py``: the supervisor of one world's processes.
- ``scenario.py``: what is played: provider, hosts, gate, all from one seed.
- ``play.py``: plays it once and measures.
- ``report.py``: the page about it.
- ``ports_*.py``: a trial of a gate that runs out of source ports, beside HAProxy: a server that keeps its answers back,
  clients, verdicts, what is played; the benchmark `bench-mux` uses the same.
- ``vcenter_*.py``: a vCenter (``vcenter_front*``: the simulator with what it lacks), scripts that work through it, what
  is played, the page; the benchmark `bench-sessions` uses the same.

The processes of a storm are Rust (``tidegate-lab``) and ``tidegate gate run``; Python only starts and reads them.
"""

"""Phased runs over many hosts: plan, phases, guards, journal; durable, guarded, resumable.

``act`` is the seam: what a built-in plan gives to the runner. ``machine`` decides (pure), ``journal`` remembers,
``runner`` does.
"""

__all__: list[str] = []

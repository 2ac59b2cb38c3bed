"""One sample of a probe, or the sentence that says why there is none; whatever a probe meets ends no run."""

from __future__ import annotations

import asyncio
import math

from tidegate.errors import TidegateError
from tidegate.fleet.act import Probe

__all__ = ["sampled"]

_PROBE_S = 35.0
"""Longer than any probe's own timeout."""


async def sampled(probe: Probe) -> float | str:
    """Read a probe once, within 35 s.

    Returns
    -------
    float | str
        The value, which is finite; else why there is none, which is what its guard then says as well.
    """
    try:
        async with asyncio.timeout(_PROBE_S):
            value = float(await probe.sample())
    except TidegateError as error:
        return error.message
    except TimeoutError:
        return f"nothing within {_PROBE_S:g} s"
    except Exception as error:  # noqa: BLE001 (whatever it was: there is no sample, and the guard trips)
        return f"what it read is odd: {type(error).__name__}: {error}"
    return value if math.isfinite(value) else f"what it read is no value: {value}"

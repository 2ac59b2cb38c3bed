"""``tidegate demo half-open``: what crashed hosts in KB 433412, forced on every flow, and no flow is lost."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from tidegate.cli.printer import Output, Printer
from tidegate.cli.promises import kept
from tidegate.errors import UsageError
from tidegate.lab.half_open import FLOWS_MAX, HalfOpenResult, play_half_open

__all__ = ["half_open"]

_ROWS = {
    "established": "connections established, all on the fast path",
    "forced": "states forced on them behind its back",
    "forced_half_open_under_fast_entry": "of these half-open: what KB 433412 asserts never to see",
    "flood": "packets of strangers that flooded the full table",
    "revalidated": "flows told anew by the slow path",
    "recreated": "flows recreated from their next packet",
    "anomalies": "flows whose state and numbers did not go together",
    "crashes": "crashes",
    "dropped": "packets of established connections not forwarded",
    "established_lost": "established connections lost",
}


def half_open(
    *,
    flows: Annotated[int, Parameter(help="How many connections are drilled, 1 to 100000.")] = 1000,
    seed: Annotated[int, Parameter(help="Of all randomness; the same seed plays the same drill.")] = 1,
    output: Output = "text",
) -> int:
    """Force half-open flows on a fast path that expects none, as KB 433412 describes it.

    Every state is forced on every connection, then its next packet comes: after a change of policy, as a fragment, with
    a reset, with a SYN, with the fast entry itself written over. At last the full table is flooded. Each time the slow
    path tells the flow anew or recreates it; nothing crashes, and no connection is lost. No packet leaves the process.

    Exit code 1 when something was not as promised.

    Examples
    --------
    ``tidegate demo half-open``
    """
    for name, value, least, most in (("flows", flows, 1, FLOWS_MAX), ("seed", seed, 0, 2**63 - 1)):
        if not least <= value <= most:
            raise UsageError(f"--{name} {value} is out of range", hint=f"choose {least} to {most}")
    printer, began = Printer(output), time.monotonic()
    result = play_half_open(flows=flows, seed=seed)
    seconds = round(time.monotonic() - began, 2)
    printer.data({"format": 1, "flows": flows, "seed": seed, **asdict(result), "seconds": seconds})
    printer.text(_table(result, flows, seconds))
    return kept(printer, result.broken())


def _table(result: HalfOpenResult, flows: int, seconds: float) -> Table:
    table = Table(
        title=f"{flows} connections, every state forced under the fast path",
        caption=f"{seconds:.2f} s; the same seed plays the same.",
        show_header=False,
    )
    for name, label in _ROWS.items():
        table.add_row(label, str(getattr(result, name)))
    table.columns[1].justify = "right"
    return table

"""A controller as a process of its own, for the demo: ``python -m tidegate.lab.fleet_controller FOLDER RUN``.

Says one ready line when it holds the run's lock, works until there is nothing more to do, and dies with its parent, or
when somebody kills it: all that it knows is in the journal and in the hosts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path

from tidegate.fleet.journal_sqlite import SqliteJournal
from tidegate.fleet.runner import Pace, Runner, Tools
from tidegate.lab.fleet import GUARD_S, JOURNAL, FleetWorld, LabGuard, LabProbe, LabWork
from tidegate.lab.fleet_calls import Calls
from tidegate.lab.world import die_with_parent

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Be the controller of run ``arguments[1]`` in the world at ``arguments[0]``."""
    folder, run = Path(arguments[0]), arguments[1]
    world, journal, calls = FleetWorld.read(folder), SqliteJournal(folder / JOURNAL), Calls(folder)
    threading.Thread(target=die_with_parent, daemon=True).start()
    tools = Tools(
        guards=[LabGuard(GUARD_S)],
        probes=[LabProbe(calls)],
        by=f"lab:{os.getpid()}",
        pace=Pace(tick_s=0.2, sample_s=0.1, keep_s=0.1),
    )
    with journal.lock(run):
        print(json.dumps({"kind": "ready"}), flush=True)
        why = asyncio.run(Runner(journal, run, LabWork(world, calls), tools).drive())
    print(json.dumps({"kind": "left", "why": why}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

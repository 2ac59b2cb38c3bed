"""One try of a probe as a watch makes it, with a rule of the test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from socket import create_server, socket

from tidegate.watch.live.model import Batch
from tidegate.watch.live.probe_source import Probe, ProbeOptions, ProbeSource
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

__all__ = ["held_server", "one_try", "rules_for", "tries"]

TEMPLATE = "avi.ports.source-exhaustion"


def rules_for(measure: str, at_least: float) -> RuleSet:
    """Return a set of one probe rule: the shipped one about ports, with another measure."""
    shipped = load_rules()
    rule = shipped.get(TEMPLATE)
    assert rule is not None
    assert rule.probe is not None
    probe = rule.probe.model_copy(update={"measure": measure, "at_least": at_least})
    file = Path("lab.yaml")
    return RuleSet({file: rule.model_copy(update={"probe": probe})}, {file: shipped.lines[TEMPLATE]})


async def tries(probe: Probe, rules: RuleSet, count: int, timeout_s: float = 30) -> list[Batch]:
    """Let a source ask ``count`` times, one after the other, and return its batches."""
    batches: list[Batch] = []
    enough = asyncio.Event()

    async def put(batch: Batch) -> None:
        batches.append(batch)
        if len(batches) == count:
            enough.set()
            await asyncio.Event().wait()  # the desk is busy: it is not asked again

    source = ProbeSource("probe.lab", probe, rules, ProbeOptions(0.01, timeout_s))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.run(put, {}))
        await enough.wait()
        task.cancel()
    return batches


def one_try(probe: Probe, measure: str, at_least: float, timeout_s: float = 30) -> Batch:
    """Let a source ask once, in a loop of its own."""
    (batch,) = asyncio.run(tries(probe, rules_for(measure, at_least), 1, timeout_s))
    return batch


@contextmanager
def held_server() -> Iterator[str]:
    """Run a server that takes connections, answers nothing and holds them; yield its address."""
    taken: list[socket] = []
    with closing(create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(2)
            thread.join()
            for one in taken:
                one.close()

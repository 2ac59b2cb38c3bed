"""The plan of paced work: a TOML file, checked like every other. Secrets never stand in it.

::

    [pace]         how many at a time, how long between; which window it works in
    [vms]          a file with a name per line, or folders and clusters of [vcenter]
    [window.NAME]  the windows of everything that loads the same vCenter; they must not overlap
    [guard.NAME]   what lets work hold, as in other plans
    [vcenter]      for machines' names, datastore counters, and the one session that commands share
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from tidegate.config.broken import Broken
from tidegate.config.fields import Name, Table, duration
from tidegate.config.load import absolute, parse_tables, read_text
from tidegate.config.windows import DeclaredWindow, Window, overlaps
from tidegate.errors import ConfigError, Problem
from tidegate.fleet.act import Guard
from tidegate.fleet.guard_tables import DatastoreLatencyTable, GuardTable
from tidegate.fleet.guards import WindowGuard, broken_guards, guards_of
from tidegate.fleet.model import Vcenter
from tidegate.fleet.pace import Rules
from tidegate.units import ByteSize, Duration

__all__ = [
    "PacePlan",
    "PaceTable",
    "VmsTable",
    "checked_vms",
    "guards_for",
    "load_pace_plan",
    "load_vms",
    "parse_pace_plan",
    "rules_for",
]

VMS_MAX = 20_000
"""Most virtual machines of one plan."""

_NAME_MAX = 255
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class PaceTable(Table):
    """``[pace]``."""

    batch: int = Field(default=20, ge=1, le=50)
    """KB 440879: 20 to 50 at a time. Fewer are allowed."""
    concurrency: int = Field(default=4, ge=1, le=50)
    """How many of a batch are under way at a time, while latency lets them."""
    pause: Duration = duration("30s")
    """From the end of a batch to the next."""
    patience: Duration = duration("15m")
    """How long guards may let the work hold before it stops."""
    timeout: Duration = duration("1h")
    """For one command."""
    window: Name | None = None
    """The one of ``[window.NAME]`` that this work belongs to."""
    wait: bool = False
    """Whether to wait for that window when it is closed; otherwise the work stops, and can be resumed."""
    output_max: ByteSize = ByteSize.parse("64KiB")
    """How much of each output is kept: the end."""
    state: Path | None = None
    """Left out: the plan's own name with ``.state.jsonl``."""


class VmsTable(Table):
    """``[vms]``: the machines; one of the two."""

    file: Path | None = None
    """A name per line; what follows a ``#`` at the beginning of a line is a comment."""
    clusters: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """Names, or paths such as ``DC/vm/web``; every machine below one, and in any of the clusters. No templates."""
    tags: tuple[str, ...] = ()
    """``CATEGORY:NAME`` or ``NAME``: of the machine, or of a folder, datacenter or cluster that it is in."""

    @property
    def selects(self) -> bool:
        """Whether it asks the vCenter."""
        return bool(self.clusters or self.folders or self.tags)


class PacePlan(Table):
    """The file."""

    pace: PaceTable = PaceTable()
    vms: VmsTable
    window: dict[Name, DeclaredWindow] = Field(default_factory=dict, max_length=64)
    guard: dict[Name, GuardTable] = Field(default_factory=dict, max_length=64)
    vcenter: Vcenter | None = None


def load_pace_plan(file: Path) -> PacePlan:
    """Read a plan.

    Raises
    ------
    ConfigError
        With every problem.
    """
    return parse_pace_plan(read_text(file, missing="examples/pace.toml is one to start from"), file)


def parse_pace_plan(text: str, file: Path, now: float | None = None) -> PacePlan:
    """Read ``text`` as if it stood in ``file``: relative paths in it start at the file's folder.

    Parameters
    ----------
    now
        From when on windows of different zones are compared; left out: the time now.

    Raises
    ------
    ConfigError
        With every problem.
    """
    since = time.time() if now is None else now
    return absolute(parse_tables(text, file, PacePlan, lambda plan: _broken(plan, since)), file.parent)


def rules_for(plan: PacePlan, *, wait: bool | None = None) -> Rules:
    """Return the numbers of the pace; ``wait`` stands above the plan's own."""
    pace = plan.pace
    waits = pace.wait if wait is None else wait
    return Rules(pace.batch, pace.concurrency, pace.pause.seconds, pace.patience.seconds, waits)


def guards_for(plan: PacePlan) -> list[Guard]:
    """Return the guards, the plan's own window among them."""
    guards = guards_of(plan.guard)
    if plan.pace.window is not None:
        guards.append(WindowGuard(plan.pace.window, plan.window[plan.pace.window].window(plan.pace.window)))
    return guards


def load_vms(file: Path) -> list[str]:
    """Read the names of machines, one per line.

    Raises
    ------
    ConfigError
        With every problem.
    """
    text = read_text(file, missing="it holds a name per line")
    found: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        if wrong := _wrong(name):
            problems.append(Problem(file, number, "", wrong))
        elif name in found:
            message = f'the machine "{name}" stands here twice, first in line {found[name]}'
            problems.append(Problem(file, number, "", message, "keep one of the two"))
        found.setdefault(name, number)
    if not problems and not found:
        problems.append(Problem(file, 0, "", "names no machine", "write a name per line"))
    if len(found) > VMS_MAX:
        problems.append(Problem(file, 0, "", f"names {len(found)} machines, more than {VMS_MAX}", "make several plans"))
    if problems:
        raise ConfigError(problems[:100])
    return list(found)


def checked_vms(names: list[str], whence: Path) -> list[str]:
    """Return the names that a vCenter gave, each once.

    Raises
    ------
    ConfigError
        When there are none, too many, or two machines have one name: nobody could tell them apart.
    """
    problem = None
    if not names:
        problem = Problem(whence, 0, "vms", "selects no machine", "look at clusters, folders and tags")
    elif len(names) > VMS_MAX:
        problem = Problem(whence, 0, "vms", f"selects {len(names)} machines, more than {VMS_MAX}", "select fewer")
    elif len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        problem = Problem(whence, 0, "vms", f'selects two machines named "{twice}"', "list the names in a file")
    elif wrong := next(filter(None, map(_wrong, names)), ""):
        problem = Problem(whence, 0, "vms", wrong)
    if problem:
        raise ConfigError([problem])
    return names


def _wrong(name: str) -> str:
    if len(name) > _NAME_MAX:
        return f'"{name[:40]}…" is longer than a name may be ({_NAME_MAX})'
    return "a name has control characters in it" if _UNPRINTABLE.search(name) else ""


def _broken(plan: PacePlan, since: float) -> Iterator[Broken]:
    vms = plan.vms
    if (vms.file is None) != vms.selects:
        both = "has both a file and a selection" if vms.file else "names no machines"
        yield Broken(("vms",), both, 'write file = "vms.txt", or clusters, folders or tags')
    if vms.selects and plan.vcenter is None:
        yield Broken(("vms",), "selects machines of a vCenter, and the plan names none", "add a table [vcenter]")
    if plan.pace.concurrency > plan.pace.batch:
        message = f"is more than batch, which is {plan.pace.batch}"
        yield Broken(("pace", "concurrency"), message, "no more than a batch is under way")
    if not plan.pace.timeout.count:
        yield Broken(("pace", "timeout"), "gives a command no time", 'write for example "1h"')
    if plan.pace.window is not None and plan.pace.window not in plan.window:
        known = ", ".join(plan.window) or "none is declared"
        yield Broken(("pace", "window"), f'there is no window "{plan.pace.window}"', f"declared windows: {known}")
    if plan.pace.window in plan.guard:
        yield Broken(("guard", plan.pace.window or ""), "has the name of the window", "choose another name for it")
    for name, table in plan.guard.items():
        if isinstance(table, DatastoreLatencyTable) and plan.vcenter is None:
            hint = "datastore counters come from there: add a table [vcenter]"
            yield Broken(("guard", name), "needs a vCenter, and the plan names none", hint)
    yield from broken_guards(plan.guard)
    yield from _broken_windows(plan, since)


def _broken_windows(plan: PacePlan, since: float) -> Iterator[Broken]:
    windows: dict[str, Window] = {}
    for name, table in plan.window.items():
        try:
            windows[name] = table.window(name)
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            yield Broken(("window", name), message, hint)
    for overlap in overlaps(windows, since):
        message = f'the windows "{overlap.first}" and "{overlap.second}" overlap: {overlap.says}'
        yield Broken(
            ("window", overlap.second), message, "KB 440879: automation and backups do not run at the same time"
        )

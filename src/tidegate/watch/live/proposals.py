"""A proposed fleet run as two files: ``ID.json`` for programs, ``ID.md`` for the person who decides.

A proposal names a plan that somebody has written beforehand; nothing of a log line goes into that, or into the command
lines. The hosts that a storm was seen on are told as what was seen: a run goes over the plan's own hosts.
Nothing here starts a run, and ``tidegate fleet`` asks again before it stops anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

from tidegate.harmless import harmless
from tidegate.watch.coverage import iso
from tidegate.watch.live.acts import Json, Matter

__all__ = ["commands_of", "page_of", "proposal_of", "write_proposal"]

_HOSTS_SHOWN = 20
_one_at_a_time = threading.Lock()


def commands_of(matter: Matter, admin: str = "") -> list[list[str]]:
    """Return the command lines of a proposal, in the order in which they are typed: look, rehearse, run, say so.

    Parameters
    ----------
    admin
        The watch's admin socket; left out: the one that its commands go to by themselves.
    """
    fleet, plan = ["tidegate", "fleet"], matter.act.plan
    return [
        [*fleet, "check", plan, "--look"],
        [*fleet, "apply", plan, "--dry-run"],
        [*fleet, "apply", plan],
        ["tidegate", "watch", "act", "ran", matter.id, *(["--admin", admin] if admin else [])],
    ]


def proposal_of(matter: Matter, plan: bytes | None, admin: str = "") -> Json:
    """Return what stands in ``ID.json``.

    Parameters
    ----------
    plan
        The plan file's content now, which its checksum is of; ``None`` when it cannot be read.
    admin
        As in :func:`commands_of`.
    """
    return {
        "format": 1,
        "id": matter.id,
        "state": matter.state,
        "says": matter.says,
        "act": matter.act.name,
        "rule": matter.act.rule,
        "scope": {name: harmless(value) for name, value in matter.scope},
        "episode": matter.episode,
        "count": matter.count,
        "hosts_seen": [harmless(host) for host in matter.hosts],
        "corroborated_by": matter.witness,
        "corroborated_at": iso(matter.seen),
        "asked": iso(matter.asked),
        "changed": iso(matter.changed),
        "plan": matter.act.plan,
        "plan_sha256": None if plan is None else hashlib.sha256(plan).hexdigest(),
        "commands": [shlex.join(command) for command in commands_of(matter, admin)],
    }


def page_of(proposal: Json) -> str:
    """Return what stands in ``ID.md``: what was seen, who agrees, what to type."""
    return "\n".join(_lines(proposal)) + "\n"


def _lines(proposal: Json) -> Iterator[str]:
    scope = (
        _code(", ".join(f"{name} {value}" for name, value in proposal["scope"].items())) if proposal["scope"] else "all"
    )
    hosts = proposal["hosts_seen"]
    more = f" and {len(hosts) - _HOSTS_SHOWN} more" if len(hosts) > _HOSTS_SHOWN else ""
    yield f"# Proposal {proposal['id']}: {proposal['state'].replace('_', ' ')}"
    yield ""
    yield f"{proposal['says']}. Nothing has been run; what follows is for you to decide."
    yield ""
    seen = f"`{proposal['rule']}` for {scope}, {proposal['count']} at a time"
    yield f"- **Seen in logs**, which can be forged: {seen}."
    if hosts:
        yield f"- **Hosts seen**: {', '.join(_code(host) for host in hosts[:_HOSTS_SHOWN])}{more}."
    probe = f"`{proposal['corroborated_by']}` at {proposal['corroborated_at']}"
    yield f"- **Shown by a probe**, which asks the server itself: {probe}."
    yield f"- **Plan**: `{proposal['plan']}`, {_checksum(proposal)}. The run goes over the hosts of the plan."
    yield ""
    look, rehearse, run, say = proposal["commands"]
    yield "Look at every host, and rehearse; neither changes anything:"
    yield from _block(look, rehearse)
    yield "Run it. Phases that stop something ask once more:"
    yield from _block(run)
    yield "When it is over say so; the same rule is then watched until it has been silent long enough:"
    yield from _block(say)


def _block(*commands: str) -> list[str]:
    return ["", "```sh", *commands, "```", ""]


def _checksum(proposal: Json) -> str:
    known = proposal["plan_sha256"]
    return f"SHA-256 `{known}` when this was written" if known else "**which cannot be read now**"


def _code(text: str) -> str:
    """Return text of strangers as it may stand in a page: no mark of theirs has a meaning."""
    return "`" + " ".join(text.replace("`", "'").split()) + "`"


def write_proposal(matter: Matter, folder: Path, admin: str = "") -> Path:
    """Write both files of a proposal, whole or not at all, mode 0600; return the page.

    Raises
    ------
    OSError
        When they cannot be written.
    """
    with _one_at_a_time:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        plan = Path(matter.act.plan)
        proposal = proposal_of(matter, plan.read_bytes() if plan.is_file() else None, admin)
        _put(folder / f"{matter.id}.json", json.dumps(proposal, indent=2, ensure_ascii=False) + "\n")
        _put(folder / f"{matter.id}.md", page_of(proposal))
    return folder / f"{matter.id}.md"


def _put(file: Path, text: str) -> None:
    part = file.with_suffix(f"{file.suffix}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)

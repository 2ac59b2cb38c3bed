"""What a host says about its vvold, and what that means (pure): one script to look, one more to verify.

The pid comes from the first pid file that is there, else from ``ps``; its start from the pid file's age; the boot from
the kernel's boot id, else from the uptime. What a build does not have is simply not known. Times are the host's own.

Evidence (reference of vvold, in order of trust): no ``DoSetContext … failed`` since the restart and an
``Issuing '…' … [session state: Connected]`` in its log; ``online`` in ``esxcli storage vvol vasaprovider list``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.fleet.act import Evidence, Verdict

__all__ = ["Session", "identity_known", "judge", "parse", "same_process", "sessions"]

LOG = "/var/run/log/vvold.log"
_LIST = "esxcli storage vvol vasaprovider list"

LOOK = r"""
for f in /var/run/vmware/vvold.PID /var/run/vmware/vvold.pid /var/run/vvold.pid; do
  if [ -r "$f" ]; then echo "pid=$(head -n 1 "$f")"; echo "start_time=$(stat -c %Y "$f")"; break; fi
done
echo "ps=$(ps -c 2>/dev/null | awk '/[v]vold/ {print $1; exit}')"
echo "host_id=$(esxcli system uuid get 2>/dev/null)"
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
echo "uptime_us=$(esxcli system stats uptime get 2>/dev/null)"
echo "now=$(date +%s)"
s=$(/etc/init.d/vvold status 2>&1); echo "status=$?"; echo "said=$(echo "$s" | head -n 1)"
""".strip()
"""A POSIX shell script that changes nothing; what it prints is for :func:`parse`."""

_SIFT = """
/^([0-9]+:)?[0-9][0-9][0-9][0-9]-[0-9][0-9]-/ {head = $0; shown = 0; if (!begun) {begun = shown = 1; print}}
/DoSetContext: setContext for VP|session state: Connected/ {if (!shown && head != $0) print head; shown = 1; print}
""".strip()
VERIFY = f"""{LOOK}
echo "==list"; {_LIST} 2>/dev/null; echo "==log $?"
tail -c 4194304 {LOG} 2>/dev/null | awk '{_SIFT}' | tail -c 131072"""
"""The same, and what is needed for :func:`judge`.

Of the log's last 4 MiB the first line, which tells how far back they reach, and those that speak of sessions, with the
head of what is a continuation.
"""

_STAMP = re.compile(r"(?:\d+:)?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z")
_FAILED = re.compile(
    r"DoSetContext: setContext for VP (?P<vp>.+?) \(url: .*?\) failed \[connectionState: (?P<why>[^]]*)\]"
)
_CONNECTED = re.compile(r"Issuing '[^']*' to VP (?P<vp>.+?) \(#outstanding [^)]*\) \[session state: Connected\]")
_BOOT_SLACK_S = 60


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def parse(text: str) -> dict[str, str | int | None]:
    """Return what :data:`LOOK` printed as evidence: state, pid, start_time, host_id, boot_id or boot_time, host_time.

    ``state`` is ``running``, ``stopped``, ``missing`` (there is no vvold on this host) or ``unknown``.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("==list"):
            break
        key, found, value = line.partition("=")
        if found and key not in values:
            values[key] = value.strip()
    said, status = values.get("said", "").lower(), _number(values.get("status", ""))
    if status in {126, 127}:
        state = "missing"
    elif "not running" in said or "stopped" in said:
        state = "stopped"
    elif "running" in said:
        state = "running"
    else:
        state = {0: "running", 3: "stopped"}.get(-1 if status is None else status, "unknown")
    running = state == "running"
    from_file = _number(values.get("pid", ""))
    now, uptime = _number(values.get("now", "")), _number(values.get("uptime_us", ""))
    return {
        "state": state,
        "pid": (from_file if from_file is not None else _number(values.get("ps", ""))) if running else None,
        "start_time": _number(values.get("start_time", "")) if running and from_file is not None else None,
        "host_id": values.get("host_id") or None,
        "boot_id": values.get("boot_id") or None,
        "boot_time": None if now is None or uptime is None else now - uptime // 1_000_000,
        "host_time": now,
    }


def identity_known(evidence: Evidence) -> bool:
    """Return whether one vvold can be told from the next by this evidence."""
    return evidence.get("pid") is not None or evidence.get("start_time") is not None


def same_process(before: Evidence, now: Evidence) -> bool:
    """Return whether both show the same run of the same service; what only one of them knows says nothing."""

    def both(key: str) -> tuple[object, object] | None:
        old, new = before.get(key), now.get(key)
        return None if old is None or new is None else (old, new)

    # The computed time of boot moves with every correction of the clock: it counts only where there is nothing better.
    boots = both("boot_time") if both("start_time") is None and both("boot_id") is None else None
    if boots is not None and abs(float(str(boots[0])) - float(str(boots[1]))) > _BOOT_SLACK_S:
        return False
    pairs = [pair for pair in map(both, ("boot_id", "pid", "start_time")) if pair is not None]
    return all(old == new for old, new in pairs)


@dataclass(slots=True)
class Session:
    """What the log says of one provider since a moment; times in seconds, ``None``: never."""

    failed_at: float | None = None
    why: str = ""
    connected_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Listed:
    asked: bool = False
    online: Mapping[str, bool] = field(default_factory=dict)


def _timed(lines: Iterable[str]) -> Iterator[tuple[float, str]]:
    """Give every line with its time, from the first that has one on."""
    at: float | None = None
    for line in lines:
        stamp = _STAMP.match(line)
        if stamp is not None:
            try:
                at = datetime.fromisoformat(f"{stamp[1]}+00:00").timestamp()
            except ValueError:
                continue
        if at is not None:
            yield at, line


def sessions(lines: Iterable[str], since: float) -> dict[str, Session]:
    """Return what became of every provider's session since ``since``; a continuation line has its head's time."""
    found: dict[str, Session] = {}
    for at, line in _timed(lines):
        if at < since:
            continue
        if (failed := _FAILED.search(line)) is not None:
            session = found.setdefault(failed["vp"], Session())
            session.failed_at, session.why = at, failed["why"]
        elif (connected := _CONNECTED.search(line)) is not None:
            found.setdefault(connected["vp"], Session()).connected_at = at
    return found


def _listed(text: str) -> _Listed:
    """Read ``esxcli``'s list: a block per provider, ``Key: value``; unknown keys are passed over."""
    body, found, after = text.partition("\n==log ")
    if not found or not after.startswith("0"):
        return _Listed()
    online: dict[str, bool] = {}
    name = ""
    for line in body.partition("==list")[2].splitlines():
        key, _, value = line.strip().partition(":")
        if line and not line[0].isspace() and not value:
            name = key
        elif key in {"VP Name", "Name"}:
            name = value.strip()
        elif key == "Status" and name:
            online[name] = value.strip().lower() == "online"
    return _Listed(True, online)


def judge(text: str, before: Evidence, quiet_s: float, positive: bool) -> Verdict:
    """Judge what :data:`VERIFY` printed after vvold was started.

    Parameters
    ----------
    before
        The evidence that was recorded before the step.
    quiet_s
        No failure for this long; a log that does not reach back so far shows nothing.
    positive
        Whether a sign that it works is wanted, too: for every provider that was heard of, a call in a connected session
        after the last failure, or ``online`` in esxcli's list.
    """
    now = parse(text)
    if now["state"] != "running":
        return Verdict(False, False, f"vvold is {now['state']} after its start", now)
    host_time, began, mark = now["host_time"], now["start_time"], before.get("host_time")
    if not isinstance(host_time, int) or not isinstance(mark, int):
        return Verdict(False, False, "the host does not say what time it is", now)
    since = max(mark, began) if isinstance(began, int) else mark
    log = text.partition("\n==log ")[2].splitlines()[1:]
    heard = sessions(log, since)
    listed = _listed(text)
    failures = [(one.failed_at, name, one.why) for name, one in heard.items() if one.failed_at is not None]
    last = max(failures, default=(float(since), "", ""))
    if positive:
        names = sorted({*heard, *listed.online})
        lacking = [name for name in names if not _works(heard.get(name, Session()), listed.online.get(name, False))]
        if lacking:
            reason = f"; last failure of {last[1]}: {last[2]}" if failures else ""
            return Verdict(False, False, f"runs, but has not reconnected to {', '.join(lacking[:3])}{reason}", now)
        if not names and not listed.asked:
            return Verdict(False, False, "runs, but nothing shows yet that it has reconnected", now)
    calm = host_time - last[0]
    begins, _ = next(_timed(log), (-math.inf, ""))
    short = ""
    if calm < quiet_s:
        short = f"connected; no failure for {max(calm, 0):.0f} s of {quiet_s:.0f} s"
    elif begins >= host_time - quiet_s + 1:  # the host's time has no parts of a second
        back = f"it begins {max(host_time - begins, 0):.0f} s ago"
        short = f"runs, but its log is too busy, or too young, to see {quiet_s:.0f} s back: {back}"
    if short:
        return Verdict(False, False, short, now)
    none = positive and not heard and not listed.online
    says = "runs; no provider is registered on this host" if none else f"no failure for {calm:.0f} s"
    return Verdict(True, True, says + (", connected" if positive and not none else ""), now)


def _works(session: Session, online: bool) -> bool:
    after = session.connected_at is not None and (session.failed_at is None or session.connected_at > session.failed_at)
    return online or after

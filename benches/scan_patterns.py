"""What is searched for: 48 strings of known failures, and genuine messages of other programs up to 1000 in all.

The messages are those that the standard library of the running Python raises: text that somebody wrote for people to
read, not random letters, and the same on every machine with that Python.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sysconfig
from pathlib import Path

from benches.process import BenchError

SHORTEST, LONGEST = 11, 61
FEW, MANY = 48, 1000

# Articles and mails of vendors and their users quote these; the first four are those of the articles that we ship.
KNOWN = (
    "[connectionState: TransportError]",
    "STORAGE_FAULT (ADB conversion error",
    "vim.fault.NotAuthenticated",
    "PFSTATE_TCP_HALF_OPEN) == 0",
    "Lost access to volume",
    "esx.problem.storage.connectivity.lost",
    "esx.problem.storage.redundancy.degraded",
    "esx.problem.vmfs.heartbeat.timedout",
    "esx.problem.net.vmnic.linkstate.down",
    "esx.problem.visorfs.ramdisk.full",
    "esx.problem.hostd.core.dumped",
    "esx.problem.scsi.device.state.permanentloss",
    "vob.net.pg.uplink.transition.down",
    "vob.vmfs.heartbeat.timedout",
    "performance has deteriorated. I/O latency increased",
    "NMP: nmp_ThrottleLogForDevice",
    "Valid sense data: 0x3 0x11",
    "is blocked. Not starting I/O from device",
    "has entered the All Paths Down Timeout state",
    "SCSI RESERVATION CONFLICT",
    "Long VMFS rsv time on",
    "ATS Miscompare detected beween test and set HB images",
    "Reclaimed heartbeat for volume",
    "already at its maximum size. Cannot expand.",
    "Admission failure in path",
    "There is no space left on device",
    "msg.hbacommon.outofspace",
    "Failed to lock the file",
    "Migration considered a failure by the VMX",
    "didn't have a heartbeat for",
    "LINT1/NMI (motherboard nonmaskable interrupt), undiagnosed",
    "Spin count exceeded",
    "#PF Exception 14 in world",
    "#GP Exception 13 in world",
    "Machine Check Exception: Unable to continue",
    "NOT_IMPLEMENTED bora/",
    "hostd detected to be non-responsive",
    "Out of HTTP sessions: Limited to",
    "Lost network connectivity on virtual switch",
    "Failed to verify signatures of the following vib",
    "vmsyslog logger",
    "Detected Tx Unit Hang",
    "Inet port exhaustion",
    "nf_conntrack: table full, dropping packet",
    "Possible SYN flooding on port",
    "upstream connect error or disconnect/reset before headers",
    "worker_connections are not enough",
    "Out of memory: Killed process",
)


# `raise Name("text …`: the text, up to the end of its literal.
_RAISED = re.compile(r"""\braise [\w.]+\(\s*f?(["'])((?:(?!\1)[ -~])+)\1""")
# What stands for a value in it: of %-formats, f-strings and str.format.
_VALUE = re.compile(r"%[-#0-9.]*\w|\{[^}]*\}")


@functools.cache
def messages() -> tuple[str, ...]:
    """Return all messages of the standard library that serve: 11 to 61 bytes of ASCII, none within another.

    The order is that of their SHA-256: nothing that stands together in the library stands together here.
    """
    root = Path(sysconfig.get_path("stdlib"))
    found: set[str] = set()
    for path in (*root.glob("*.py"), *root.glob("[a-z]*/**/*.py")):
        if not {"test", "tests", "site-packages", "dist-packages"} & set(path.relative_to(root).parts):
            raised = _RAISED.finditer(path.read_text("utf-8", errors="replace"))
            found |= {part.strip() for one in raised for part in _VALUE.split(one[2])}
    fit = [text for text in found if SHORTEST <= len(text) <= LONGEST]
    everything = "\n".join((*KNOWN, *fit))
    # A hit has to count once, so no pattern may stand in another; the rest would be written in more than one way.
    alone = [text for text in fit if everything.count(text) == 1 and not set("&<>\\{}") & set(text)]
    return tuple(sorted(alone, key=lambda text: hashlib.sha256(text.encode()).digest()))


def patterns(count: int, taken: str = "") -> list[str]:
    """Return `count` patterns, the known failures first; none of the rest stands in the text `taken`.

    Raises
    ------
    BenchError
        This Python has too few messages.
    """
    rest = [text for text in messages() if text not in taken] if count > len(KNOWN) else []
    chosen = [*KNOWN, *rest][:count]
    if len(chosen) < count:
        raise BenchError(f"the standard library of this Python has {len(chosen)} messages that serve, not {count}")
    return chosen

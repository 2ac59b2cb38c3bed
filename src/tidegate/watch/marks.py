"""What is noted beside hits: the versions that logs tell of, and the headings of vendors' articles.

A version mark is ``version/PRODUCT`` and has the fields ``version``, ``build`` or ``module``; a heading is
``article/NAME``, and tells that a text is an article and not a log. Where each form was seen: reference/logs.md §0.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["MARKS", "Mark"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A regex with fields, looked for in records that hold one of the literals (each of 10 bytes or more)."""

    id: str
    literals: tuple[str, ...]
    regex: str

    def as_json(self) -> dict[str, Any]:
        """Return the mark as the plan has it."""
        return {"id": self.id, "literals": list(self.literals), "regex": self.regex}


_SECTION = r"version=(?P<version>\d+(?:\.\d+){1,4}),\s+build=(?:build-)?(?P<build>\d+)"

# A heading stands alone on its line, beside what copying leaves there: `grep -n`, a mail's quotes, tags of a page.
_FROM, _TO = r"(?m)^(?:\S*?\d[:-])?(?:[\s>]|<[^<>\n]*>)*", r"(?:\s|<[^<>\n]*>)*$"

MARKS = (
    # First line of every rotated hostd, vpxa and vvold file, and of vpxd's.
    Mark("version/esxi", ("Section for VMware ESX",), rf"Section for VMware ESX(?:i)?,.*?\b{_SECTION}"),
    Mark(
        "version/vcenter", ("Section for VMware VirtualCenter",), rf"Section for VMware VirtualCenter,.*?\b{_SECTION}"
    ),
    # First line of a crash screen.
    Mark(
        "version/esxi-banner",
        ("VMware ESXi ",),
        r"VMware ESXi (?P<version>\d+\.\d+\.\d+)\s+\[(?P<kind>build|Releasebuild)-(?P<build>\d{5,})\s+x86_64\]",
    ),
    # `vmware -v`, and commands/ of a bundle: "VMware ESXi 8.0.2 build-22380479", "VMware vCenter Server 8.0.2 build-…".
    Mark(
        "version/esxi-command", ("VMware ESXi ",), r"VMware ESXi (?P<version>\d+\.\d+\.\d+)\s+build-(?P<build>\d{5,})"
    ),
    Mark(
        "version/vcenter-command",
        ("VMware vCenter Server ", "VMware VirtualCenter "),
        r"VMware (?:vCenter Server|VirtualCenter) (?P<version>\d+\.\d+\.\d+)\s+build-(?P<build>\d{5,})",
    ),
    # The firewall's module in a backtrace: symbol@nsxt-vsip-22667792#1.0.8.0.22667792+0x4c …
    Mark(
        "version/nsx-module",
        ("@nsxt-vsip", "@(nsxt-vsip"),
        r"@\(?nsxt-vsip(?:-\d+)?[^#\s]*#(?P<module>\d+(?:\.\d+){2,4})\.(?P<build>\d{7,9})\b",
    ),
    # … and where a web page took its name for a mail address and hid it, as the page of KB 433412 does.
    Mark(
        "version/module",
        ("protected]#",),
        r"\[email\sprotected\]#(?P<module>\d+(?:\.\d+){2,4})\.(?P<build>\d{7,9})\+0x",
    ),
    # `esxcli software vib list`: "nsxt-vsip   4.1.2.1.0-7.0.22667792   VMware   …"; a manager's own version.
    Mark(
        "version/nsx",
        ("nsxt-vsip ", "nsx-esx-datapath ", "nsx-platform-client "),
        r"nsx(?:t-vsip|-esx-datapath|-platform-client)\s+(?P<version>\d+\.\d+\.\d+(?:\.\d+)?)\S*?(?:\.(?P<build>\d{7,9}))?\s",
    ),
    Mark(
        "version/nsx-manager",
        ("node_version", "product_version", "NSX Manager "),
        r"""(?:"?(?:node|product)_version"?\s*[:=]\s*"?|NSX Manager (?:version )?)(?P<version>\d+(?:\.\d+){2,5})""",
    ),
    Mark("article/id", ("Article ID: ",), r"Article ID:\s+(?P<article>\d{4,9})\b"),
    Mark("article/updated", ("Updated On:",), _FROM + r"Updated On:"),
    Mark("article/calendar", ("calendar_today",), _FROM + "calendar_today" + _TO),
    Mark("article/introduction", ("Issue/Introduction",), _FROM + "Issue/Introduction" + _TO),
    Mark("article/more", ("Additional Information",), _FROM + "Additional Information" + _TO),
)
"""Every mark."""

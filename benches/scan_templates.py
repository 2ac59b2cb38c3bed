"""Log records as ESXi 7, ESXi 8 and vCenter write them: noise, near misses of the shipped articles, and planted hits.

scan_records.txt has the templates. A record comes without its time: it begins with the zone, `Z` or `+02:00`.
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

from benches.scan_patterns import KNOWN

LOCAL, LOCAL_HOURS = "+02:00", 2
# Of 100 records of a log in which all come together; within a family each template is as frequent as the others.
SHARES = {"vpxd": 45, "esxi8": 40, "esxi7": 15}
# Programs of ESXi 8 that have a log of their own in a bundle.
PROGRAMS = ("hostd", "vmkernel", "vobd", "vmkwarning", "vvold")

_WORDS = {
    "method": (
        "VirtualMachine.powerOn",
        "VirtualMachine.reconfigure",
        "Datastore.refresh",
        "HostSystem.queryPathState",
        "Folder.createVm",
        "PropertyCollector.retrieveContents",
        "SessionManager.loginBySolution",
    ),
    "sub": (
        "Vimsvc.ha-eventmgr",
        "Hostsvc.VFlashManager",
        "Vmsvc.vm:/vmfs/volumes/5f3a/db-7/db-7.vmx",
        "Solo.Vmomi",
        "Libs",
        "SoapAdapter.HTTPService",
        "Hostsvc.StorageSystem",
    ),
}
_HOLE = re.compile(r"\{(?:x(?P<digits>\d+)|(?P<low>\d+)-(?P<high>\d+)|(?P<word>[a-z]+))\}")


def _read() -> dict[str, dict[str, list[str]]]:
    """Return the templates by family and program."""
    found: dict[str, dict[str, list[str]]] = {}
    for part in Path(__file__).with_name("scan_records.txt").read_text().split("\n== ")[1:]:
        head, _, text = part.partition("\n")
        family, program, *_ = head.split(" ", 2)
        found.setdefault(family, {}).setdefault(program, []).append(text.strip("\n") + "\n")
    return found


TEMPLATES = _read()


def fill(template: str, chance: Random, literal: str = "") -> str:
    """Return a record made from a template."""

    def value(hole: re.Match[str]) -> str:
        if hole["digits"]:
            return f"{chance.getrandbits(4 * int(hole['digits'])):0{hole['digits']}x}"
        if hole["low"]:
            return str(chance.randint(int(hole["low"]), int(hole["high"])))
        if hole["word"] == "uuid":
            return f"52{chance.getrandbits(24):06x}-{chance.getrandbits(16):04x}-{chance.getrandbits(48):012x}"
        return literal if hole["word"] == "literal" else chance.choice(_WORDS[hole["word"]])

    return _HOLE.sub(value, template)


def noise(chance: Random, count: int, program: str | None = None) -> list[str]:
    """Return `count` records in the shares of SHARES, or all of one of PROGRAMS."""
    if program:
        return [fill(chance.choice(TEMPLATES["esxi8"][program]), chance) for _ in range(count)]
    made = []
    for family, share in SHARES.items():
        templates = [template for several in TEMPLATES[family].values() for template in several]
        made += [fill(chance.choice(templates), chance) for _ in range(count * share // 100)]
    return made


def planted(chance: Random, literal: str) -> str:
    """Return a record that holds a literal, once and on one line: those of the articles as the articles print them."""
    place = str(KNOWN.index(literal)) if literal in KNOWN else ""
    if place in TEMPLATES["article"]:
        return fill(TEMPLATES["article"][place][0], chance, literal)
    return fill(chance.choice(TEMPLATES["other"][chance.choice(sorted(TEMPLATES["other"]))]), chance, literal)

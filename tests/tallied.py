"""Lines counted as the scan counts them, in Python: for tests of what is made of the counts, not of the counting."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tidegate.watch.caller_lines import TALLIES

__all__ = ["tallied"]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def tallied(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the tallies of the lines, one record each, as the scan result has them."""
    found: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for line in lines:
        stamp = _TIME.search(line)
        at = int(datetime.fromisoformat(stamp[0]).timestamp() * 1000) * 10**6 if stamp else None
        for plan in TALLIES:
            match = any(text in line for text in plan["literals"]) and re.search(plan["regex"], line)
            if not match:
                continue
            key = {part: match[part] for part in plan["key"]}
            tally = found.setdefault(
                (plan["id"], tuple(key.values())),
                {"tally": plan["id"], "key": key, "total": 0, "first": None, "last": None, "by": {}, "minutes": {}},
            )
            tally["total"] += 1
            if plan["by"]:
                tally["by"] = dict(Counter(tally["by"]) + Counter([match[plan["by"]]]))
            if at is not None:
                tally["first"] = min(at, tally["first"] or at)
                tally["last"] = max(at, tally["last"] or at)
                tally["minutes"][at // 60_000_000_000] = tally["minutes"].get(at // 60_000_000_000, 0) + 1
    return [tally | {"minutes": sorted(map(list, tally["minutes"].items()))} for tally in found.values()]

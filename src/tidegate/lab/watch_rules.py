"""The rules that the lab plays: shipped ones, their windows divided, so that minutes fit into seconds."""

from __future__ import annotations

import re
from pathlib import Path

from tidegate.lab.watch_texts import TEXTS
from tidegate.watch.load import SHIPPED

__all__ = ["SPEED", "small_rules"]

SPEED = 12
"""What the windows of the rules are divided by: 60 s become 5."""
_OVER = re.compile(r"(?m)^(\s+over:\s*)(\d+)s$")


def small_rules(folder: Path) -> Path:
    """Write the rules of :data:`~tidegate.lab.watch_texts.TEXTS` into ``folder``, which is made; return it."""
    folder.mkdir()
    for name in sorted({text.rule for text in TEXTS.values()}):
        text = (SHIPPED / f"{name}.yaml").read_text(encoding="utf-8")
        small = _OVER.sub(lambda found: f"{found[1]}{int(found[2]) // SPEED}s", text)
        (folder / f"{name}.yaml").write_text(small, encoding="utf-8")
    return folder

"""A rule's windows as the evaluator takes them: the one place where seconds of a rule become nanoseconds."""

from __future__ import annotations

from tidegate.watch.rule import AnyWindow
from tidegate.watch.windows import Window

__all__ = ["window_of"]


def window_of(window: AnyWindow) -> Window:
    """Return a window of a rule for :func:`tidegate.watch.windows.episodes`."""
    over = window.over.nanoseconds
    match window.kind:
        case "count":
            return Window(kind="count", of=window.of, over=over, more_than=window.more_than)
        case "distinct":
            return Window(kind="distinct", of=window.of, over=over, at_least=window.at_least)
        case "sequence":
            return Window(kind="sequence", of=window.of, over=over)
        case "absence":
            return Window(kind="absence", of=window.of, over=over, after=window.after)

"""``tidegate rules runbook``: a page for whoever is woken by a rule."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tidegate.cli.printer import Output, Printer
from tidegate.cli.rules_show import OwnRules, rule_named
from tidegate.errors import Exit, UsageError
from tidegate.watch.load import load_rules
from tidegate.watch.runbooks import INDEX, index_of, page_name, runbook_of

__all__ = ["runbook"]


def runbook(
    rule: str | None = None,
    /,
    *,
    folder: Annotated[
        Path | None, Parameter(help="Write a page for each rule, and their list, into this folder.")
    ] = None,
    rules: OwnRules = None,
    output: Output = "text",
) -> int:
    """Print the runbook of a rule as Markdown: why it alerts, what to do, what shows that it has helped.

    Without a rule it is the list of all pages. They are written from the rules.

    Examples
    --------
    ``tidegate rules runbook 412434``

    Parameters
    ----------
    rule
        Its id, or the number of its article.
    """
    printer = Printer(output)
    known = load_rules(rules)
    chosen = known.rules if rule is None else (rule_named(known, rule),)
    pages = {page_name(one): runbook_of(one) for one in chosen}
    if rule is None:
        pages[INDEX] = index_of(chosen)
    printer.data({"format": 1, "pages": [{"file": name, "text": text} for name, text in pages.items()]})
    if folder is None:
        if printer.is_text:
            sys.stdout.write(pages[INDEX] if rule is None else runbook_of(chosen[0]))
            sys.stdout.flush()
        return Exit.FINE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or folder}: {error.strerror}", hint="name another --folder"
        ) from None
    printer.text(f"{len(chosen)} {'page' if len(chosen) == 1 else 'pages'} in {folder}")
    return Exit.FINE

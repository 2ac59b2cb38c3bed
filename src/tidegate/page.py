"""One self-contained HTML page: a template, the styles and plots that all pages share, and the data inside.

It can be mailed and opened offline. The shared parts are the console's static files.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

__all__ = ["filled", "html_table", "page_of", "write_page"]

_SHARED = {
    "page_css": "page.css",
    "plots_js": "plots.js",
    "uplot_css": "vendor/uPlot.min.css",
    "uplot_js": "vendor/uPlot.iife.min.js",
}


def filled(template: str, *, data: object, **fields: str) -> str:
    """Return ``template`` with every ``{{field}}`` in it replaced.

    Parameters
    ----------
    template
        HTML; beside the fields it may have ``{{page_css}}``, ``{{plots_js}}``, ``{{uplot_css}}``, ``{{uplot_js}}``, and
        begin with ``{{head}}``: all up to the introduction, with ``{{title}}`` and ``{{intro}}`` in it.
    data
        What ``{{data}}`` becomes, as JSON.
    fields
        HTML, escaped already.
    """
    static = files("tidegate") / "console" / "static"
    shared = {field: (static / name).read_text(encoding="utf-8") for field, name in _SHARED.items()}
    template = template.replace("{{head}}\n", (static / "head.html").read_text(encoding="utf-8"), 1)
    # "</" would end the script element wherever it stood in the data, and "<!--" would keep it from ending
    texts = {**shared, **fields, "data": json.dumps(data).replace("<", "\\u003c")}
    # in one pass: what is filled in may hold braces of its own, such as a line of somebody's log
    return re.sub(r"\{\{(\w+)\}\}", lambda field: texts.get(field[1], field[0]), template)


def page_of(package: str, *, data: object, **fields: str) -> str:
    """Return the page of ``package``: its ``report.html``, with ``report.js`` as the only script that may run.

    Parameters
    ----------
    package
        Where the two files are.
    data
        What ``{{data}}`` in the script becomes.
    fields
        HTML, escaped already; ``{{script}}`` and ``{{script_hash}}`` are filled in here.
    """
    folder = files(package)
    script = filled((folder / "report.js").read_text(encoding="utf-8"), data=data)
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = (folder / "report.html").read_text(encoding="utf-8")
    return filled(template, data=None, script=script, script_hash=script_hash, **fields)


def html_table(
    heads: Iterable[str], rows: Mapping[str, Iterable[str]], looks: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return a table whose rows begin with their keys; everything is escaped here. ``looks``: classes of rows."""
    head = "".join(f"<th scope=col>{html.escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr{_class(looks.get(name))}><th scope=row>{html.escape(name)}</th>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, cells in rows.items()
    )
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _class(look: str | None) -> str:
    return f' class="{html.escape(look)}"' if look else ""


def write_page(file: Path, page: str) -> None:
    """Write the page whole, or not at all; into a device or a pipe as it stands, and to where a link leads."""
    if file.exists() and not file.is_file():
        file.write_text(page, encoding="utf-8")
        return
    file = file.resolve()
    temporary = file.with_name(file.name + ".part")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise

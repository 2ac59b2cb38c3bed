"""Exports as the files that targets read: JSON for Aria, YAML for the rulers of Loki and Prometheus."""

from __future__ import annotations

import io
import json

from ruamel.yaml import YAML

from tidegate.watch.export.common import Export

__all__ = ["as_text"]

_NOTES = {
    "aria": "",
    "loki": "# Written by `tidegate rules export loki`. Adapt {job=~…} to the labels of your collector.\n",
    "prometheus": "# Written by `tidegate rules export prometheus`, over the gauge of a running watch.\n",
}


def as_text(export: Export) -> str:
    """Return what the target reads: for Aria a list of bodies, each for one POST; else one group of rules."""
    if export.target == "aria":
        return json.dumps(list(export.alerts), indent=2, ensure_ascii=False) + "\n"
    yaml = YAML(typ="rt")
    yaml.width = 1 << 16  # an expression on one line can be searched for
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump({"groups": [{"name": "tidegate", "interval": "30s", "rules": list(export.alerts)}]}, stream)
    return _NOTES[export.target] + stream.getvalue()

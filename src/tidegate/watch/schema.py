"""The JSON Schema of rule files, for editors: written from the models, so that the two cannot differ.

``python -m tidegate.watch.schema`` writes it anew; a test compares.
"""

from __future__ import annotations

import json

from tidegate.watch.load import SHIPPED
from tidegate.watch.rule import Rule

__all__ = ["SCHEMA", "schema_text"]

SCHEMA = SHIPPED / "schema.json"
"""Where it stands."""


def schema_text() -> str:
    """Return the schema as the file has it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Rule.model_json_schema(by_alias=True),
        "title": "tidegate rule",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text())

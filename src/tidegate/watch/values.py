"""What windows tell events apart by: the fields of a hit, and where its host and its provider are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tidegate.watch.places import host_of_path

__all__ = ["host_of", "provider_of", "value_of"]


def host_of(hit: Mapping[str, Any], path: str) -> str:
    """Return the host that a hit in the member ``path`` comes from, or an empty text."""
    host: str = hit["host"] or host_of_path(path) or hit["fields"].get("host", "")
    return host


def provider_of(fields: Mapping[str, str]) -> str:
    """Return the storage provider that fields name, by itself or as the host of a URL, or an empty text."""
    url = fields.get("url", "")
    return fields.get("provider") or fields.get("vp") or (_host_in(url) if "//" in url else "")


def _host_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a bracket that is no address
        return ""


def value_of(hit: Mapping[str, Any], path: str, name: str) -> str:
    """Return a field of a hit; ``host`` and ``provider`` are found where fields do not have them."""
    if name == "host":
        return host_of(hit, path)
    if name == "provider":
        return provider_of(hit["fields"])
    return str(hit["fields"].get(name, ""))

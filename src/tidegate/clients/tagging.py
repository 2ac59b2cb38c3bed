"""Hosts by tag, through ``/api/cis/tagging``: what has the tag itself, or lies in a cluster or folder that has it."""

from __future__ import annotations

from typing import Any

from tidegate.clients.http import Request
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.errors import FleetError

__all__ = ["tagged"]

_TAGS_MAX = 5000
_ROOT = "/api/cis/tagging"


async def tagged(rest: VcenterRest, tags: tuple[str, ...]) -> dict[str, list[tuple[str, str]]]:
    """Return, for each of ``tags`` (``NAME`` or ``CATEGORY:NAME``), what has it: pairs of type and id.

    Raises
    ------
    FleetError
        When a tag does not exist, or a name without its category stands for several.
    """
    wanted = {text: _split(text) for text in tags}
    found: dict[str, list[tuple[str, str]]] = {text: [] for text in tags}
    ids: dict[str, list[tuple[str, str]]] = {text: [] for text in tags}
    categories: dict[str, str] = {}
    every = _list(await rest.wanted(Request("GET", f"{_ROOT}/tag")))
    if len(every) > _TAGS_MAX:
        raise FleetError(f"vCenter has {len(every)} tags, more than {_TAGS_MAX}", hint="use clusters or folders")
    for tag in every:
        seen = await rest.wanted(Request("GET", f"{_ROOT}/tag/{tag}"))
        name, category = str(seen.get("name")), str(seen.get("category_id"))
        for text, (in_category, is_called) in wanted.items():
            if is_called != name:
                continue
            if category not in categories:
                about = await rest.wanted(Request("GET", f"{_ROOT}/category/{category}"))
                categories[category] = str(about.get("name"))
            if in_category is None or in_category == categories[category]:
                ids[text].append((str(tag), categories[category]))
    for text, matches in ids.items():
        if not matches:
            raise FleetError(f'vCenter has no tag "{text}"', hint="tags are written NAME or CATEGORY:NAME")
        if len(matches) > 1:
            places = ", ".join(sorted(category for _, category in matches))
            raise FleetError(f'the tag "{text}" is in several categories: {places}', hint="write CATEGORY:NAME")
        # It reads, though it is a POST: it may be repeated.
        listed = await rest.wanted(
            Request(
                "POST",
                f"{_ROOT}/tag-association/{matches[0][0]}",
                query={"action": "list-attached-objects"},
                repeat=True,
            )
        )
        found[text] = [(str(one["type"]), str(one["id"])) for one in _list(listed)]
    return found


def _split(text: str) -> tuple[str | None, str]:
    category, colon, name = text.partition(":")
    return (category, name) if colon else (None, text)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FleetError("vCenter's tagging answered with something that is no list", slug="bad-answer")
    return value

"""What a capture shows, in one sentence, and its facts in words: names end in their unit (``_s``, ``_percent``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["fact_words", "says"]

_UNITS = (("_per_s", "/s"), ("_percent", " %"), ("_ms", " ms"), ("_us", " us"), ("_bytes", " bytes"), ("_s", " s"))
_LONGEST = 160
"""Characters of one fact's value."""
_SAYS = {
    "tuple-collision": ("connection met an old one", "connections met old ones", "that held the same four numbers"),
    "half-open": ("connection was", "connections were", "left half-open"),
    "port-exhaustion": ("source address has", "source addresses have", "few ports left towards a server"),
    "keepalive-only": ("connection stood", "connections stood", "for keepalives alone"),
    "connection-storm": ("connection was", "connections were", "begun in a storm"),
    "handshake-failed": ("TLS handshake", "TLS handshakes", "failed"),
    "reset-origin": ("connection was", "connections were", "cut off"),
    "idle-timeout": ("connection was", "connections were", "silent for longer than a firewall remembers"),
    "one-sided": ("connection was", "connections were", "heard from one end only"),
    "drops": ("gap is", "gaps are", "in the capture itself"),
}


def says(word: str, finding: Mapping[str, Any]) -> str:
    """Return one sentence on what was found: how often, how it came out, who, and in which frame first.

    Parameters
    ----------
    word
        What the capture shows, as its rule names it.
    finding
        With ``hits``, ``outcome``, ``facts``, ``groups``, ``frames`` and ``file``.
    """
    one, many, what = _SAYS[word]
    hits = finding["hits"]
    sentence = f"{hits} {one if hits == 1 else many} {what}"
    if finding["outcome"]:
        sentence += f": {finding['outcome']}"
    if "server" in finding["facts"]:
        sentence += f"; at {finding['facts']['server']}"
    elif finding["groups"]:
        sentence += f"; {'worst: ' if len(finding['groups']) > 1 else ''}{finding['groups'][0]['who']}"
    if finding["file"]:
        frame = f"frame {finding['frames'][0]} of " if finding["frames"] else "in "
        sentence += f" ({frame}{finding['file']})"
    return f"{sentence}."


def fact_words(name: str, value: object) -> str:
    """Return a fact as ``idle: 5 s``."""
    for ending, unit in _UNITS:
        if name.endswith(ending):
            return f"{_plain(name.removesuffix(ending))}: {_value(value)}{unit}"
    return f"{_plain(name)}: {_value(value)}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _value(value: object) -> str:
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name} {_value(one)}" for name, one in value.items())
    elif isinstance(value, list):
        text = ", ".join(map(_value, value))
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"

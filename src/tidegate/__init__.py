"""tidegate keeps connection storms from taking down management planes.

``Gate(load_config(path))`` starts a gate in this process; the command ``tidegate`` does everything else. What is named
here is public; it is imported when it is first used, so that ``import tidegate`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.config.load import load_config
    from tidegate.config.model import Config
    from tidegate.errors import ConfigError, GateError, GateUnreachable, LabError, ServerUnreachable, TidegateError
    from tidegate.gate.service import Gate
    from tidegate.units import ByteSize, Duration

__all__ = [
    "ByteSize",
    "Config",
    "ConfigError",
    "Duration",
    "Gate",
    "GateError",
    "GateUnreachable",
    "LabError",
    "ServerUnreachable",
    "TidegateError",
    "load_config",
]

_HOMES = {
    "ByteSize": "units",
    "Config": "config.model",
    "Duration": "units",
    "Gate": "gate.service",
    "load_config": "config.load",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"tidegate.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

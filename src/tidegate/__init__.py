"""tidegate keeps connection storms from taking down management planes.

``Gate(load_config(path))`` starts a gate in this process; ``Limiter`` and ``AdmissionMiddleware`` are for those who
write the server themselves; the command ``tidegate`` does everything else. What is named here is public; it is imported
when it is first used, so that ``import tidegate`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.config.load import load_config
    from tidegate.config.model import Admission, Config
    from tidegate.errors import (
        ConfigError,
        GateError,
        GateUnreachable,
        LabError,
        ServerUnreachable,
        TidegateError,
        TurnedAway,
    )
    from tidegate.gate.asgi import AdmissionMiddleware, Call
    from tidegate.gate.limiter import Limiter
    from tidegate.gate.service import Gate
    from tidegate.units import ByteSize, Duration

__all__ = [
    "Admission",
    "AdmissionMiddleware",
    "ByteSize",
    "Call",
    "Config",
    "ConfigError",
    "Duration",
    "Gate",
    "GateError",
    "GateUnreachable",
    "LabError",
    "Limiter",
    "ServerUnreachable",
    "TidegateError",
    "TurnedAway",
    "load_config",
]

_HOMES = {
    "Admission": "config.model",
    "AdmissionMiddleware": "gate.asgi",
    "ByteSize": "units",
    "Call": "gate.asgi",
    "Config": "config.model",
    "Duration": "units",
    "Gate": "gate.service",
    "Limiter": "gate.limiter",
    "load_config": "config.load",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"tidegate.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

"""The scenes and the crowd, recorded once for all the tests that look at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.alone import alone


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Play all scenes here and now and return their captures."""
    folder = tmp_path_factory.mktemp("truth")
    alone("flows.truth", str(folder))
    return sorted(folder.glob("*.pcap"))


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let a crowd come and go here and now and return its capture."""
    capture = tmp_path_factory.mktemp("crowd") / "crowd.pcap"
    alone("flows.crowd", str(capture))
    return capture

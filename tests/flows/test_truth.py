"""Captures whose truth is known: what is played and recorded here and now, and the copies that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.alone import alone
from flows.truth import ALL

_KEPT = Path(__file__).parents[1] / "data" / "captures" / "truth"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Play all scenes once and return the folder of their captures."""
    folder = tmp_path_factory.mktemp("truth")
    alone("flows.truth", str(folder))
    return folder


@pytest.mark.peer("ip", "nft", "ss", "sysctl", "tcpdump", "unshare")
def test_every_scene_is_played_and_kept(played: Path) -> None:
    for folder in (played, _KEPT):
        assert {file.stem for file in folder.glob("*.pcap")} == set(ALL)

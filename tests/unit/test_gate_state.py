"""What a gate has learned, kept from one start to the next: used as it is, or said and left out."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from texts import MINIMAL
from tidegate.config.load import parse_config
from tidegate.config.model import Config
from tidegate.errors import GateError
from tidegate.gate import state
from tidegate.gate.state import Keeper, read_state

LEARNED = {
    "format": 1,
    "servers": [{"name": "a", "limit": 22, "base_ns": 500_000_000}],
    "costs": [[2048, 330]],
    "patience": [],
    "absence_ns": None,
    "follow_ups_milli": 1000,
}


def config(folder: Path, text: str = MINIMAL) -> Config:
    return parse_config(f'[gate]\nstate = "state/kept.json"\n{text}', folder / "gate.toml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file as a gate leaves it."""
    Keeper(config(tmp_path), lambda: {"web": LEARNED}, pytest.fail).save()
    return tmp_path / "state" / "kept.json"


def read(file: Path, text: str = MINIMAL) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return read_state(file, config(file.parent.parent, text), lambda _: None, said.append), said


def test_what_was_kept_is_there_again(file: Path) -> None:
    assert read(file) == ({"web": LEARNED}, [])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["kept.json"]


def test_no_file_is_nothing_to_talk_about(tmp_path: Path) -> None:
    assert read(tmp_path / "state" / "kept.json") == ({}, [])


def cut(text: str) -> str:
    return text[: len(text) // 2]


def other_format(text: str) -> str:
    return json.dumps({**json.loads(text), "format": 2})


def another_limit(text: str) -> str:
    return text.replace('"limit": 22', '"limit": 2200')


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (cut, "is cut short, or is not JSON"),
        (lambda _: "", "is cut short, or is not JSON"),
        (lambda _: "[" * 100_000, "is cut short, or is not JSON"),
        (lambda _: "[]", "has format None, and this version reads 1"),
        (other_format, "has format 2, and this version reads 1"),
        (another_limit, "was changed since it was written: its checksum is another"),
        (lambda _: '{"format": 1}', "was changed since it was written"),
    ],
)
def test_a_file_that_is_not_what_was_written(file: Path, spoil: Callable[[str], str], sentence: str) -> None:
    file.write_text(spoil(file.read_text()))
    learned, said = read(file)
    assert learned == {}
    assert len(said) == 1
    assert said[0].startswith(f"what was learned is not used: {file} ")
    assert sentence in said[0]


def test_bytes_that_are_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    assert "is not JSON" in read(file)[1][0]


def test_a_file_that_is_too_long(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_SIZE_MAX", 10)
    assert "is longer than 16 MiB" in read(file)[1][0]


def test_a_file_that_may_not_be_read(file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert "cannot be read: Is a directory" in read(file)[1][0]


def test_another_server_of_the_same_name(file: Path) -> None:
    learned, said = read(file, MINIMAL.replace("127.0.0.1:8000", "127.0.0.1:8001"))
    assert learned == {}
    assert said == [
        "service web: what was learned of a (127.0.0.1:8000) is not used: it is 127.0.0.1:8001 now",
    ]


def test_one_server_of_two_that_is_gone(tmp_path: Path) -> None:
    second = '[service.web.server.b]\naddress = "127.0.0.1:8002"\n'
    both = {**LEARNED, "servers": [{"name": "b", "limit": 9, "base_ns": 7}, *LEARNED["servers"]]}  # type: ignore[misc]
    Keeper(config(tmp_path, MINIMAL + second), lambda: {"web": both}, pytest.fail).save()
    learned, said = read(tmp_path / "state" / "kept.json")
    assert learned == {"web": LEARNED}
    assert said == [
        "service web: what was learned of b (127.0.0.1:8002) is not used: it is no server of this service any more"
    ]


def test_what_rust_refuses_is_left_out_with_its_words(file: Path) -> None:
    said: list[str] = []

    def refuse(_: dict[str, Any]) -> None:
        raise GateError("what was learned cannot be used: it says that a serves 0 calls at once")

    assert read_state(file, config(file.parent.parent), refuse, said.append) == {}
    assert "it says that a serves 0 calls at once" in said[0]


@pytest.mark.parametrize("learned", [{}, {"servers": 3}, {"servers": [{}]}, []])
def test_a_shape_that_nobody_wrote(tmp_path: Path, learned: Any) -> None:
    Keeper(config(tmp_path), lambda: {"web": learned}, pytest.fail).save()
    found, said = read(tmp_path / "state" / "kept.json")
    assert found == {}
    assert "has no such shape" in said[0]


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    said: list[str] = []
    keeper = Keeper(config(tmp_path), lambda: {"web": LEARNED}, said.append)
    keeper.save()
    keeper.save()
    assert len(said) == 1
    assert "cannot be written: " in said[0]


def test_no_state_no_file(tmp_path: Path) -> None:
    plain = parse_config(MINIMAL, tmp_path / "gate.toml")
    keeper = Keeper(plain, lambda: pytest.fail("nobody needs it"), pytest.fail)
    keeper.save()
    keeper.follow(config(tmp_path))
    assert list(tmp_path.iterdir()) == []

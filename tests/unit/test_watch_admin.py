"""The talk with a running watch, over a real socket: what is asked, what is refused, who is nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.errors import ConfigError, Exit, Problem, UsageError, WatchUnreachable, exit_code
from tidegate.watch.live.admin import Admin, WatchClient
from tidegate.watch.live.model import Json

LOG = logging.getLogger("tidegate.watch")


async def status(_: Json) -> Json:
    return {"kind": "status", "verdict": "quiet"}


async def act(asked: Json) -> Json:
    return {"kind": "act", "on": asked["on"]}


async def reload(_: Json) -> Json:
    raise ConfigError([Problem(Path("w.toml"), 3, "watch.state", "is no state", "write one")])


def talked(path: Path, talk: Callable[[], object]) -> object:
    """Answer at ``path`` while ``talk`` runs in a thread."""

    async def both() -> object:
        admin = Admin(path, {"status": status, "act": act, "reload": reload}, LOG)
        task = asyncio.ensure_future(admin.run())
        try:
            return await asyncio.to_thread(talk)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(both())


def test_what_is_asked_is_answered_to_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "watch.sock"

    def talk() -> tuple[Json, Json, int]:
        client = WatchClient(Path(f"unix:{path}"))
        return client.status(), client.act(on=False), stat.S_IMODE(path.stat().st_mode)

    assert talked(path, talk) == (
        {"format": 1, "kind": "status", "verdict": "quiet"},
        {"format": 1, "kind": "act", "on": False},
        0o600,
    )
    assert not path.exists(), "it goes with who answered there"


def test_a_file_that_is_wrong_keeps_its_line_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "watch.sock"
    with pytest.raises(ConfigError) as caught:
        talked(path, lambda: WatchClient(path).reload())
    assert caught.value.problems == (Problem(Path("w.toml"), 3, "watch.state", "is no state", "write one"),)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b'{"ask": "rm"}\n',
        b'{"ask": []}\n',
        b"\xff\n",
        b"[" * 60_000 + b"\n",
        b"x" * 70_000 + b"\n",
    ],
)
def test_what_is_no_question_is_refused_or_cut_off(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "watch.sock"

    def talk() -> bytes:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(20)
            raw.connect(str(path))
            raw.sendall(line)
            try:
                answer = raw.recv(1 << 16)
            except ConnectionResetError:
                answer = b""
        assert WatchClient(path).status()["verdict"] == "quiet", "others are answered still"
        return answer

    answer = talked(path, talk)
    assert isinstance(answer, bytes)
    assert b'"refused"' in answer or (not answer and len(line) > 1 << 16)


def test_an_end_within_a_talk_is_no_mistake(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "watch.sock"
    asked = asyncio.Event()

    async def never(_: Json) -> Json:
        asked.set()
        await asyncio.Event().wait()
        return {}

    async def ended() -> None:
        admin = Admin(path, {"status": never}, LOG)
        talk.connect(str(path))
        talk.sendall(b'{"ask": "status"}\n')
        asking = asyncio.ensure_future(admin.run())
        await asked.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    with socket.socket(socket.AF_UNIX) as talk:
        asyncio.run(ended())
    assert not caplog.records


def test_nobody_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WatchUnreachable, match="no watch answers at") as caught:
        WatchClient(tmp_path / "watch.sock").status()
    assert "--admin PATH" in caught.value.hint
    assert exit_code(caught.value) == Exit.UNREACHABLE


def test_a_socket_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def made() -> Awaitable[None]:
        return Admin(tmp_path / "file" / "watch.sock", {}, LOG).run()

    with pytest.raises(UsageError, match="cannot be made") as caught:
        asyncio.run(made())
    assert "watch.admin" in caught.value.hint


def test_a_file_at_the_path_of_the_socket_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "watch.toml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="there is something that is no socket") as caught:
        Admin(path, {}, LOG)
    assert "watch.admin" in caught.value.hint
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_socket_that_somebody_has_is_left_to_him(tmp_path: Path) -> None:
    path = tmp_path / "watch.sock"

    async def both() -> None:
        first = asyncio.ensure_future(Admin(path, {"status": status}, LOG).run())
        try:
            with pytest.raises(UsageError, match="another process answers at"):
                await asyncio.to_thread(Admin, path, {}, LOG)
            assert await asyncio.to_thread(WatchClient(path).status)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    asyncio.run(both())


def test_a_socket_that_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "watch.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert talked(path, lambda: WatchClient(path).status()) == {"format": 1, "kind": "status", "verdict": "quiet"}


def test_its_end_waits_for_no_answer(tmp_path: Path) -> None:
    """A reload may wait for a store that is away; since Python 3.12 a server waits for its talks."""
    path = tmp_path / "watch.sock"

    async def both() -> bool:
        asked, ended = asyncio.Event(), asyncio.Event()

        async def never(_: Json) -> Json:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return {}

        task = asyncio.ensure_future(Admin(path, {"reload": never}, LOG).run())
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"ask": "reload"}\n')
        await asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not await reader.read()
        writer.close()
        return ended.is_set()

    assert asyncio.run(both())

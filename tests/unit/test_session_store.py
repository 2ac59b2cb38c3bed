"""Where shared sessions are kept: what a file may be, what it may say, and who may hold the lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.clients.session_file import LIFE_S, SIZE_MAX, Kept, dump, parse, session_name, unfit
from tidegate.clients.session_store import SessionStore, cache_folder
from tidegate.errors import FleetError

NAME = session_name("vc.example.org", 443, "backup@vsphere.local")
NOW = 1_800_000_000.0
KEPT = Kept("52bb85b0-adbe-7f20", NOW + 3600)

ids = st.from_regex(r"[A-Za-z0-9._~+/=-]{1,200}", fullmatch=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tidegate"


@pytest.fixture
def store(folder: Path) -> SessionStore:
    return SessionStore(folder, NAME, now=lambda: NOW)


@given(cookie=ids, left=st.integers(1, int(LIFE_S)))
def test_what_is_kept_is_read_again(cookie: str, left: int) -> None:
    kept = Kept(cookie, NOW + left)
    data = dump(kept, NAME)
    assert len(data) <= SIZE_MAX
    assert parse(data, NAME, NOW) == kept
    assert parse(data, NAME, NOW + left) == "has expired"
    # A clock that was set back makes no session younger.
    assert parse(data, NAME, NOW - LIFE_S) == "has expired"
    assert parse(data, session_name("other.example.org", 443, "x"), NOW) == "belongs to another server or user"


@given(data=st.binary(max_size=SIZE_MAX + 10))
def test_any_bytes_are_a_sentence_or_a_session(data: bytes) -> None:
    assert isinstance(parse(data, NAME, NOW), str)


@given(at=st.integers(0, 400), bits=st.integers(1, 255))
def test_damage_gives_no_other_session(at: int, bits: int) -> None:
    data = bytearray(dump(KEPT, NAME))
    data[at % len(data)] ^= bits
    found = parse(bytes(data), NAME, NOW)
    # The cookie itself may be another one: then vCenter does not know it.
    assert isinstance(found, str) or (NOW < found.expires <= NOW + LIFE_S and found.cookie)


@given(cookie=st.text(max_size=40))
def test_only_a_plain_id_is_written(cookie: str) -> None:
    try:
        data = dump(Kept(cookie, NOW + 60), NAME)
    except ValueError:
        return
    assert parse(data, NAME, NOW) == Kept(cookie, NOW + 60)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("format = 1", "format = 2", "another format"),
        ("format = 1", "format = true", "another format"),
        ("format = 1", "", "another format"),
        ('cookie = "52', "cookie = 52 #", "no session's id"),
        ('cookie = "52', 'cookie = "\\n52', "no session's id"),
        ("expires = ", "expires = true #", "expired"),
        ("expires = ", "expires = nan #", "expired"),
        ("expires = ", "expires = inf #", "expired"),
        ("expires = ", "expires = 9", "expired"),
        ("format = 1", "format = 1\n[", "damaged"),
        ("format = 1", "format = 1 #" + "x" * SIZE_MAX, "another format"),
    ],
)
def test_what_cannot_be_used_is_said(old: str, new: str, says: str) -> None:
    text = dump(KEPT, NAME).decode()
    assert old in text
    found = parse(text.replace(old, new).encode(), NAME, NOW)
    assert isinstance(found, str)
    assert says in found


def test_names_tell_servers_users_and_tenants_apart() -> None:
    names = {
        session_name(address, port, user, tenant)
        for address in ("a", "b", "a,443")
        for port in (443, 4430)
        for user in ("u", "v", "443,u")
        for tenant in ("", "t")
    }
    assert len(names) == 3 * 2 * 3 * 2
    assert session_name("VC.example.org.", 443, "u") == session_name("vc.example.org", 443, "u")
    assert session_name("vc.example.org", 443, "U") != session_name("vc.example.org", 443, "u")


@given(mode=st.integers(0, 0o7777), uid=st.sampled_from([0, 1000]), links=st.integers(1, 3))
def test_only_a_file_of_ours_alone_is_fit(mode: int, uid: int, links: int) -> None:
    found = os.stat_result((0o100000 | mode, 1, 1, links, uid, 0, 10, 0, 0, 0))
    fit = uid == 1000 and links == 1 and not mode & 0o077
    assert (unfit(found, 1000) is None) == fit
    for kind in (0o040000, 0o120000, 0o010000, 0o140000):
        assert unfit(os.stat_result((kind | 0o600, 1, 1, 1, 1000, 0, 10, 0, 0, 0)), 1000) is not None


def test_files_are_secret_whatever_the_umask_is(store: SessionStore, folder: Path) -> None:
    before = os.umask(0)
    try:
        with store.locked(1):
            store.write(KEPT)
    finally:
        os.umask(before)
    assert store.read() == KEPT
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert KEPT.cookie not in repr(KEPT)


def test_what_a_dead_writer_left_is_no_obstacle(store: SessionStore, folder: Path) -> None:
    (folder / f"{store.path.name}.new").write_text("half")
    store.write(KEPT)
    assert store.read() == KEPT
    assert [path.name for path in folder.iterdir()] == [store.path.name]


def by_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def by_hard_link(path: Path) -> None:
    os.link(path, path.with_name("elsewhere"))


def by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def by_group(path: Path) -> None:
    path.chmod(0o640)


def by_owner(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(path, 12345, -1)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (by_link, "symbolic link"),
        (by_hard_link, "another name"),
        (by_pipe, "no regular file"),
        (by_group, "read or written by others"),
        (by_owner, "somebody else"),
    ],
)
def test_what_is_not_ours_alone_is_refused(store: SessionStore, spoil: Callable[[Path], None], says: str) -> None:
    store.write(KEPT)
    spoil(store.path)
    with pytest.raises(FleetError, match=says) as caught:
        store.read()
    assert caught.value.hint
    assert KEPT.cookie not in caught.value.message
    store.path.unlink()
    assert store.read() is None


def test_a_lock_that_is_a_link_is_refused(store: SessionStore, folder: Path) -> None:
    (folder / f"{store.path.name}.lock").symlink_to("elsewhere")
    with pytest.raises(FleetError, match="symbolic link"), store.locked(1):
        pass
    assert not (folder / "elsewhere").exists()


def test_a_folder_that_others_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(FleetError, match="others can write") as caught:
        SessionStore(tmp_path, NAME)
    assert "0700" in caught.value.hint
    with pytest.raises(FleetError, match="cannot be kept"):
        SessionStore(Path("/proc/nowhere"), NAME)


def test_a_full_or_lost_folder_is_a_sentence(store: SessionStore, folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(FleetError, match="cannot be kept"):
        store.write(KEPT)
    with pytest.raises(FleetError, match="cannot be kept"):
        store.write(Kept('a"b', NOW + 60))
    with pytest.raises(FleetError, match="is gone"), store.locked(1):
        pass


def test_where_sessions_are_kept() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/tidegate")
    assert cache_folder({"XDG_CACHE_HOME": "c", "HOME": "/h"}) == Path("/h/.cache/tidegate")
    with pytest.raises(FleetError, match="neither"):
        cache_folder({})


HOLD = """
import sys, pathlib
from tidegate.clients.session_store import SessionStore
with SessionStore(pathlib.Path(sys.argv[1]), sys.argv[2]).locked(1):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_holder_that_hangs_is_a_sentence_and_a_dead_one_is_none(store: SessionStore, folder: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(folder), NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FleetError, match=f"process {holder.pid} has been logging in") as caught, store.locked(0):
            pass
        assert caught.value.slug == "taken"
        holder.kill()
        holder.wait()
        with store.locked(0):
            pass


def test_a_stolen_lock_is_noticed(folder: Path) -> None:
    """While one waits, the lock's file is removed: who waits must not hold what nobody else sees."""
    lock = folder / f"vcenter-{NAME}.toml.lock"

    def steal(_: float) -> None:
        lock.unlink(missing_ok=True)

    first, second = SessionStore(folder, NAME), SessionStore(folder, NAME, sleep=steal)
    with first.locked(1):
        before = lock.stat().st_ino
        with second.locked(10):
            assert lock.stat().st_ino != before
            third = SessionStore(folder, NAME)
            with pytest.raises(FleetError, match="has been logging in"), third.locked(0):
                pass


def test_threads_hold_it_one_at_a_time(folder: Path) -> None:
    inside, most, errors = [0], [0], []

    def hold() -> None:
        try:
            with SessionStore(folder, NAME).locked(50):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1
        except FleetError as error:
            errors.append(error)

    threads = [threading.Thread(target=hold) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], errors) == (1, [])

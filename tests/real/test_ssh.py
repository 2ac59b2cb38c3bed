"""The SSH transport at OpenSSH's sshd: one connection per host, host keys, jump hosts, hanging and chatty commands."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from sshd import SshSite, site
from tidegate.clients.ssh import Ssh, SshOptions, split_address
from tidegate.clients.ssh_process import Ran
from tidegate.errors import FleetError, HostUnreachable

pytestmark = pytest.mark.peer("sshd")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[SshSite]:
    with site(tmp_path, 2) as made:
        yield made


def run(options: SshOptions, address: str, *commands: str, timeout_s: float | None = None) -> list[Ran]:
    async def all_of_them() -> list[Ran]:
        ssh = Ssh(options)
        try:
            return [await ssh.run(address, command, timeout_s) for command in commands]
        finally:
            await ssh.close()

    return asyncio.run(all_of_them())


async def appears(path: Path) -> None:
    """Wait until another process has made a file."""
    while not path.exists():  # noqa: ASYNC110, ASYNC240 (no event tells of it)
        await asyncio.sleep(0)


def test_what_a_command_says_and_how_it_ends(two: SshSite) -> None:
    (ran,) = run(two.options(), two.hosts[0].address, "echo out; echo err >&2; exit 3")
    assert (ran.status, ran.out, ran.err, ran.cut) == (3, "out\n", "err\n", False)
    assert ran.says == "err"


def test_one_connection_per_host_is_used_again(two: SshSite) -> None:
    first, second = run(two.options(), two.hosts[0].address, "echo $SSH_CONNECTION", "echo $SSH_CONNECTION")
    assert first.out == second.out


def test_after_a_close_it_is_used_by_another_loop(two: SshSite) -> None:
    ssh = Ssh(two.options(at_once=1))

    async def crowd() -> list[str]:
        ran = await asyncio.gather(*(ssh.run(host.address, "echo fine") for host in two.hosts for _ in range(2)))
        await ssh.close()
        return [one.out for one in ran]

    assert asyncio.run(crowd()) == asyncio.run(crowd()) == ["fine\n"] * 4


def test_no_more_at_once_than_was_asked_for(two: SshSite) -> None:
    async def crowd() -> None:
        ssh = Ssh(two.options(at_once=2))
        host = two.hosts[0]
        # Each counts who is inside with it; a lock of the file system keeps the count honest.
        command = (
            f"cd {host.folder}; mkdir in.$$; ls -d in.* | wc -l; "
            "i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; rmdir in.$$"
        )
        ran = await asyncio.gather(*(ssh.run(host.address, command) for _ in range(8)))
        await ssh.close()
        assert {one.status for one in ran} == {0}
        assert max(int(one.out) for one in ran) <= 2

    asyncio.run(crowd())


def test_connections_that_are_kept_are_bounded(two: SshSite) -> None:
    async def both() -> list[str]:
        ssh = Ssh(two.options(kept=1))
        said = [(await ssh.run(two.hosts[i].address, "echo $SSH_CONNECTION")).out for i in (0, 1, 0)]
        await ssh.close()
        return said

    first, _, again = asyncio.run(both())
    assert first != again


def test_a_wrong_host_key_is_refused_with_a_sentence(two: SshSite) -> None:
    options = two.options()
    two.hosts[0].new_key()
    with pytest.raises(HostUnreachable, match="another host key") as caught:
        run(options, two.hosts[0].address, "true")
    assert caught.value.slug == "wrong-host-key"
    assert "fingerprint" in caught.value.hint
    assert run(options, two.hosts[1].address, "echo fine")[0].out == "fine\n"


def test_an_unknown_host_key_is_refused(two: SshSite, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    with pytest.raises(HostUnreachable, match="nobody vouches") as caught:
        run(two.options(known_hosts=tmp_path / "empty"), two.hosts[0].address, "true")
    assert "ssh-keyscan" in caught.value.hint


def test_trusting_anybody_is_loud(two: SshSite, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "empty").write_text("")
    options = two.options(known_hosts=tmp_path / "empty", check_host_key=False)
    assert run(options, two.hosts[0].address, "echo fine")[0].out == "fine\n"
    assert "NOT checked" in Ssh(options).warnings[0]
    assert "NOT checked" in caplog.text


def test_a_key_that_is_not_let_in(two: SshSite) -> None:
    two.hosts[0].write("authorized_keys", "")
    with pytest.raises(HostUnreachable, match="refuses the login") as caught:
        run(two.options(), two.hosts[0].address, "true")
    assert "lockdown" in caught.value.hint


def test_files_that_are_not_there(two: SshSite, tmp_path: Path) -> None:
    for name in ("identity", "known_hosts"):
        with pytest.raises(FleetError, match="no such file"):
            run(two.options(**{name: tmp_path / "nothing"}), two.hosts[0].address, "true")


def test_a_command_that_hangs_ends_with_its_timeout(two: SshSite) -> None:
    async def hang() -> str:
        ssh = Ssh(two.options())
        host = two.hosts[0]
        host.write("mode", "hang-start")
        with pytest.raises(FleetError, match="did not end within") as caught:
            await ssh.run(host.address, "/etc/init.d/vvold start", timeout_s=1.0)
        assert caught.value.slug == "command-timeout"
        said = (await ssh.run(host.address, "echo still there")).out
        await ssh.close()
        return said

    assert asyncio.run(hang()) == "still there\n"


def test_a_command_that_says_too_much_is_ended(two: SshSite) -> None:
    ran, after = run(two.options(output_max=10_000), two.hosts[0].address, "yes", "echo fine")
    assert (ran.cut, ran.status, len(ran.out)) == (True, -1, 10_000)
    assert after.out == "fine\n"


def test_a_daemon_that_holds_the_output_open_keeps_nobody(two: SshSite) -> None:
    """An init script's daemon inherits the script's output; the script has ended, and so has the command."""
    host = two.hosts[0]
    (ran,) = run(two.options(), host.address, f"sleep 100000 & echo $! > {host.folder}/hung; echo begun; exit 5")
    assert ran.status == 5
    assert "begun" in ran.out


def test_a_command_that_is_killed(two: SshSite) -> None:
    (ran,) = run(two.options(), two.hosts[0].address, "kill -9 $$")
    assert ran.status != 0


def test_a_connection_that_breaks_under_a_command(two: SshSite) -> None:
    async def cut() -> str:
        ssh = Ssh(two.options())
        host = two.hosts[0]
        running = asyncio.ensure_future(ssh.run(host.address, f"touch {host.folder}/begun; sleep 100"))
        await appears(host.folder / "begun")
        host.cut()
        with pytest.raises(HostUnreachable, match="broke while") as caught:
            await running
        assert "new look" in caught.value.hint
        said = (await ssh.run(host.address, "echo again")).out
        await ssh.close()
        return said

    assert asyncio.run(cut()) == "again\n"


def test_a_host_that_is_off(two: SshSite) -> None:
    address, options = two.hosts[0].address, two.options()
    two.hosts[0].__exit__(None, None, None)
    try:
        with pytest.raises(HostUnreachable, match="cannot be reached") as caught:
            run(options, address, "true")
        assert "open_ssh" in caught.value.hint
    finally:
        two.hosts[0].__enter__()


def test_a_host_that_accepts_and_says_nothing(two: SshSite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(HostUnreachable, match="does not answer by SSH within"):
            run(two.options(connect_s=0.3), address, "true")


def test_through_a_jump_host(two: SshSite) -> None:
    jump, host = two.hosts
    user = two.options().user
    direct = run(two.options(), host.address, "echo $SSH_CONNECTION")[0].out
    ran, again = run(two.options(jump=f"{user}@{jump.address}"), host.address, "echo $SSH_CONNECTION", "echo again")
    assert ran.status == 0
    assert ran.out != direct
    assert again.out == "again\n"


def test_a_jump_host_with_a_wrong_key(two: SshSite) -> None:
    options = two.options(jump=two.hosts[0].address)
    two.hosts[0].new_key()
    with pytest.raises(HostUnreachable, match=r"jump host .* another host key"):
        run(options, two.hosts[1].address, "true")


def test_the_agent_has_the_key(two: SshSite, tmp_path: Path) -> None:
    async def by_agent() -> str:
        agent = await asyncio.create_subprocess_exec(
            "ssh-agent", "-D", "-a", str(tmp_path / "agent"), stdout=asyncio.subprocess.DEVNULL
        )
        try:
            await appears(tmp_path / "agent")
            async with asyncssh.connect_agent(str(tmp_path / "agent")) as talk:
                await talk.add_keys([str(two.identity)])
            ssh = Ssh(two.options(identity=None), environ={"SSH_AUTH_SOCK": str(tmp_path / "agent")})
            said = (await ssh.run(two.hosts[0].address, "echo by agent")).out
            await ssh.close()
            return said
        finally:
            agent.kill()
            await agent.wait()

    assert asyncio.run(by_agent()) == "by agent\n"


def test_a_password_comes_from_the_environment(tmp_path: Path) -> None:
    """Sshd checks passwords of the system's own accounts only, so the server is asyncssh's here."""

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:  # noqa: ARG002
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("root", "open sesame")

    async def by_password(environ: dict[str, str]) -> str:
        key = asyncssh.generate_private_key("ssh-ed25519")
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[key],
            process_factory=lambda process: process.exit(7),
        )
        port = server.get_port()
        known = tmp_path / "known"
        known.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")
        ssh = Ssh(SshOptions(known_hosts=known, password_env="WORD"), environ=environ)
        try:
            return str((await ssh.run(f"127.0.0.1:{port}", "true")).status)
        finally:
            await ssh.close()
            server.close()
            await server.wait_closed()

    assert asyncio.run(by_password({"WORD": "open sesame"})) == "7"
    with pytest.raises(HostUnreachable, match="refuses the login"):
        asyncio.run(by_password({"WORD": "wrong"}))
    with pytest.raises(FleetError, match=r"\$WORD is not set"):
        asyncio.run(by_password({}))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("esx-1", ("esx-1", 22)),
        ("esx-1.example:2222", ("esx-1.example", 2222)),
        ("fe80::1", ("fe80::1", 22)),
        ("[fe80::1]:24", ("fe80::1", 24)),
        ("[fe80::1]", ("fe80::1", 22)),
    ],
)
def test_addresses(text: str, place: tuple[str, int]) -> None:
    assert split_address(text, 22) == place


@pytest.mark.parametrize("text", ["", "a:b:", "[fe80::1", "host:", "host:99999", "host:0x1", "host: 22"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(FleetError):
        split_address(text, 22)

"""What every command shares: help, version, usage errors, exit codes, cheap start."""

import subprocess
import sys

import pytest

from commands import Run


def test_help_lists_the_commands(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    assert "demo" in ran.out
    assert "gate" in ran.out
    assert ran.err == ""


def test_the_gate_has_its_commands(run: Run) -> None:
    ran = run("gate", "--help")
    for name in ("init", "check", "run", "status", "explain", "maintenance", "bypass", "drain", "reload"):
        assert f"│ {name} " in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gat",), 'Unknown command "gat". Did you mean "gate"?'),
        (("gate", "chek"), 'Did you mean "check"?'),
        (("gate", "status", "--outptu", "json"), "Unknown option"),
        (("gate", "status", "--output", "yaml"), 'Invalid value "yaml" for --output'),
        (("gate", "maintenance"), "requires an argument"),
        (("gate", "maintenance", "perhaps"), 'Choose from: "on", "off"'),
        (("demo", "--law", "murphy"), 'Invalid value "murphy" for --law'),
        (("demo", "--hosts", "0"), "--hosts 0 is out of range"),
        (("demo", "--speed", "1000"), "--speed 1000 is out of range"),
        (("gate", "check"), "no file to check"),
    ],
)
def test_usage_errors_are_one_sentence_with_a_hint_and_exit_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert words in ran.err
    assert "  hint: " in ran.err


def test_version(run: Run) -> None:
    ran = run("--version")
    assert ran.code == 0
    assert ran.out.startswith("tidegate ")


def test_starting_one_command_does_not_import_the_others() -> None:
    code = (
        "import sys; from tidegate.cli.app import main; main(['gate', '--help']);"
        "assert 'tidegate.lab.world' not in sys.modules and 'tidegate._core' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m tidegate gate check x.toml --output json | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")

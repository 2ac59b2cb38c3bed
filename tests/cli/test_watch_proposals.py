"""Proposals of fleet runs: files that say what was seen, and command lines that `tidegate fleet` takes."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import replace
from pathlib import Path

from commands import Run
from tidegate.errors import Exit
from tidegate.watch.live.acts import Act, Matter
from tidegate.watch.live.proposals import commands_of, page_of, proposal_of, write_proposal

ROOT = Path(__file__).resolve().parents[2]
PLAN = ROOT / "examples" / "vvold.toml"
AT = 1_754_655_434_610_000_000
ACT = Act("restart", "vasa.provider.setcontext-storm", "propose", ("probe.vasa",), plan=str(PLAN))
MATTER = Matter(
    id="0123456789ab",
    act=ACT,
    state="proposed",
    episode="e" * 32,
    scope=(("provider", "vp1.example.com"),),
    hosts=("esx01.example.com", "esx02.example.com"),
    count=6,
    asked=AT,
    changed=AT,
    loud=AT,
    begun=AT,
    witness="probe.vasa",
    seen=AT,
    says="probe.vasa shows it too; its page says what to type",
)


def test_both_files_say_the_same(tmp_path: Path) -> None:
    page = write_proposal(MATTER, tmp_path / "proposals")
    written = json.loads(page.with_suffix(".json").read_text())
    assert page.read_text() == page_of(written)
    assert written["plan_sha256"] == hashlib.sha256(PLAN.read_bytes()).hexdigest()
    assert written["corroborated_at"] == "2025-08-08T12:17:14.610Z"
    assert {path.stat().st_mode & 0o777 for path in page.parent.iterdir()} == {0o600}
    assert sorted(path.suffix for path in page.parent.iterdir()) == [".json", ".md"]
    for command in written["commands"]:
        assert f"\n{command}\n" in page.read_text()


def test_a_proposal_is_written_anew_with_its_state(tmp_path: Path) -> None:
    write_proposal(MATTER, tmp_path)
    page = write_proposal(replace(MATTER, state="not_helped", says="the rule is not silent"), tmp_path)
    assert page.read_text().startswith("# Proposal 0123456789ab: not helped\n\nthe rule is not silent.")


def test_fleet_takes_the_command_lines(run: Run) -> None:
    """The second one, which does nothing; what it prints is what the third one would do."""
    _, rehearse, _, _ = commands_of(MATTER)
    assert rehearse[0] == "tidegate"
    ran = run(*rehearse[1:])
    assert ran.code == Exit.FINE
    assert "12 hosts" in ran.out
    assert "Nothing was done." in ran.out


def test_the_last_command_line_goes_to_the_watch_that_proposed(tmp_path: Path) -> None:
    page = write_proposal(MATTER, tmp_path, "/run/tidegate/watch/admin.sock")
    command = "tidegate watch act ran 0123456789ab --admin /run/tidegate/watch/admin.sock"
    assert f"\n{command}\n" in page.read_text()


def test_nothing_of_a_log_line_can_be_typed() -> None:
    forged = replace(
        MATTER,
        scope=(("provider", "vp1`\n```sh\nrm -rf /\n\x1b[2J"),),
        hosts=("x\n\n# Run this\n", *(f"esx{number}" for number in range(199))),
    )
    proposal = proposal_of(forged, b"")
    page = page_of(proposal)
    assert commands_of(forged) == commands_of(MATTER)
    assert "\x1b" not in page
    assert [line for line in page.splitlines() if line.startswith(("#", "rm", "```sh"))] == [
        "# Proposal 0123456789ab: proposed",
        "```sh",
        "```sh",
        "```sh",
    ]
    assert "and 180 more" in page


def test_a_plan_with_a_space_is_one_word(tmp_path: Path) -> None:
    moved = replace(MATTER, act=replace(ACT, plan=str(tmp_path / "my plan.toml")))
    proposal = proposal_of(moved, None)
    assert shlex.split(proposal["commands"][2]) == ["tidegate", "fleet", "apply", str(tmp_path / "my plan.toml")]
    assert proposal["plan_sha256"] is None
    assert "which cannot be read now" in page_of(proposal)

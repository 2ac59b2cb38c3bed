"""Versions as vendors write them, and verdicts that say unknown where nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.versions import Fix, Range, Verdict, Version, VersionFacts, judge

NSX = VersionFacts(
    product="nsx",
    affected=(Range("4.1.2.1", "observed"),),
    fixes=(Fix(Version.parse("4.1.2.3"), Version.parse("4.1")), Fix(Version.parse("4.2.0"))),
    fix="listed",
)


def verdict(*versions: str, facts: VersionFacts = NSX) -> Verdict:
    return judge(facts, [Version.parse(text) for text in versions])


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("7.0U3", "7.0.3"),
        ("7.0 Update 3l (build 21424296)", "7.0u3l"),
        ("8.0b", "8.0.0b"),
        ("VMware ESXi 7.0.1", "7.0.1"),
        ("9.0.1.0", "9.0.1"),
        ("TCP 4.0.1", "4.0.1"),
        ("8.0b (21203435)", "8.0b"),
    ],
)
def test_forms_that_mean_the_same(text: str, same: str) -> None:
    assert Version.parse(text) == Version.parse(same)


def test_order() -> None:
    texts = ["7.0", "7.0b", "7.0U1", "7.0.3", "7.0U3l", "7.0U3m", "8.0", "8.0b", "8.0u3h", "9.0.1.0", "10.0"]
    versions = [Version.parse(text) for text in texts]
    assert sorted(versions[3:] + versions[:3]) == versions


def test_build_is_kept() -> None:
    assert Version.parse("7.0 Update 3l (build 21424296)").build == "21424296"


@pytest.mark.parametrize("text", ["", "latest", "7..0", "1.2.3.4.5.6", "x" * 100, "7.0U", "-1"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        Version.parse(text)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("4.1.2.1", "affected"),
        ("4.1.2.2", "unknown"),  # the article lists it nowhere
        ("4.1.2.3", "fixed"),
        ("4.1.3", "fixed"),
        ("4.2.0", "fixed"),
        ("4.2.1.1", "fixed"),
        ("9.0", "fixed"),
        ("4.0.1", "unknown"),
        ("3.2.4", "unknown"),
    ],
)
def test_the_article_on_nsx(version: str, expected: str) -> None:
    assert verdict(version).verdict == expected


def test_the_worst_of_several_builds_counts() -> None:
    assert verdict("4.2.0", "4.1.2.1").verdict == "affected"
    assert verdict("4.2.0", "4.1.2.2").verdict == "unknown"


def test_no_build_found_is_unknown_and_names_the_fix() -> None:
    found = verdict()
    assert found.verdict == "unknown"
    assert "4.1.2.3" in found.why


def test_no_fix_is_not_unknown() -> None:
    facts = VersionFacts(product="esxi", affected=(Range(">=7.0 <9.0"),), fix="none")
    assert verdict("7.0.3", facts=facts).verdict == "no-fix"
    assert verdict(facts=facts).verdict == "no-fix"


def test_a_branch_holds_its_versions() -> None:
    assert Range("8.x").holds(Version.parse("8.0u3h"))
    assert not Range("8.x").holds(Version.parse("9.0"))


def test_a_range_has_two_ends() -> None:
    span = Range(">=8.0 <9.0")
    inside = {text: span.holds(Version.parse(text)) for text in ("7.0U3", "8.0", "8.0u3h", "9.0")}
    assert inside == {"7.0U3": False, "8.0": True, "8.0u3h": True, "9.0": False}
    with pytest.raises(ValueError, match="empty range"):
        Range(" ").parts()


@given(st.text(max_size=90))
def test_any_text_is_a_version_or_a_sentence(text: str) -> None:
    try:
        version = Version.parse(text)
    except ValueError:
        return
    assert version == Version.parse(version.text)

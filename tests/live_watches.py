"""Notices and changes for tests of a running watch."""

from __future__ import annotations

from dataclasses import replace

from tidegate.watch.live.model import Change, Episode, Gap, Notice

__all__ = ["NOON", "SECOND", "a_change", "a_notice", "an_episode"]

SECOND = 1_000_000_000
NOON = 1_754_650_800 * SECOND
"""2025-08-08T11:00:00Z."""


def an_episode(number: int = 1, scope: str = "vc1", at: int = NOON, **other: object) -> Episode:
    """Return an episode of KB 440879's rule."""
    episode = Episode(
        key=f"{number:032x}",
        rule="vcenter.hgw.nfc-not-authenticated",
        window="storm",
        scope=(("host", scope),),
        severity="warning",
        first=at - 60 * SECOND,
        at=at,
        until=at,
        count=11,
        hosts=("vc1", "vc2"),
        hosts_total=2,
        evidence=("fault: NotAuthenticated vmware_soap_session=topsecret", "second"),
    )
    return replace(episode, **other)  # type: ignore[arg-type]


def a_notice(what: str = "opened", number: int = 1, scope: str = "vc1", at: int = NOON, **other: object) -> Notice:
    """Return a notice of such an episode."""
    over = {"cleared": at + 400 * SECOND} if what == "cleared" else {}
    episode = an_episode(number, scope, at, **{**over, **other})
    return Notice(f"{episode.key}/{what}", what.split("/", maxsplit=1)[0], episode, made=at)  # type: ignore[arg-type]


def a_change(*notices: Notice, offset: int = 0) -> Change:
    """Return what a step changes that has read to ``offset``."""
    return Change(
        positions={("files.esx", "1:2"): {"offset": offset}},
        rows={("window", "a\0b\udc80"): {"times": [offset]}, ("episode", "k"): {"open": True}},
        notices=list(notices),
        gaps=[Gap("files.esx", "truncated", "hostd.log", NOON, NOON + 1, 3)] if offset else [],
    )

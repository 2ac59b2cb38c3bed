"""The pages about a watch are true: their files load, their alerts are Prometheus's, their tables have every key."""

from __future__ import annotations

import hmac
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tidegate.errors import ConfigError
from tidegate.watch.live import model, probe_config
from tidegate.watch.live.act_config import ActingTable, ActTable, unknown_to_acts
from tidegate.watch.live.alertmanager import Alertmanager
from tidegate.watch.live.config import AlertmanagerTable, FilesTable, SyslogTable, WatchTable, WebhookTable
from tidegate.watch.live.load import parse_watch
from tidegate.watch.live.webhook import body_of, signature
from tidegate.watch.load import load_rules

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "leave-it-running.md").read_text()
PAGE = (ROOT / "docs" / "reference" / "watch.md").read_text()
EXAMPLES = ROOT / "examples" / "rules"


def blocks(kind: str) -> Iterator[str]:
    """Return the guide's blocks of a language, as they are copied."""
    for indent, text in re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", GUIDE, re.MULTILINE | re.DOTALL):
        yield re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def test_the_files_of_the_guide_load(tmp_path: Path) -> None:
    first, relayed, acting = blocks("toml")
    parse_watch(first, tmp_path / "watch.toml")
    parse_watch(f"{first}\n{relayed}", tmp_path / "watch.toml")
    whole = acting.replace("[watch]\n", "").replace('rules = ["rules"]', "#")
    config = parse_watch(f"{first}\n{whole}", tmp_path / "watch.toml")
    assert set(config.act) == {"slow-start", "phased-restart"}
    assert list(unknown_to_acts(config.act, load_rules([EXAMPLES]))) == []


def test_an_act_without_its_probe_does_not_load(tmp_path: Path) -> None:
    first, _, acting = blocks("toml")
    without = re.sub(r"\[probe\.vasa-gate\]\n(?:.+\n)+", "", acting).replace("[watch]\n", "").replace("rules =", "#")
    with pytest.raises(ConfigError) as caught:
        parse_watch(f"{first}\n{without}", tmp_path / "watch.toml")
    assert all("is no probe of this file" in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize(
    "table",
    [WatchTable, FilesTable, SyslogTable, AlertmanagerTable, WebhookTable, ActingTable, ActTable],
    ids=lambda table: table.__name__,
)
def test_every_key_stands_in_the_reference(table: type[BaseModel]) -> None:
    for name in table.model_fields:
        assert f"`{name}`" in PAGE


def test_every_kind_of_probe_stands_in_the_reference() -> None:
    for table in get_args(get_args(probe_config.ProbeTable)[0]):
        (kind,) = get_args(table.model_fields["kind"].annotation)
        assert f"| `{kind}` |" in PAGE
        for name in table.model_fields:
            assert f"`{name}`" in PAGE or f"`{name} = " in PAGE


def test_every_kind_of_gap_stands_in_the_reference() -> None:
    kinds = re.findall(r"``(\w+)``", str(model.Gap.__doc__).partition("``kind`` is one of")[2].partition(";")[0])
    assert len(kinds) >= 7
    for kind in kinds:
        assert f"| `{kind}` |" in PAGE


@pytest.mark.peer("promtool")
def test_the_alerts_of_the_guide_are_prometheus(tmp_path: Path) -> None:
    (text,) = (text for text in blocks("yaml") if text.startswith("groups:"))
    file = tmp_path / "alerts.yaml"
    file.write_text(text)
    subprocess.run(["promtool", "check", "rules", file], check=True, capture_output=True)


@pytest.mark.peer("amtool")
def test_the_route_of_the_guide_is_an_alertmanagers(tmp_path: Path) -> None:
    (text,) = (text for text in blocks("yaml") if text.startswith("route:"))
    file = tmp_path / "alertmanager.yml"
    file.write_text(text + "receivers: [{name: team}, {name: night}]\n")
    subprocess.run(["amtool", "check-config", file], check=True, capture_output=True)


def test_what_receivers_are_told_stands_in_the_reference() -> None:
    episode = model.Episode("e", "vasa.provider.setcontext-storm", "storm", (), "critical", 0, 1, 2, 5, ("h",), ("r",))
    notice = model.Notice("e/opened", "opened", episode, 3)
    (alert,) = json.loads(Alertmanager("main", "http://127.0.0.1").post([notice], load_rules(), 4).content)
    for name in (*body_of(notice, load_rules()), *alert["labels"], *alert["annotations"]):
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize(("body", "now", "good"), [(b"{}", 1000, True), (b"{ }", 1000, False), (b"{}", 2000, False)])
def test_a_receiver_can_check_a_signature_as_the_reference_shows(body: bytes, now: int, good: bool) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"hmac": hmac}
    exec(code, names)  # noqa: S102 (the page's own)
    assert names["is_genuine"](b"secret", signature(b"secret", b"{}", 1000 * 10**9), body, now) is good

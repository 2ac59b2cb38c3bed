"""The README opens with the two commands, its figures are those of the results file, and its links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from benches import flow_table, mux_table, scan_table, sessions_table, storm_table, table, watch_table

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benches/*.md")])


def test_readme_opens_with_the_two_commands() -> None:
    first = (ROOT / "README.md").read_text()[:700]
    assert "make demo" in first
    assert "make test" in first


def test_figures_are_those_of_the_results_file() -> None:
    readme = (ROOT / "README.md").read_text()
    for module in (table, storm_table, scan_table, mux_table, sessions_table, watch_table, flow_table):
        assert module.BEGIN in readme
        if module.RESULTS.exists():
            rewritten = module.updated(readme, json.loads(module.RESULTS.read_text()))
            assert rewritten == readme, f"run: python -m {module.__name__}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{target} does not exist"

"""A page is one file: shared parts and data are inside, and nothing in the data can break out."""

import json
import os
import re
from pathlib import Path

import pytest

from tidegate.page import filled, html_table, write_page


def test_everything_is_filled_in() -> None:
    page = filled(
        "<p>{{title}}</p><script>{{plots_js}}{{uplot_js}}</script><style>{{page_css}}</style>", data=1, title="T"
    )
    assert page.startswith("<p>T</p>")
    assert "function showCharts(" in page
    assert "uPlot" in page
    assert "--grid" in page
    assert "{{" not in page


def test_data_cannot_end_the_script() -> None:
    page = filled("{{data}}", data={"</script><b>": 1})
    assert "</script>" not in page
    assert json.loads(page.replace("<\\/", "</")) == {"</script><b>": 1}


def test_data_cannot_keep_the_script_from_ending() -> None:
    page = filled("{{data}}", data="<!--<script>")
    assert "<" not in page
    assert json.loads(page) == "<!--<script>"


def test_what_is_filled_in_is_not_filled_again() -> None:
    page = filled("{{note}} {{data}} {{other}}", data=["<b>"], note="{{data}} {{page_css}}")
    assert page == '{{data}} {{page_css}} ["\\u003cb>"] {{other}}'


def test_a_table_escapes_its_cells() -> None:
    table = html_table(["<head>"], {"<row>": ["<cell>"]})
    assert re.findall(r"&lt;(\w+)&gt;", table) == ["head", "row", "cell"]


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    write_page(tmp_path / "a.html", "x")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.html", "x")]


def test_a_page_goes_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a.html")
    write_page(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a.html").read_text() == "x"


def test_a_page_does_not_take_the_place_of_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
        write_page(pipe, "x")
        assert reader.read() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_page(tmp_path / "no" / "a.html", "x")

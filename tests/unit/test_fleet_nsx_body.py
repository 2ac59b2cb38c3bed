"""One field of a JSON text is changed and no other byte: for every document that there can be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.fleet.plans.nsx_body import ENS_MODES, set_mode

MODES = ("ENS", "ENS_INTERRUPT", "STANDARD", "LEGACY")
words = st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
others = st.dictionaries(words.filter(lambda word: word not in {"host_switch_mode", "cpu_config"}), values, max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return a document's text, with blanks and order of its own, and the ids of its switches."""
    ids = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    switches = []
    for id_ in ids:
        members: dict[str, Any] = {**draw(others), "host_switch_id": id_}
        if draw(st.booleans()):
            members["host_switch_mode"] = draw(st.sampled_from(MODES))
        if draw(st.booleans()):
            members["cpu_config"] = draw(values)
        order = draw(st.permutations(list(members)))
        switches.append({name: members[name] for name in order})
    spec = {**draw(others), "host_switches": switches}
    document = {**draw(others), "host_switch_spec": spec, "_revision": draw(st.integers(0, 99))}
    indent = draw(st.sampled_from([None, 0, 3]))
    return json.dumps(document, indent=indent, ensure_ascii=draw(st.booleans())), ids


@given(documents(), st.sampled_from(MODES), st.data())
def test_what_comes_out_is_what_a_parser_would_make_of_it(
    document: tuple[str, list[str]], mode: str, data: st.DataObject
) -> None:
    text, ids = document
    chosen = data.draw(st.lists(st.sampled_from(ids), unique=True))
    cpu = data.draw(st.none() | st.just('[{"numa_node_index": 0, "num_lcores": 4}]'))
    wanted = json.loads(text)
    for switch in wanted["host_switch_spec"]["host_switches"]:
        if switch["host_switch_id"] in chosen:
            switch["host_switch_mode"] = mode
            if mode not in ENS_MODES:
                switch.pop("cpu_config", None)
            elif cpu is not None:
                switch["cpu_config"] = json.loads(cpu)
    got = set_mode(text, chosen, mode, cpu)
    assert json.loads(got) == wanted
    assert set_mode(got, chosen, mode, cpu) == got


@given(documents())
def test_nothing_chosen_is_nothing_changed(document: tuple[str, list[str]]) -> None:
    text, _ = document
    assert set_mode(text, [], "LEGACY") == text


def test_every_other_byte_stays() -> None:
    before = (
        '{ "x" : 1.50,"a\\/b":"\\u00e9", "host_switch_spec":{"host_switches":[ {"cpu_config":[{"n":0}] ,'
        '"host_switch_id":"s1","host_switch_mode" : "ENS" , "y":1e3}]},\n"_revision":7 }'
    )
    after = (
        '{ "x" : 1.50,"a\\/b":"\\u00e9", "host_switch_spec":{"host_switches":[ {'
        '"host_switch_id":"s1","host_switch_mode" : "LEGACY" , "y":1e3}]},\n"_revision":7 }'
    )
    assert set_mode(before, ["s1"], "LEGACY") == after


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "no host_switch_spec"),
        ('{"host_switch_spec": {}}', "no host_switches"),
        ("[]", "an object was expected"),
        ('{"host_switch_spec": {"host_switches": {}}}', "a list was expected"),
        ('{"host_switch_spec": {"host_switches": []}}', "no host switch s1"),
    ],
)
def test_a_text_that_is_no_such_document_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        set_mode(text, ["s1"], "LEGACY")

"""Rehearsing a storm in virtual time, with the decisions of the very gate that runs live.

- ``scenario.py``: what may stand in a scenario's file, with every default; ``policies.py``: what to play it under.
- ``load.py``: text to scenario; ``rules.py``: how the parts of one file fit together.
- ``spec.py``: scenario to the JSON that Rust plays; ``engine.py``: plays it.
- ``compare.py``: one storm under several policies; ``plan.py``: what it says about a storm to come.
- ``advice.py``: the same in words; ``report.py``: the page about it.
"""

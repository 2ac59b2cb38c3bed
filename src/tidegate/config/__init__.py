"""Configuration: a TOML file becomes a checked model, and the model becomes the plan that Rust sees.

- ``model.py``: what may stand in a file, with every default; ``fields.py``: what every such model is made of.
- ``vcenter.py``: the tables about a vCenter; ``windows.py``: the calendar of ``[window.NAME]``.
- ``load.py``: text to model; everything that is wrong at once, with file, line and a suggestion.
- ``rules.py``, ``vcenter_rules.py``: what pydantic cannot know: how the parts of one file fit together.
- ``check.py``: what the machine must offer: certificates, free addresses, file descriptors.
- ``plan.py``, ``vcenter_plan.py``: model to plan.
- ``write.py``: model to TOML, for the lab.
"""

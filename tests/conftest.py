"""What every test shares: the marker `peer`, and the list of what was left out.

`@pytest.mark.peer("curl", "openssl")` skips a test where one of these programs is missing. Every skip is written to the
file that TIDEGATE_LEFT_OUT names, so that `make test` can name it in its last line and `REQUIRE_ALL=1` can refuse it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from peers import found

# Which examples hypothesis tries must not depend on the day; a deadline would be a timed assertion.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


# A shell ignores SIGINT for what it starts in the background, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose peers are missing."""
    for marker in item.iter_markers("peer"):
        absent = [peer for peer in marker.args if not found(peer)]
        if absent:
            pytest.skip(f"{', '.join(absent)} not installed")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down every skip and its reason."""
    target = os.environ.get("TIDEGATE_LEFT_OUT")
    if not target or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    with Path(target).open("a") as file:
        file.write(f"{report.nodeid.split('::')[0]}: {reason.removeprefix('Skipped: ')}\n")

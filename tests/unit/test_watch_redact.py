"""Secrets are masked, and what is shown cannot steer a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.harmless import harmless
from tidegate.watch.redact import redacted


@pytest.mark.parametrize(
    "text",
    [
        'Cookie: vmware_soap_session="SECRET99"',
        "login as root password=SECRET99",
        '{"api_key": "SECRET99"}',
        "Authorization: Bearer SECRET99",
        "vmware-api-session-id: SECRET99;",
        "JSESSIONID=SECRET99",
        "x-csrf-token = 'SECRET99'",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert "SECRET99" not in redacted(text)


def test_sessions_stay_apart() -> None:
    line = "-- 52dd7e11-0011-88a5-b2af-7ca7e74114c8(52aa0000-0011-88a5-b2af-7ca7e74114c8)"
    shown = redacted(line)
    assert "7ca7e74114c8" not in shown
    assert "52dd7e11" in shown
    assert "52aa0000" in shown


@pytest.mark.parametrize(
    "text",
    [
        "VasaSession::DoSetContext: setContext for VP a (url: https://a:8443/vasa) failed",
        "User LAB\\backup@10.0.0.7 logged in as pyvmomi",
        "The session is not authenticated.",
    ],
)
def test_the_rest_stays_as_it_is(text: str) -> None:
    assert harmless(redacted(text)) == text


def test_terminals_are_safe() -> None:
    assert harmless("a\x1b[31mb\u202ec\x9b2Jd\r") == "a\\x1b[31mb\\u202ec\\x9b2Jd\\x0d"


@given(st.text())
def test_nothing_that_steers_is_left(text: str) -> None:
    shown = harmless(redacted(text))
    assert all(
        char in "\n\t" or not unicodedata.category(char).startswith("C") or unicodedata.category(char) == "Cn"
        for char in shown
    )

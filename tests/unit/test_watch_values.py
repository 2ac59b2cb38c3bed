"""Hosts and providers are found where they stand; what is no URL breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.watch.values import host_of, provider_of, value_of


def hit(frame: str | None = None, **fields: str) -> dict[str, Any]:
    return {"host": frame, "fields": fields}


def test_a_frame_names_the_host_before_a_path_and_fields() -> None:
    assert host_of(hit("esx1", host="esx3"), "esx2/var/log/hostd.log") == "esx1"
    assert host_of(hit(host="esx3"), "esx2/var/log/hostd.log") == "esx2"
    assert host_of(hit(host="esx3"), "hostd.log") == "esx3"
    assert host_of(hit(), "hostd.log") == ""


@pytest.mark.parametrize(
    ("fields", "provider"),
    [
        ({"provider": "a", "vp": "b"}, "a"),
        ({"vp": "b", "url": "https://c/x"}, "b"),
        ({"url": "https://vasa1.example:8443/version.xml"}, "vasa1.example"),
        ({"url": "vasa1.example"}, ""),
        ({"url": "https://[vasa1/"}, ""),
        ({}, ""),
    ],
)
def test_providers(fields: dict[str, str], provider: str) -> None:
    assert provider_of(fields) == provider
    assert value_of(hit(**fields), "hostd.log", "provider") == provider


def test_any_other_value_is_a_field() -> None:
    assert value_of(hit("esx1", user="root"), "hostd.log", "user") == "root"
    assert value_of(hit("esx1"), "hostd.log", "user") == ""
    assert value_of(hit("esx1"), "hostd.log", "host") == "esx1"

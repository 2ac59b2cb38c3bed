"""A receiver that answers badly now and then: what it took is known, and what it refused is not."""

from __future__ import annotations

import socket

import httpx
import pytest

from tidegate.lab.watch_sink import Sink


def test_it_writes_down_what_it_takes() -> None:
    with Sink(bad=False) as sink:
        answer = httpx.post(f"{sink.url}/hook", json={"what": "opened"}, headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 200
        (post,) = sink.posts()
    assert (post.path, post.key, post.body) == ("/hook", "k1", {"what": "opened"})
    assert sink.posts(1) == []


def test_a_post_that_breaks_off_is_not_taken(capfd: pytest.CaptureFixture[str]) -> None:
    with Sink(bad=False) as sink:
        port = int(sink.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(b'POST /hook HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"what"')
            half.shutdown(socket.SHUT_WR)
            assert half.recv(1) == b""
        assert sink.posts() == []
    assert capfd.readouterr() == ("", "")


def test_it_refuses_and_does_not_answer() -> None:
    with Sink(seed=1) as sink:
        said = {"fine": 0, "refused": 0, "nothing": 0}
        for number in range(200):
            try:
                answer = httpx.post(f"{sink.url}/hook", json={}, headers={"Idempotency-Key": str(number)})
            except httpx.HTTPError:
                said["nothing"] += 1
                continue
            said["refused" if answer.status_code == 503 else "fine"] += 1
        taken = sink.posts()
    assert min(said.values()) > 0
    assert (said["refused"], said["nothing"]) == (sink.refused, sink.unanswered)
    assert len(taken) == said["fine"] + said["nothing"]

"""What processes that stay have in common: log lines in JSON, and what systemd is told."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time

__all__ = ["log_json", "notify"]


def log_json(name: str) -> logging.Logger:
    """Let the logger ``name`` write one JSON object per line to stderr; ``extra={"fields": …}`` adds to it."""
    log = logging.getLogger(name)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    return log


def notify(state: str, log: logging.Logger) -> None:
    """Tell systemd (``Type=notify``), when it asked for it; protocol of sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if state == "RELOADING=1":
        state += f"\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as talk:
        try:
            talk.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log.warning("systemd was not told", extra={"fields": {"error": str(error)}})


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        head = {"time": round(record.created, 3), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**head, **fields}, default=str)

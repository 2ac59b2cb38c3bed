"""HAProxy as a process of a world of the lab: ``python -m tidegate.lab.ports_haproxy PROGRAM FILE SOCKET``.

It says one ready line when HAProxy answers at its stats socket, and ends HAProxy when its own stdin ends.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["haproxy_file", "haproxy_program", "main"]

_READY_S = 10.0
_END_S = 2.0
_PLACES = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps it, which is not on everybody's PATH."""
_FILE = """\
global
  nbthread 1
  maxconn 2000
  stats socket {socket} mode 600 level user
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout queue 60s
  http-reuse always
frontend front
  bind {listen}
  default_backend back
backend back
  balance roundrobin
"""
_SERVER = "  server {name} {address} check inter {every_ms}ms fall {fall} rise {rise} source 127.0.0.1:{first}-{last}\n"


def haproxy_program() -> str | None:
    """Return where HAProxy is; ``None``: it is not installed."""
    return shutil.which("haproxy") or shutil.which("haproxy", path=_PLACES)


def haproxy_file(listen: str, servers: dict[str, str], path: Path, **checks: int) -> str:
    """Return HAProxy's file.

    Parameters
    ----------
    listen
        Its own address.
    servers
        Their names and addresses.
    path
        Its stats socket.
    checks
        ``every_ms``, ``fall`` and ``rise`` of the health checks, ``first`` and ``last`` of the source port range.
    """
    rows = [_SERVER.format(name=name, address=address, **checks) for name, address in servers.items()]
    return _FILE.format(listen=listen, socket=path) + "".join(rows)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
        try:
            talk.connect(path)
        except OSError:
            return False
        return True


def main() -> int:
    """Run HAProxy until stdin ends."""
    program, file, path = sys.argv[1:4]
    with subprocess.Popen([program, "-db", "-f", file], stdin=subprocess.DEVNULL, stdout=sys.stderr) as haproxy:
        try:
            give_up = time.monotonic() + _READY_S
            while not _answers(path):
                if haproxy.poll() is not None or time.monotonic() > give_up:
                    return 1
                time.sleep(0.02)
            print(json.dumps({"kind": "ready", "pid": haproxy.pid}), flush=True)
            sys.stdin.read()
        finally:
            haproxy.terminate()
            try:
                haproxy.wait(_END_S)
            except subprocess.TimeoutExpired:
                haproxy.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())

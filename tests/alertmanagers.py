"""A real Alertmanager for tests: a process on loopback that tells a sink, and can be stopped and started again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

__all__ = ["RunningAlertmanager"]

_CONFIG = """\
route:
  receiver: sink
  group_by: ["..."]
  group_wait: 10ms
  group_interval: 100ms
  repeat_interval: 1h
receivers:
  - name: sink
    webhook_configs:
      - url: {url}
        send_resolved: true
"""


class RunningAlertmanager:
    """An Alertmanager in ``folder`` that tells ``sink``, the URL of a webhook; as a context manager it runs."""

    def __init__(self, folder: Path, sink: str) -> None:
        self._folder, self._port = folder, 0
        self._process: subprocess.Popen[bytes] | None = None
        self._runs = 0
        (folder / "alertmanager.yml").write_text(_CONFIG.format(url=sink))

    def __enter__(self) -> RunningAlertmanager:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its base."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, at the port that it had before, and wait until it is ready."""
        program = shutil.which("prometheus-alertmanager")
        assert program is not None
        self._runs += 1
        log = self._folder / f"log.{self._runs}"
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={self._folder}/alertmanager.yml",
                    f"--storage.path={self._folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--cluster.listen-address=",
                ],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
            )
        _until(lambda: re.search(r"Listening on.*address=127\.0\.0\.1:(\d+)", log.read_text()), self._process)
        found = re.search(r"Listening on.*address=127\.0\.0\.1:(\d+)", log.read_text())
        assert found is not None
        self._port = int(found[1])
        _until(lambda: self._get("/-/ready") is not None, self._process)

    def stop(self) -> None:
        """Kill it: it loses what it was told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that burn, by its own API, sorted by their labels."""
        body = self._get("/api/v2/alerts")
        assert body is not None
        return sorted(json.loads(body), key=lambda alert: sorted(alert["labels"].items()))

    def _get(self, path: str) -> bytes | None:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 (ours)
                body: bytes = answer.read()
                return body
        except urllib.error.URLError:
            return None


def _until(holds: Any, process: subprocess.Popen[bytes]) -> None:
    while not holds():
        assert process.poll() is None, "it has ended"
        time.sleep(0.02)

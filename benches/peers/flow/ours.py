"""Analyse a capture by several threads and print how many packets there were: `ours.py FILE THREADS`."""

import json
import sys

from tidegate import _core


def main() -> None:
    """Analyse the capture of the command line."""
    path, threads = sys.argv[1:]
    analysis = json.loads(_core.analyse([path], together=True, shards=int(threads)))
    print(sum(report["packets"] for report in analysis["reports"]))


if __name__ == "__main__":
    main()

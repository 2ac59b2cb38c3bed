"""Scan files with tidegate's engine, one thread, and print the hits of each signature: `ours.py PLAN FILE…`."""

import json
import sys
from collections import Counter
from pathlib import Path

from tidegate import _core


def main() -> None:
    """Scan the files of the command line."""
    scanner = _core.Scanner(Path(sys.argv[1]).read_bytes())
    found = json.loads(scanner.scan(sys.argv[2:], threads=1))
    print(json.dumps({"hits": Counter(hit["signature"] for hit in found["hits"]), "cut": found["cut"]}))


if __name__ == "__main__":
    main()

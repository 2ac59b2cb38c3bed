"""Decompress a .gz with Python's zlib, which is the system's, and print how many bytes came out."""

import sys
import zlib
from pathlib import Path


def main() -> None:
    """Read the file of the command line."""
    unpacker, total = zlib.decompressobj(31), 0
    with Path(sys.argv[1]).open("rb", buffering=0) as file:
        while piece := file.read(32 << 10):
            total += len(unpacker.decompress(piece))
    print(total + len(unpacker.flush()))


if __name__ == "__main__":
    main()

"""After: the same snapshots as `login-per-vm.py`, with one session for all, at a pace that storage can take.

    export TIDEGATE_VCENTER_PASSWORD=…
    python examples/one-session.py vc.example.org backup@vsphere.local web-01 web-02 …

The session is shared with every other script of this user on this machine: whoever comes first logs in, and the next
one needs no login at all. A batch begins when the one before has ended and its datastores are below 20 ms.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tidegate.clients.vcenter import in_batches, shared_session
from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import vim
from tidegate.errors import TidegateError, exit_code


def snapshots(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Make them; return who failed, and why."""
    with shared_session(arguments.address, user=arguments.user, port=arguments.port, ca=arguments.ca) as content:
        known = {seen["name"]: vm for vm, seen in read_all(content, vim.VirtualMachine, ("name",), 250)}
        batches = in_batches([known[name] for name in arguments.names if name in known], size=20)
        for batch in batches:
            for vm in batch:
                batch.watch(vm.CreateSnapshot_Task("nightly", "", False, False))
        return batches.failed + [(name, "there is no such machine") for name in arguments.names if name not in known]


def main() -> int:
    """Do it for every name on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("user")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--ca", type=Path)
    arguments = parser.parse_args()
    try:
        failed = snapshots(arguments)
    except TidegateError as error:
        print(error.message, error.hint, sep="\n  ", file=sys.stderr)
        return exit_code(error)
    for name, why in failed:
        print(f"{name}: {why}", file=sys.stderr)
    print(f"{len(arguments.names) - len(failed)} snapshots, one session")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

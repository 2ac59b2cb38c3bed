"""Before: a snapshot of every machine, with a login for each. `one-session.py` beside it does the same with one.

    export TIDEGATE_VCENTER_PASSWORD=…
    python examples/login-per-vm.py vc.example.org backup@vsphere.local web-01 web-02 …

Scripts like this one are where KB 440879 begins: with 800 machines these are 800 logins and 800 sessions, as many
snapshots at a time as there are threads whatever storage is doing, and requests that wait in the host gateway until
their tokens have expired.
"""

from __future__ import annotations

import argparse
import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask

from tidegate.clients.vmomi import vim


def snapshot(arguments: argparse.Namespace, name: str) -> None:
    """Log in, look for one machine, make its snapshot, log out."""
    service: Any = SmartConnect(  # type: ignore[no-untyped-call]
        host=arguments.address,
        port=arguments.port,
        user=arguments.user,
        pwd=os.environ["TIDEGATE_VCENTER_PASSWORD"],
        sslContext=ssl.create_default_context(cafile=arguments.ca),
    )
    try:
        content = service.RetrieveContent()
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        vm = next(vm for vm in view.view if vm.name == name)
        WaitForTask(vm.CreateSnapshot_Task("nightly", "", False, False))  # type: ignore[no-untyped-call]
    finally:
        Disconnect(service)  # type: ignore[no-untyped-call]


def main() -> None:
    """Do it for every name on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("user")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--ca")
    arguments = parser.parse_args()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: snapshot(arguments, name), arguments.names))
    print(f"{len(arguments.names)} snapshots, {len(arguments.names)} logins")


if __name__ == "__main__":
    main()

"""Writes ``examples/logs``: the log lines of the four articles among noise, as a night's collection looks.

Run it from the repository: ``python examples/make_logs.py``. The same lines come out every time; a test compares.
The lines that matter are the articles' own, with hosts, times and numbers changed; the noise is made up in their form.
"""

from __future__ import annotations

import gzip
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["files", "write"]

FOLDER = Path(__file__).parent / "logs"
RESTART = datetime(2026, 3, 4, 3, 11, 0, tzinfo=UTC)
"""When the VASA provider comes up again."""
HOSTS = [f"esx-{number:02}" for number in range(1, 13)]
_SECTION = (
    "{time} In(166) {program}[{pid}]: - last log rotation time, 2026-03-03T22:00:02.683Z - time the service was last "
    "started, Section for VMware ESX, pid={pid}, version=8.0.3, build=24022510, option=Release"
)
_REFUSED = (
    "{time} Er(163) VVold[{pid}]: [Originator@6876 sub=Default OpId=Session] VasaSession::DoSetContext: setContext for VP "
    "{provider} (url: https://{provider}:8443/vasa/services/vasaService?version=4) failed [connectionState: "
    "TransportError]: TRANSPORT_FAULT (Timeout / SSL_connect() failed in tcp_connect())"
)
_STORAGE = (
    "{time} Er(163) VVold[{pid}]: [Originator@6876 sub=Default OpId=Session] VasaSession::DoSetContext: setContext for VP "
    "{provider} (url: https://{provider}:8443/axis2/services/vasa2) failed [connectionState: Connected]: STORAGE_FAULT "
    "(ADB conversion error. Details: Invalid Fault Id / )"
)
_SETTLED = (
    "{time} In(166) VVold[{pid}]: [Originator@6876 sub=Default OpId=Session] VasaSession::DoSetContext: setContext for VP "
    "{provider} (url: https://{provider}:8443/vasa/services/vasaService?version=4) succeeded"
)
_CALM = (
    "{time} In(166) VVold[{pid}]: [Originator@6876 sub=Default] VasaOp::QueryEvents [#{n}]: ===> Issuing "
    "'queryEvents' to VP {provider}",
    "{time} Db(167) VVold[{pid}]: [Originator@6876 sub=Libs] Heartbeat {n}, rss {n} kB",
)
_EXPIRED = (
    "{time} info vpxd[4085937] [Originator@6876 sub=vmomi.soapStub[{n}] opID={op}] SOAP request returned HTTP failure; "
    "<<io_obj p:0x00007f740d5e8b48, h:250, <UNIX ''>, <UNIX '/var/run/envoy-hgw/hgw-pipe'>>, /hgw/host-{host}/sdk>, method: "
    "fileManagement; code: 500(Internal Server Error); fault: (vim.fault.NotAuthenticated) {{\n"
    "-->    faultCause = (vmodl.MethodFault) null,\n"
    "-->    faultMessage = <unset>,\n"
    "-->    object = 'vim.Datastore:62aef28d-fe0e61a8-3da4-9efa524000e2',\n"
    '-->    privilegeId = "Datastore.FileManagement"\n'
    '-->    msg = "Received SOAP response fault from [...]: fileManagement. The session is not authenticated."\n'
    "--> }}"
)
_LOGIN = (
    "{time} info vpxd[4085937] [Originator@6876 sub=vpxLro opID={op}] [VpxLRO] -- BEGIN lro-{n} -- SessionManager -- "
    "vim.SessionManager.login -- {session}",
    "{time} info vpxd[4085937] [Originator@6876 sub=vpxLro opID={op}] [VpxLRO] -- FINISH lro-{n}",
    "{time} info vpxd[4085937] [Originator@6876 sub=MoEvent opID={op}] Event [{n}] [1-1] [{time}] "
    "[vim.event.UserLoginSessionEvent] [info] [{user}] [] [{n}] [User {user}@{address} logged in as {agent}]",
)
_QUIET_NIGHT = (
    "{time} info vpxd[4085937] [Originator@6876 sub=vpxLro opID={op}] [VpxLRO] -- BEGIN lro-{n} -- group-d1 -- "
    "vim.view.ViewManager.createContainerView -- 52{op}-0011-88a5-b2af-7ca7e74114c8(52aa0000-0011-88a5-b2af-7ca7e74114c8)",
    "{time} info vpxd[4085937] [Originator@6876 sub=vpxLro opID={op}] [VpxLRO] -- FINISH lro-{n}",
    "{time} verbose vpxd[4085937] [Originator@6876 sub=PropertyProvider opID={op}] RecordOp ASSIGN: "
    'declaredAlarmState["alarm-1.host-{host}"], host-{host}. Applied change to temp map.',
)
_CRASH = """\
2026-03-04T03:11:02.401Z cpu61:2108172)ENS: EnsPortStateUpdate:811: port 0x4000012 up
2026-03-04T03:11:02.433Z cpu61:2108172)\x1b[45m\x1b[33;1mVMware ESXi 7.0.3 [Releasebuild-22348816 x86_64]\x1b[0m
Panic Details: Crash at 2026-03-04T03:11:02.433Z on CPU 61 running world 2108172 - Ens-Lcore-12. VMK Uptime:323:23:23:41.376
Panic Message: @BlueScreen: line 12464 assert "(s->state_flags & PFSTATE_TCP_HALF_OPEN) == 0" failed
Backtrace:
  0x45395879b590:[0x420039b19bda]PanicvPanicInt@vmkernel#nover+0x202 stack: 0x4a00000000, 0x420039b19bda, 0x0
  0x45395879b640:[0x420039b1a4fc]Panic_vPanic@vmkernel#nover+0x25 stack: 0x45dac850f2a2, 0x420039b3259f, 0x1
  0x45395879b660:[0x420039b3259e]vmk_vPanic@vmkernel#nover+0xf stack: 0x0, 0x453900000008, 0x45395879b6d0
  0x45395879b670:[0x42003c70334f]vsip_assert@(nsxt-vsip-22667792)#1.0.8.0.22667792+0x4c stack: 0x45395879b6d0
2026-03-04T03:10:59.120Z cpu12:2097999)ScsiDeviceIO: 4176: Cmd(0x45b9) 0x1a, CmdSN 0x3 to dev "mpx.vmhba0" failed H:0x0
"""
_POOL = """\
admin@10-20-0-4:> show pool vasa-pool server detail | grep -E "(\\+--|ip_addr|se_uuid|open_conns|state)"
+------------------------------+------------------------------------------------------------------+
| ip_addr                      | 10.30.0.10                                                       |
| oper_status                  |                                                                  |
|   state                      | OPER_DOWN                                                        |
| se_uuid                      | 10-20-0-5:se-10.20.0.5-avitag-1                                  |
|   open_conns                 | 64398                                                            |
+------------------------------+------------------------------------------------------------------+
| ip_addr                      | 10.30.0.11                                                       |
| oper_status                  |                                                                  |
|   state                      | OPER_UP                                                          |
| se_uuid                      | 10-20-0-5:se-10.20.0.5-avitag-1                                  |
|   open_conns                 | 2211                                                             |
+------------------------------+------------------------------------------------------------------+
"""


def stamp(moment: datetime) -> str:
    """Return a time as ESXi and vCenter write it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def vvold(host: str, luck: random.Random) -> Iterator[str]:
    """Yield one host's log: calm, refused again and again after the restart, in at last."""
    pid, provider = str(2099000 + int(host[-2:])), "vasa01.lab.example"
    moment = RESTART - timedelta(hours=1)
    yield _SECTION.format(time=stamp(moment), program="vvold", pid=pid)
    for n in range(40):
        moment += timedelta(seconds=luck.uniform(20, 160))
        if moment < RESTART:
            yield luck.choice(_CALM).format(time=stamp(moment), pid=pid, provider=provider, n=n)
    moment = RESTART + timedelta(seconds=luck.uniform(0, 12))
    for _ in range(luck.randint(5, 9)):
        yield _REFUSED.format(time=stamp(moment), pid=pid, provider=provider)
        moment += timedelta(seconds=luck.uniform(30, 45))
    if host == HOSTS[3]:
        yield _STORAGE.format(time=stamp(moment), pid=pid, provider=provider)
        moment += timedelta(seconds=11)
    yield _SETTLED.format(time=stamp(moment), pid=pid, provider=provider)
    for n in range(40, 60):
        moment += timedelta(seconds=luck.uniform(20, 160))
        yield luck.choice(_CALM).format(time=stamp(moment), pid=pid, provider=provider, n=n)


def vpxd(luck: random.Random, begin: datetime, minutes: int, *, storm: bool) -> Iterator[str]:
    """Yield vCenter's log: a script that logs in for every machine, and at the height of it the failures."""
    yield (
        f"{stamp(begin)} - time the service was last started 2026-02-11T04:00:12.884Z, Section for VMware VirtualCenter, "
        "pid=4085937, version=8.0.2, build=23319993, option=Release"
    )
    moment, end, number = begin, begin + timedelta(minutes=minutes), 210450
    while moment < end:
        number += 1
        late = moment - begin
        what = {"n": number, "op": f"{luck.getrandbits(24):06x}", "host": 150100 + luck.randrange(40)}
        if storm and timedelta(minutes=20) < late < timedelta(minutes=26) and luck.random() < 0.1:
            yield _EXPIRED.format(time=stamp(moment), **what)
        elif luck.random() < (0.6 if storm else 0.02):
            caller = {"user": "LAB\\svc-automation", "address": "10.9.8.7", "agent": "pyvmomi Python/3.9.2"}
            session = f"52{luck.getrandbits(24):06x}-0011-88a5-b2af-7ca7e74114c8"
            for line in _LOGIN:
                yield line.format(time=stamp(moment), session=session, **what, **caller)
        else:
            yield luck.choice(_QUIET_NIGHT).format(time=stamp(moment), **what)
        moment += timedelta(seconds=luck.uniform(0.5, 4.0 if storm else 40.0))


def files() -> dict[str, bytes]:
    """Return the content of every file, by its path below ``examples/logs``."""
    luck = random.Random(412434)
    told: dict[str, bytes] = {}
    for host in HOSTS:
        told[f"{host}/var/run/log/vvold.log"] = "".join(f"{line}\n" for line in vvold(host, luck)).encode()
    begin = datetime(2026, 3, 4, 0, 30, tzinfo=UTC)
    quiet = "".join(f"{line}\n" for line in vpxd(luck, begin, 60, storm=False)).encode()
    loud = "".join(f"{line}\n" for line in vpxd(luck, begin + timedelta(hours=1), 40, storm=True)).encode()
    told["vcsa-01/var/log/vmware/vpxd/vpxd-1.log.gz"] = gzip.compress(quiet, mtime=0)
    told["vcsa-01/var/log/vmware/vpxd/vpxd.log"] = loud
    told["esx-07/var/core/vmkernel-log.1"] = _CRASH.encode()
    told["avi-01/show-pool-server-detail.txt"] = _POOL.encode()
    return told


def write(folder: Path) -> None:
    """Write all files below a folder."""
    for name, content in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    write(FOLDER)
    print(f"written: {FOLDER}", file=sys.stderr)

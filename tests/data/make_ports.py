"""Writes dumps: ``ports`` has one per kind, each with a bucket that is exhausted, ``ports-bounded`` one that bounds it.

The layouts are those of iproute2 6.1, net-tools 2.10, Linux 6.18, HAProxy 2.6 and Envoy 1.40, taken from the tools
themselves; those of Avi follow its API's field names and the grids in its documentation, those of F5 published samples.
Addresses, names and numbers are made up. Run it again after a change: ``python tests/data/make_ports.py``.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

__all__ = ["dumps", "main"]

_HAPROXY_NAMES = (
    "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,"
    "chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,"
    "check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,"
    "req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,"
    "agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,"
    "agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,"
    "cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,"
    "used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,ssl_sess,"
    "ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_rcvd,h2_settings_rcvd,h2_rst_stream_rcvd,"
    "h2_goaway_rcvd,h2_detected_conn_protocol_errors,h2_detected_strm_protocol_errors,h2_rst_stream_resp,"
    "h2_goaway_resp,h2_open_connections,h2_backend_open_streams,h2_total_connections,h2_backend_total_streams,"
    "h1_open_connections,h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1_bytes_out,"
    "h1_spliced_bytes_in,h1_spliced_bytes_out,"
)


def dumps() -> dict[str, str]:
    """Return the dumps by path; a name that ends in ``.gz`` is stored compressed."""
    return {
        "ports/ss-client.txt.gz": _ss_client(),
        "ports/ss-server-ipv6.txt.gz": _ss_server(),
        "ports/ss-ages.txt.gz": _ss_ages(),
        "ports/netstat.txt.gz": _netstat(),
        "ports/proc-net-tcp.txt.gz": _proc(),
        "ports/proc-net-tcp6.txt.gz": _proc6(),
        "ports/haproxy-show-stat.csv": _haproxy(),
        "ports/envoy-clusters.txt": _envoy_clusters(),
        "ports/envoy-stats.txt": _envoy_stats(),
        "ports-bounded/avi-virtualservice.txt": _avi_service(),
        "ports/avi-pool.txt": _avi_pool(),
        "ports/avi-as-in-kb-425869.txt": _avi_filtered(),
        "ports/f5-ltm.log": _f5_ltm(),
        "ports/f5-connections.txt.gz": _f5_connections(),
    }


def _ss(state: str, local: tuple[str, int], peer: tuple[str, object], width: int = 14) -> str:
    return f"{state:<10} 0      0      {local[0]:>{width}}:{local[1]:<5} {peer[0]:>{width}}:{peer[1]:<5} \n"


def _ss_head(width: int) -> str:
    return f"{'State':<10} Recv-Q Send-Q {'Local Address':>{width}}:Port  {'Peer Address':>{width}}:Port Process\n"


def _ss_client() -> str:
    """Return a Linux machine that keeps a connection to one server per idle client: 27 930 of 28 232 source ports."""
    rows = [_ss("LISTEN", ("0.0.0.0", 443), ("0.0.0.0", "*")), _ss("LISTEN", ("127.0.0.1", 25), ("0.0.0.0", "*"))]
    rows += [_ss("ESTAB", ("10.20.0.5", port), ("10.30.0.10", 8443)) for port in range(32_768, 60_090)]
    rows += [_ss("TIME-WAIT", ("10.20.0.5", port), ("10.30.0.10", 8443)) for port in range(60_090, 60_650)]
    rows += [_ss("SYN-SENT", ("10.20.0.5", port), ("10.30.0.10", 8443)) for port in range(60_650, 60_690)]
    rows += [_ss("FIN-WAIT-2", ("10.20.0.5", port), ("10.30.0.10", 8443)) for port in range(60_690, 60_698)]
    rows += [_ss("ESTAB", ("10.20.0.5", port), ("10.30.0.11", 8443)) for port in range(32_768, 33_968)]
    rows += [_ss("ESTAB", ("10.20.0.5", 443), (f"10.9.{at // 250}.{1 + at % 250}", 40_000 + at)) for at in range(900)]
    return "admin@proxy1:~$ ss -tan\n" + _ss_head(14) + "".join(rows)


def _ss_server() -> str:
    """Return a server's own dump: one balancer's address holds 27 500 connections to it, and a second one few."""
    width = 22
    rows = [_ss("LISTEN", ("*", 443), ("*", "*"), width=width)]
    for peer, count in (("[::ffff:10.20.0.5]", 27_500), ("[2001:db8:20::5]", 700)):
        local = "[::ffff:10.30.0.10]" if "ffff" in peer else "[2001:db8:30::10]"
        rows += [_ss("ESTAB", (local, 443), (peer, 32_768 + at), width=width) for at in range(count)]
    return _ss_head(width) + "".join(rows)


def _ss_ages() -> str:
    """Return ``ss -tani``: 27 600 connections, nine tenths of them idle for up to an hour."""
    info = "cubic wscale:7,7 rto:204 rtt:0.5/0.2 mss:1448 cwnd:10"
    rows = []
    for at in range(27_600):
        age = 60_000 + at // 50 * 7_919_000 % 3_540_000 if at % 10 else 40
        rows.append(_ss("ESTAB", ("10.20.0.5", 32_768 + at), ("10.30.0.10", 8443)))
        rows.append(f"\t {info} lastsnd:{age} lastrcv:{age} lastack:{age}\n")
    return _ss_head(14) + "".join(rows)


def _netstat() -> str:
    """Return ``netstat -tan``: 27 800 of 28 232."""
    head = "Active Internet connections (servers and established)\n"
    head += "Proto Recv-Q Send-Q Local Address           Foreign Address         State      \n"
    row = "tcp        0      0 {:<23} {:<23} {:<11}\n"
    rows = [
        row.format("0.0.0.0:22", "0.0.0.0:*", "LISTEN"),
        "tcp6       0      0 :::443                  :::*                    LISTEN     \n",
    ]
    rows += [row.format(f"10.20.0.5:{32_768 + at}", "10.30.0.10:5432", "ESTABLISHED") for at in range(25_700)]
    rows += [row.format(f"10.20.0.5:{58_468 + at}", "10.30.0.10:5432", "TIME_WAIT") for at in range(2_100)]
    return head + "".join(rows)


def _word(address: str) -> str:
    packed = IPv6Address(address).packed if ":" in address else IPv4Address(address).packed
    return "".join(packed[at : at + 4][::-1].hex() for at in range(0, len(packed), 4)).upper()


def _proc_rows(ends: Iterable[tuple[str, int, str, int, int, str]]) -> Iterator[str]:
    for at, (local, local_port, peer, peer_port, state, timer) in enumerate(ends):
        # as the kernel prints it: TIME-WAIT has no owner and no inode
        owner = "   0        0 0 3 0000000000000000"
        if state != 6:
            owner = f"1000        0 {100_000 + at} 1 0000000000000000 20 4 30 10 -1"
        yield (
            f"{at:4}: {_word(local)}:{local_port:04X} {_word(peer)}:{peer_port:04X} {state:02X} "
            f"00000000:00000000 {timer} 00000000  {owner}\n"
        )


def _proc() -> str:
    """Return ``/proc/net/tcp``: 27 700 of 28 232, most of them in TIME-WAIT."""
    ends = [("0.0.0.0", 443, "0.0.0.0", 0, 10, "00:00000000")]
    ends += [("10.20.0.5", 32_768 + at, "10.30.0.10", 8443, 1, "02:000AFC44") for at in range(1_500)]
    ends += [("10.20.0.5", 34_268 + at, "10.30.0.10", 8443, 6, "03:00001734") for at in range(26_200)]
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    return head + " " * 53 + "\n" + "".join(_proc_rows(ends))


def _proc6() -> str:
    """Return ``/proc/net/tcp6``: 27 700 of 28 232, most of them in TIME-WAIT."""
    ends = [("::", 22, "::", 0, 10, "00:00000000")]
    ends += [("2001:db8:20::5", 32_768 + at, "2001:db8:30::10", 8443, 1, "00:00000000") for at in range(1_000)]
    ends += [("2001:db8:20::5", 33_768 + at, "2001:db8:30::10", 8443, 6, "03:00001734") for at in range(26_700)]
    head = (
        f"  sl  {'local_address':<37} {'remote_address':<37} st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout"
    )
    return head + " inode\n" + "".join(_proc_rows(ends))


def _haproxy() -> str:
    """Return HAProxy in TCP mode before one server: it has run out; its own check says so and blames the server."""
    names = _HAPROXY_NAMES.split(",")

    def row(**values: object) -> str:
        told = {"qcur": 0, "qmax": 0, "dreq": 0, "pid": 1, **values}
        return ",".join(str(told.get(name, "")) for name in names) + "\n"

    front = {"svname": "FRONTEND", "status": "OPEN", "type": 0, "slim": 40_000}
    check = {"check_status": "L4CON", "last_chk": "Cannot assign requested address"}
    check["check_desc"] = "Layer4 connection problem"
    return "".join(
        [
            "# " + _HAPROXY_NAMES + "\n",
            row(pxname="vasa", **front, scur=28_190, smax=28_210, mode="tcp", rate=3),
            row(pxname="vasa", svname="vp1", scur=28_188, smax=28_209, status="DOWN", type=2, econ=412, mode="tcp",
                addr="10.30.0.10:8443", **check),
            row(pxname="vasa", svname="BACKEND", scur=28_188, smax=28_209, slim=4_000, status="UP", type=1, mode="tcp"),
            row(pxname="web", **front, scur=9_120, mode="http", rate=210, h1_open_streams=60),
            row(pxname="web", svname="app1", scur=41, srv_icur=95, status="UP", type=2, mode="http",
                addr="10.30.0.20:8080", check_status="L4OK"),
            row(pxname="web", svname="app2", scur=38, srv_icur=90, status="UP", type=2, mode="http",
                addr="[2001:db8:30::21]:8080", check_status="L4OK"),
            row(pxname="web", svname="BACKEND", scur=79, status="UP", type=1, mode="http"),
            "\n",
        ]
    )  # fmt: skip


def _envoy_clusters() -> str:
    """Return Envoy with 27 700 connections to one server and 350 requests in flight."""
    lines = ["observability_name::outbound|8443||vasa", "default_priority::max_connections::100000"]
    lines += ["default_priority::max_requests::100000", "added_via_api::true"]
    for host, connections, requests in (("10.30.0.10:8443", 27_700, 350), ("[2001:db8:30::10]:8443", 41, 3)):
        stats = {"cx_active": connections, "cx_connect_fail": 1200, "cx_total": 990_000, "rq_active": requests}
        stats |= {
            "rq_error": 1200,
            "rq_pending_active": 0,
            "rq_success": 7_000_000,
            "rq_timeout": 4,
            "rq_total": 7_001_200,
        }
        text: dict[str, object] = {
            **stats,
            "hostname": "",
            "health_flags": "/failed_active_hc",
            "weight": 1,
            "region": "",
        }
        lines += [f"{host}::{name}::{value}" for name, value in {**text, "canary": "false", "success_rate": -1}.items()]
    return "".join(f"outbound|8443||vasa::{line}\n" for line in lines)


def _envoy_stats() -> str:
    """Return a cluster with one server, and one with four."""
    stats: list[tuple[str, object]] = []
    for name, members, connections, requests in (("pool", 4, 9_000, 210), ("vasa", 1, 27_800, 340)):
        stats += [
            (f"cluster.{name}.circuit_breakers.default.cx_open", 0),
            (f"cluster.{name}.membership_healthy", 0 if members == 1 else members),
            (f"cluster.{name}.membership_total", members),
            (f"cluster.{name}.upstream_cx_active", connections),
            (f"cluster.{name}.upstream_cx_connect_fail", 1_200),
            (f"cluster.{name}.upstream_cx_total", 990_000),
            (f"cluster.{name}.upstream_rq_active", requests),
            (f"cluster.{name}.upstream_rq_pending_active", 0),
        ]
    stats += [("http.admin.downstream_cx_active", 1), ("http.front.downstream_cx_active", 31_000)]
    stats += [("http.front.downstream_rq_active", 360), ("server.live", 1)]
    histogram = "cluster.vasa.upstream_cx_connect_ms: P0(nan,0) P25(nan,0) P50(nan,0) P99(nan,1.06) P100(nan,3.1)\n"
    return "".join(f"{name}: {value}\n" for name, value in stats) + histogram


def _grid(rows: Iterable[tuple[str, object]]) -> str:
    cells = [("Field", "Value"), *((name, str(value)) for name, value in rows)]
    left, right = max(len(name) for name, _ in cells), max(len(value) for _, value in cells)
    rule = f"+{'-' * (left + 2)}+{'-' * (right + 2)}+\n"
    head, *body = [f"| {name:<{left}} | {value:<{right}} |\n" for name, value in cells]
    return rule + head + rule + "".join(body) + rule


_SERVICE_ROWS: tuple[tuple[str, object], ...] = (
    ("uuid", "virtualservice-6be3337b-42c9-4ad6-8184-82ecb7a3234d"),
    ("se_uuid", "se-005056b1f2aa"),
    ("proc_id", "C0_L7"),
    ("oper_status", ""),
    ("  state", "OPER_UP"),
    ("  reason[1]", "Virtual service is up"),
    ("l4_stats", ""),
    ("  open_conns", 65_112),
    ("  finished_conns", 8_811_203),
    ("  connections_dropped", 2_114),
    ("l7_stats", ""),
    ("  open_requests", 340),
    ("  finished_requests", 90_200_114),
)


def _avi_service() -> str:
    return "[admin:avi-controller]: > show virtualservice vasa-vs detail\n" + _grid(_SERVICE_ROWS)


def _server_rows(address: str, engine: str, connections: int, state: str) -> list[tuple[str, object]]:
    return [
        ("ip_addr", address),
        ("port", 8443),
        ("oper_status", ""),
        ("  state", state),
        ("  last_changed_time", "Tue Nov 25 08:12:44 2026"),
        ("se_uuid", engine),
        ("proc_id", "C0_L4"),
        ("server_l4stats", ""),
        ("  capacity", 100_000),
        ("  complete_conns", 7_002_330),
        ("  open_conns", connections),
    ]


_SERVERS = (
    ("10.30.0.10", "se-005056b1f2aa", 63_871, "OPER_DOWN"),
    ("10.30.0.11", "se-005056b1f2aa", 1_241, "OPER_UP"),
    ("10.30.0.10", "se-005056b1c0de", 30_020, "OPER_UP"),
)


def _avi_pool() -> str:
    grids = "".join(_grid(_server_rows(*server)) for server in _SERVERS)
    return "[admin:avi-controller]: > show pool vasa-pool server detail\n" + grids


def _avi_filtered() -> str:
    """Return what the two commands of KB 425869 leave."""
    service = [
        line
        for line in _grid(_SERVICE_ROWS).splitlines()
        if _has(line, "state", "open_conns", "open_requests", "connections_dropped")
    ]
    pool = "".join(_grid(_server_rows(*server)) for server in _SERVERS).splitlines()
    pool = [line for line in pool if _has(line, "+--", "ip_addr", "se_uuid", "open_conns", "state")]
    first = 'show virtualservice vasa-vs detail | egrep "state|open_conns|open_requests|connections_dropped"'
    second = 'show pool vasa-pool server detail | grep -E "(\\+--|ip_addr|se_uuid|open_conns|state)"'
    prompt = "[admin:avi-controller]: > "
    return "\n".join([prompt + first, *service, prompt + second, *pool, prompt]) + "\n"


def _has(line: str, *words: str) -> bool:
    return any(word in line for word in words)


def _f5_ltm() -> str:
    said = "Inet port exhaustion on 10.20.0.5 to 10.30.0.10:8443 (proto 6)"
    lines = [
        "info tmm1[12110]: Rule /Common/log_client <CLIENT_ACCEPTED>: client 10.9.1.7 to 10.20.0.80",
        *[f"crit tmm1[12110]: 01010201:2: {said}"] * 3,
        "notice tmm1[12110]: 01010201:2: Re-enabling general logging; held 26 messages.",
        "notice mcpd[6543]: 01070638:5: Pool /Common/vasa_pool member /Common/10.30.0.10:8443 monitor status down.",
        "crit tmm[12110]: 01010201:2: Inet port exhaustion on 10.20.0.5%1 to 10.30.0.11%1:443 (proto 6)",
    ]
    return "".join(f"Nov 25 08:1{at}:07 f5-a.example.org {line}\n" for at, line in enumerate(lines))


def _f5_connections() -> str:
    """Return 63 900 connections from one SNAT address to one pool member."""
    rows = []
    for at in range(63_900):
        # a BIG-IP keeps the client's source port where it is free
        client = f"10.9.{at // 16_000}.7:{1_100 + at}"
        ends = f"{client:<20} 10.20.0.80:443  10.20.0.5:{1_100 + at:<5}  10.30.0.10:8443"
        rows.append(f"{ends}  tcp  {at // 64 % 299:<4} (tmm: {at // 64 % 2})  none\n")
    return "Sys::Connections\n" + "".join(rows) + "Total records returned: 63900\n"


def main() -> None:
    """Write the files."""
    for name, text in dumps().items():
        data = text.encode()
        (Path(__file__).parent / name).write_bytes(gzip.compress(data, 9, mtime=0) if name.endswith(".gz") else data)


if __name__ == "__main__":
    main()

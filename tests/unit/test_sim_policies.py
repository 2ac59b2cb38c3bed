"""The policies that are built in: what they are told of the storm, and among which settings HAProxy's are searched."""

from tidegate.sim.policies import BEST_HAPROXY, BUILT_IN, Haproxy, NginxConn, NginxReq, built_in, haproxy_grid


def test_every_name_but_the_searched_one_has_a_policy() -> None:
    assert {*built_in(knee=22, rate=18.68, hosts=300), BEST_HAPROXY} == set(BUILT_IN)


def test_peers_are_told_the_knee_the_rate_and_the_hosts() -> None:
    there = built_in(knee=22, rate=18.75, hosts=300)
    assert there["nginx-conn"] == NginxConn(kind="nginx-conn", limit=22)
    assert there["nginx-req"] == NginxReq(kind="nginx-req", rate=15.0, burst=300)
    assert there["haproxy-default"] == Haproxy(kind="haproxy", maxconn=22)


def test_the_grid() -> None:
    grid = list(haproxy_grid(22))
    assert len(grid) == len(set(map(str, grid))) == 7 * 4 * 2
    assert {setting.maxconn for setting in grid} == {6, 7, 11, 17, 22, 29, 44}
    assert {str(setting.timeout_queue) for setting in grid} == {"5s", "15s", "25s", "1m"}
    assert grid[0].maxconn == 22
    assert {setting.maxconn for setting in haproxy_grid(1)} == {1, 2}

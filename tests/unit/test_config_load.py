"""A file with mistakes: every one is found at once, with file, line and what to write instead."""

from pathlib import Path

import pytest

from texts import MINIMAL
from tidegate.config.load import SIZE_MAX, load_config, parse_config
from tidegate.errors import ConfigError, Problem

FILE = Path("/etc/tidegate/gate.toml")


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, FILE)
    return list(caught.value.problems)


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def test_the_smallest_file_is_read() -> None:
    config = parse_config(MINIMAL, FILE)
    assert config.service["web"].mode == "observe"
    assert config.service["web"].server["a"].limit_static == 4


@pytest.mark.parametrize(
    ("line", "where", "message", "hint"),
    [
        ("mode = 'enforced'", "mode", '"enforced" is not one of the words', 'did you mean "enforce"?'),
        ("moed = 'observe'", "moed", 'there is no key "moed" here', 'did you mean "mode"?'),
        ("zzz = 1", "zzz", 'there is no key "zzz" here', "keys that may stand here: accept_proxy, admission"),
        ("io.drain = 30", "io.drain", "30 has no unit", 'write "30s" for seconds'),
        ("io.drain = '30'", "io.drain", "30 has no unit", 'write "30s" for seconds'),
        ("io.drain = '30x'", "io.drain", '"x" is not a unit of a duration', ""),
        ("io.drain = true", "io.drain", "a duration is text with a unit", "write for example"),
        ("io.buffers_max = 64", "io.buffers_max", "64 has no unit, so it is not a size", 'write "64MiB"'),
        ("io.connections_max = 0", "io.connections_max", "0 is out of range", "write 1 or more"),
        ("io.head_timeout = '0s'", "io.head_timeout", "no time at all", "write the time that you mean"),
        ("tls.kind = 'passthru'", "tls", '"passthru" is not one of the words', 'did you mean "passthrough"?'),
        ("tls.names = ['a']", "tls", 'the key "kind" is missing', ""),
        ("accept_proxy = 'yes please'", "accept_proxy", "valid boolean", ""),
        ("forwarded_from = '10.0.0.1/8'", "forwarded_from[0]", "is not a network", '"10.0.0.0/8"'),
        ("admission.margin = '30s'", "admission.margin", "nothing could be held", "choose less than client_timeout"),
        ("admission.retry_after_min = '1h'", "admission.retry_after_min", "is longer than retry_after_max", ""),
        ("admission.guarantees.bulk = 0.9", "admission.guarantees", "the guarantees add up to 1.75", "add up to 1"),
        ("admission.guarantees.bulk = 2", "admission.guarantees.bulk", "2 is out of range", "write 1 or less"),
        ("vasa.public_url = 'https://a'", "vasa", 'has no table "vasa"', 'set protocol = "vasa"'),
        ("identity.x.role = 'bulk'", "identity.x", "exactly one of subject, address and header", ""),
        ("identity.x.subject = 'CN=a'", "identity.x.subject", "sees no client certificates", "use address"),
        ("tls = {kind='terminate', certificate='a', key='b', client_required=false}", "tls.client_required", "", ""),
        ("tcp.lazy = true", "tcp", "the gate shares connections to servers here", 'for protocol = "tcp"'),
        ("http.rule = [{path='x'}]", "http.rule[0].path", "may not stand here", 'a path begins with "/"'),
    ],
)
def test_one_mistake_in_a_service(line: str, where: str, message: str, hint: str) -> None:
    text = MINIMAL.replace("\n\n", f"\n{line}\n\n", 1)
    problem = only(text)
    assert problem.where == f"service.web.{where}"
    assert message in problem.message
    assert hint in problem.hint
    assert (problem.file, problem.line) == (FILE, 4)


@pytest.mark.parametrize(
    ("line", "where", "message"),
    [
        ("tls.kind = 'passthrough'", "tls", "the gate speaks no TLS"),
        ("forwarded_from = '10.0.0.0/8'", "forwarded_from", "the gate reads no headers"),
        ("http.status = 503", "http", 'has no table "http"'),
        ("identity.x.header = ['user-agent', 'x']", "identity.x.header", "the gate reads no headers"),
        ("tcp.half_open_max = 0", "tcp.half_open_max", "0 is out of range"),
        ("tcp.half_closed_timeout = '0s'", "tcp.half_closed_timeout", "no time at all"),
        ("tcp.idle_timeout = '30s'", "tcp.idle_timeout_pressed", "is longer than idle_timeout, which is 30s"),
        ("tcp.connections_per_client_max = 9000", "tcp.connections_per_client_max", "than the service, which has 8000"),
        ("tcp.lazi = true", "tcp.lazi", 'there is no key "lazi" here'),
    ],
)
def test_one_mistake_in_a_tcp_service(line: str, where: str, message: str) -> None:
    problem = only(MINIMAL.replace('"http"', '"tcp"').replace("\n\n", f"\n{line}\n\n", 1))
    assert problem.where == f"service.web.{where}"
    assert message in problem.message


def test_a_tcp_service_speaks_no_tls_to_servers_and_passthrough_is_lazy_anyway() -> None:
    problem = only(MINIMAL.replace('"http"', '"tcp"') + "tls = {insecure = true}\n")
    assert problem.where == "service.web.server.a.tls"
    problem = only(MINIMAL.replace("\n\n", "\ntls.kind = 'passthrough'\ntcp.lazy = true\n\n", 1))
    assert problem.where == "service.web.tcp.lazy"
    assert "waits for the client's first bytes anyway" in problem.message


def test_answers_cannot_be_lowered_where_they_are_not_read() -> None:
    text = MINIMAL.replace('"http"', '"vasa"')
    text += '[service.web.vasa]\nlower_concurrency = true\n[service.web.tls]\nkind = "passthrough"\n'
    problem = only(text)
    assert problem.where == "service.web.vasa.lower_concurrency"
    assert "reads no answers" in problem.message


@pytest.mark.parametrize(
    ("line", "where", "message"),
    [
        ("limit = 22", "limit", '"22" is not a limit'),
        ("limit = 'static:0'", "limit", '"static:0" is not a limit'),
        ("limit = 'adaptiv'", "limit", '"adaptiv" is not a limit'),
        ("limit_max = 0", "limit_max", "0 is out of range"),
        ("limit_max = 9", "limit_max", 'limit_max bounds an adaptive limit, and this one is "static:4"'),
        ("send_proxy = 'v3'", "send_proxy", '"v3" is not one of the words'),
        ("tls = {}", "tls", "nothing says how the server is verified"),
        ("tls = {insecure = true, ca = 'x'}", "tls", "verified in more than one way"),
        ("tls = {insecure = true, key = 'x'}", "tls.key", 'the key "certificate" is missing'),
        ("tls = {sha256 = 'AB:CD'}", "tls.sha256", "has 64 hexadecimal digits"),
    ],
)
def test_one_mistake_in_a_server(line: str, where: str, message: str) -> None:
    key = line.partition(" ")[0]
    kept = "\n".join(old for old in MINIMAL.splitlines() if old.partition(" ")[0] != key)
    problem = only(f"{kept}\n{line}\n")
    assert problem.where == f"service.web.server.a.{where}"
    assert message in problem.message
    assert problem.line == len(kept.splitlines()) + 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("127.0.0.1:0", "localhost:80", '"localhost" is a name; a service listens on an IP address'),
        ("127.0.0.1:0", "8443", '"8443" is not an address'),
        ("127.0.0.1:0", "127.0.0.1:99999", "99999 is not a port"),
        ("127.0.0.1:8000", "::1:8000", '"::1:8000" is not an address'),
        ("127.0.0.1:8000", "127.0.0.1:0", "0 is not a port that a server can have"),
        ("service.web", "service.Web", "may not stand here"),
    ],
)
def test_one_mistake_in_a_value(old: str, new: str, message: str) -> None:
    assert any(message in problem.message for problem in problems(MINIMAL.replace(old, new)))


def test_a_misspelt_key_is_one_problem_not_two() -> None:
    problem = only(MINIMAL.replace("address", "adress"))
    assert problem.message == 'there is no key "adress" here'
    assert problem.hint == 'did you mean "address"?'


def test_everything_is_found_at_once() -> None:
    text = MINIMAL.replace("listen", "lisen").replace('"http"', '"htp"').replace('"static:4"', "4")
    assert [problem.line for problem in problems(text)] == [2, 3, 7]


def test_a_service_does_not_call_itself() -> None:
    problem = only(MINIMAL.replace("127.0.0.1:0", "127.0.0.1:8000"))
    assert problem.message == "the service would call itself"


def test_two_services_at_one_port() -> None:
    first = MINIMAL.replace("127.0.0.1:0", "127.0.0.1:9000")
    second = MINIMAL.replace("service.web", "service.other").replace("127.0.0.1:0", "0.0.0.0:9000")
    problem = only(first + second)
    assert problem.where == "service.other.listen"
    assert "already taken by web" in problem.message


def test_admin_over_tcp_needs_a_token() -> None:
    problem = only('[gate]\nadmin_tcp = "127.0.0.1:9900"\n' + MINIMAL)
    assert (problem.line, problem.where) == (2, "gate.admin_tcp")
    assert "token" in problem.hint


def test_syntax_errors_have_a_line() -> None:
    problem = only("[service.web]\nlisten = 127.0.0.1\n")
    assert problem.line == 2
    assert problem.message.startswith("is not TOML: ")


def test_an_open_text_has_the_last_line() -> None:
    assert only('a = "x').line == 1


def test_nothing_at_all() -> None:
    assert only("").message == 'the key "service" is missing'


def test_paths_start_at_the_folder_of_the_file() -> None:
    text = MINIMAL + "tls = {ca = 'ca.pem'}\n"
    tls = parse_config(text, FILE).service["web"].server["a"].tls
    assert tls is not None
    assert tls.ca == Path("/etc/tidegate/ca.pem")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "gate.toml")
    problem = caught.value.problems[0]
    assert "cannot be read: No such file" in problem.message
    assert "gate init" in problem.hint


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_bytes(b"a = 1\nb = \xff\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert caught.value.problems[0].line == 2


def test_a_file_without_end(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_bytes(b"#" * (SIZE_MAX + 1))
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert "longer than 1 MiB" in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("line", "key", "message", "hint"),
    [
        ('range = "20000"', "range", '"20000" is not a range of ports', 'write "FIRST-LAST"'),
        ('range = "20000-70000"', "range", "70000 is not a port", "ports go up to 65535"),
        ('range = "30000-20000"', "range", "the range 30000-20000 is empty", 'write "20000-30000"'),
        ('range = "0-400"', "range", "begins with port 0, which is no port", "better above 10000"),
        ('range = "20-40,10-20"', "range", "the ranges 10-20 and 20-40 overlap", "give each port once"),
        ('range = "20000-20007"', "range", "8 ports are kept for probes, as the monitors", "set headroom to fewer"),
        ('headroom = 9\nrange = "20000-20007"', "headroom", "9 ports are kept for probes, and the", "keep fewer"),
        ("headroom = 0", "headroom", "0 is out of range", "write 1 or more"),
        ('sources = "ten"', "sources", '"ten" is not an IP address', "`ip address` lists them"),
        ('sources = ["::1", "0::1"]', "sources", "the source 0::1 is given twice", "remove one"),
        ("sourcs = []", "sourcs", 'there is no key "sourcs" here', 'did you mean "sources"?'),
    ],
)
def test_one_mistake_in_ports(line: str, key: str, message: str, hint: str) -> None:
    problem = only(f"[gate.ports]\n{line}\n\n{MINIMAL}")
    assert problem.where == f"gate.ports.{key}"
    assert message in problem.message
    assert hint in problem.hint
    assert problem.line in {1, 2}

"""A watch's file: read strictly, with file, line and what to write instead; then held against this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidegate.errors import ConfigError, Problem
from tidegate.watch.live.check import look
from tidegate.watch.live.config import WatchConfig
from tidegate.watch.live.load import load_watch, parse_watch

FILE = Path("/etc/tidegate/watch.toml")
MINIMAL = '[watch]\nstate = "watch.db"\n[files.vc]\npaths = "vpxd.log"\n'
SYSLOG = '[watch]\nstate = "watch.db"\n[syslog.esx]\n'


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse_watch(text, FILE)
    return list(caught.value.problems)


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def test_the_smallest_file_is_read_and_its_paths_start_at_its_folder() -> None:
    config = parse_watch(MINIMAL + "[webhook.ops]\nurl = 'https://ops/x'\nsecret_file = 'key'\n", FILE)
    assert config.watch.state == "/etc/tidegate/watch.db"
    assert config.files["vc"].paths == (Path("/etc/tidegate/vpxd.log"),)
    assert config.webhook["ops"].secret_file == Path("/etc/tidegate/key")
    assert config.watch.lateness.seconds == 30


def test_the_example_is_one_to_start_from() -> None:
    config = load_watch(Path(__file__).parents[2] / "examples" / "watch.toml")
    assert set(config.files) | set(config.syslog) == {"vcenter", "hosts"}


def test_a_database_is_no_path() -> None:
    url = "postgresql://watch@db/tidegate"
    assert parse_watch(MINIMAL.replace("watch.db", url), FILE).watch.state == url


@pytest.mark.parametrize(
    ("text", "line", "where", "message", "hint"),
    [
        (MINIMAL + "path = 'x'\n", 5, "files.vc.path", 'there is no key "path"', 'did you mean "paths"?'),
        (MINIMAL + "[flies.x]\n", 5, "flies", 'there is no key "flies"', 'did you mean "files"?'),
        (MINIMAL.replace("watch.db", "mysql://x"), 2, "watch.state", "not mysql://", 'state = "watch.db"'),
        (MINIMAL.replace("watch.db", "postgresql://a:b@c/d"), 2, "watch.state", "holds a password", "~/.pgpass"),
        (MINIMAL.replace("watch.db", ""), 2, "watch.state", "names nothing", 'state = "watch.db"'),
        (MINIMAL.replace("vpxd.log", ""), 4, "files.vc.paths", "names nothing", "/var/log/x.log"),
        (SYSLOG + 'udp = "0.0.0.0:514"\nrelays = ["a.lab", ""]\n', 5, "syslog.esx.relays", '"" is no network', ""),
        (SYSLOG + 'udp = "0.0.0.0:514"\nrelays = "10.0.0.0/99"\n', 5, "syslog.esx.relays", "no network", "/24"),
        (SYSLOG + 'udp = "0.0.0.0:514"\nrelays = "10.0.0.256"\n', 5, "syslog.esx.relays", "no network", "/24"),
        (MINIMAL.replace("watch.db", "postgresql://c/d?password=b"), 2, "watch.state", "holds a password", "~/.pgpass"),
        ('[watch]\nstate = "w.db"\n', 1, "watch", "nothing to look at", "[files.NAME]"),
        (SYSLOG, 3, "syslog.esx", "listens nowhere", 'udp = "0.0.0.0:514"'),
        (SYSLOG + 'tls = "0.0.0.0:6514"\n', 4, "syslog.esx.tls", "needs a certificate", "certificate ="),
        (SYSLOG + 'udp = "0.0.0.0:514"\nkey = "k"\n', 5, "syslog.esx.key", "is for TLS", 'tls = "0.0.0.0:6514"'),
        (SYSLOG + 'udp = "esx:514"\n', 4, "syslog.esx.udp", '"esx" is a name', "this machine's interfaces"),
        (
            SYSLOG + 'tcp = "[::1]:514"\ntls = "[::1]:514"\ncertificate = "c"\nkey = "k"\n',
            5,
            "syslog.esx.tls",
            "is that",
            "",
        ),
        (MINIMAL.replace("[files", 'metrics = "0.0.0.0:9"\n[files'), 3, "watch.metrics", "on loopback only", "127"),
        (MINIMAL.replace("[files", "lateness = 30\n[files"), 3, "watch.lateness", "30 has no unit", '"30s"'),
        (MINIMAL.replace("[files", "shipped_rules = false\n[files"), 3, "watch.shipped_rules", "leaves no rule", ""),
        (MINIMAL + "[webhook.a]\nurl = 'ftp://x'\n", 6, "webhook.a.url", "is no URL", "https://"),
        (MINIMAL + "[webhook.a]\nurl = 'https://u:p@x'\n", 6, "webhook.a.url", "holds a user or a password", ""),
        (
            MINIMAL + "[webhook.a]\nurl = 'https://x'\nsecret_env = 'A'\nsecret_file = 'b'\n",
            8,
            "webhook.a.secret_file",
            "stands beside secret_env",
            "keep one",
        ),
        (
            MINIMAL + "[alertmanager.a]\nurl = 'https://x'\ntoken_env = 'A'\ntoken_file = 'b'\n",
            8,
            "alertmanager.a.token_file",
            "stands beside token_env",
            "keep one",
        ),
    ],
)
def test_a_mistake_has_its_line_and_what_to_write_instead(
    text: str, line: int, where: str, message: str, hint: str
) -> None:
    found = only(text)
    assert (found.file, found.line, found.where) == (FILE, line, where)
    assert message in found.message
    assert hint in found.hint


def test_a_file_that_is_not_there_names_the_example(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_watch(tmp_path / "watch.toml")
    assert "examples/watch.toml" in caught.value.problems[0].hint


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "watch.toml")
    with pytest.raises(ConfigError) as caught:
        load_watch(tmp_path / "watch.toml")
    assert caught.value.problems[0].message == "is a pipe, which is not read"


def written(folder: Path, text: str) -> tuple[WatchConfig, Path]:
    file = folder / "watch.toml"
    file.write_text(text)
    return load_watch(file), file


def test_what_may_come_later_is_a_note(tmp_path: Path) -> None:
    found = look(*written(tmp_path, MINIMAL))
    assert not found.problems
    assert found.rules > 40
    assert [(note.line, note.where) for note in found.notes] == [(4, "files.vc.paths"), (1, "watch")]


def test_a_log_that_two_sources_watch_is_told(tmp_path: Path) -> None:
    (tmp_path / "vpxd.log").write_text("")
    notes = look(*written(tmp_path, MINIMAL + "[files.all]\npaths = '*.log'\n")).notes
    assert "vpxd.log is watched by files.vc too" in notes[0].message
    assert notes[0].line == 6


def test_secrets_certificates_and_rules_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("secret\n")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "vpxd.log").write_text("")
    text = MINIMAL.replace("[files", "rules = 'mine'\n[files") + (
        "[webhook.a]\nurl = 'https://x'\nsecret_file = 'open'\n"
        "[alertmanager.b]\nurl = 'https://x'\ntoken_env = 'TIDEGATE_NOT_SET'\nca = 'none.pem'\n"
        "[syslog.c]\ntls = '127.0.0.1:0'\ncertificate = 'c.pem'\nkey = 'k.pem'\n"
    )
    found = look(*written(tmp_path, text))
    assert not found.notes
    said = {problem.where: problem.message for problem in found.problems}
    assert "others can read" in said["webhook.a.secret_file"]
    assert "$TIDEGATE_NOT_SET is not set" in said["alertmanager.b.token_env"]
    assert {"alertmanager.b.ca", "syslog.c.certificate", "syslog.c.key"} <= set(said)
    assert "is not there" in said[""], "the folder of rules"
    assert "secret\n" not in "".join(said.values())


@pytest.mark.parametrize("kind", ["avi", "f5", "nsx", "vcenter"])
def test_a_password_that_a_probe_will_miss_is_a_note(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"TIDEGATE_{kind.upper()}_PASSWORD"
    monkeypatch.delenv(variable, raising=False)
    text = MINIMAL + f"[probe.a]\nkind = '{kind}'\naddress = 'a.lab'\nuser = 'u'\nverify = false\n"
    notes = look(*written(tmp_path, text)).notes
    assert [note.line for note in notes if f"probe.a: ${variable} is not set" in note.message] == [5]
    monkeypatch.setenv(variable, "x")
    assert not any("probe.a" in note.message for note in look(*written(tmp_path, text)).notes)


def test_files_that_are_no_certificates_are_found_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("no certificate\n")
    text = MINIMAL + (
        "[webhook.a]\nurl = 'https://x'\nca = 'c.pem'\n"
        "[syslog.c]\ntls = '127.0.0.1:0'\ncertificate = 'c.pem'\nkey = 'c.pem'\n"
    )
    found = look(*written(tmp_path, text)).problems
    assert [(one.line, one.where) for one in found] == [(9, "syslog.c.tls"), (7, "webhook.a.ca")]
    assert all("cannot use" in one.message for one in found)


def test_an_act_that_no_rule_knows_has_its_line(tmp_path: Path) -> None:
    text = MINIMAL + (
        "[probe.a]\nkind = 'haproxy'\naddress = 'unix:/run/haproxy.sock'\n"
        "[act.b]\nrule = 'vcenter.none'\ndo = 'recovering'\ncorroborate = 'probe.a'\ngate = 'unix:/run/g.sock'\n"
    )
    (problem,) = look(*written(tmp_path, text)).problems
    assert (problem.line, problem.where) == (9, "act.b.rule")
    assert 'there is no rule "vcenter.none"' in problem.message

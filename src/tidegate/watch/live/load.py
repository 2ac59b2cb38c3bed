"""A watch's file to its model, read strictly: every mistake with its file, line and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tidegate.config.broken import Broken
from tidegate.config.load import absolute, parse_tables, read_text
from tidegate.watch.live.act_config import broken_acts
from tidegate.watch.live.config import SyslogTable, WatchConfig

__all__ = ["load_watch", "parse_watch"]


def load_watch(file: Path) -> WatchConfig:
    """Read a watch's file.

    Raises
    ------
    ConfigError
        With every problem.
    """
    return parse_watch(read_text(file, missing="examples/watch.toml is one to start from"), file)


def parse_watch(text: str, file: Path) -> WatchConfig:
    """Read ``text`` as if it stood in ``file``: relative paths in it start at the file's folder.

    Raises
    ------
    ConfigError
        With every problem.
    """
    config = absolute(parse_tables(text, file, WatchConfig, _broken), file.parent)
    if "://" in config.watch.state:
        return config
    state = str(file.parent.absolute() / config.watch.state)
    return config.model_copy(update={"watch": config.watch.model_copy(update={"state": state})})


def _broken(config: WatchConfig) -> Iterable[Broken]:
    if not (config.files or config.syslog or config.probe):
        yield Broken(("watch",), "has nothing to look at", 'write [files.NAME] and paths = ["/var/log/x.log"]')
    if not (config.watch.rules or config.watch.shipped_rules):
        yield Broken(("watch", "shipped_rules"), "leaves no rule at all", 'write rules = ["my-rules"]')
    for name, syslog in config.syslog.items():
        yield from _syslog(("syslog", name), syslog)
    yield from _twice(config.syslog)
    for name, alertmanager in config.alertmanager.items():
        if alertmanager.token_env and alertmanager.token_file:
            path = ("alertmanager", name, "token_file")
            yield Broken(path, "stands beside token_env", "keep one of the two")
    for name, webhook in config.webhook.items():
        if webhook.secret_env and webhook.secret_file:
            yield Broken(("webhook", name, "secret_file"), "stands beside secret_env", "keep one of the two")
    yield from broken_acts(config.act, config.probe)


def _syslog(path: tuple[str, str], table: SyslogTable) -> Iterator[Broken]:
    if not (table.udp or table.tcp or table.tls):
        yield Broken(path, "listens nowhere", 'write for example udp = "0.0.0.0:514"')
    if table.tls and not (table.certificate and table.key):
        yield Broken((*path, "tls"), "needs a certificate and its key", 'write certificate = "…" and key = "…"')
    if not table.tls and (lone := next((key for key in ("certificate", "key", "clients") if getattr(table, key)), "")):
        yield Broken((*path, lone), "is for TLS, and there is no tls here", 'write tls = "0.0.0.0:6514"')


def _twice(tables: Mapping[str, SyslogTable]) -> Iterator[Broken]:
    """Yield what a listener of this file has already; of port 0 there are many."""
    seen: dict[tuple[bool, str], str] = {}
    for name, table in tables.items():
        for key in ("udp", "tcp", "tls"):
            address = getattr(table, key)
            if not address or address.endswith(":0"):
                continue
            here = f"syslog.{name}.{key}"
            if (first := seen.setdefault((key == "udp", address), here)) != here:
                yield Broken(("syslog", name, key), f"{address} is that of {first}", "give each a port of its own")

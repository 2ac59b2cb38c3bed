"""What is wrong between a watch's file and this machine, before anything is opened: secrets, rules, paths, ports."""

from __future__ import annotations

import glob
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.clients.secret import read_secret
from tidegate.clients.tls import Trust
from tidegate.config.lines import Lines
from tidegate.config.load import read_text
from tidegate.config.problems import dotted
from tidegate.config.reach import Endpoint
from tidegate.errors import ConfigError, FleetError, Problem, TidegateError, UsageError
from tidegate.watch.live.act_config import unknown_to_acts
from tidegate.watch.live.config import WatchConfig
from tidegate.watch.live.syslog_tls import server_context
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

__all__ = ["Looked", "checked_rules", "look", "secret_of"]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: ``problems`` keep the watch from starting, ``notes`` do not."""

    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    rules: int


def checked_rules(config: WatchConfig, file: Path) -> RuleSet:
    """Return the rules that a file names, which have all that its acts name.

    Raises
    ------
    ConfigError
        With every problem of every rule, or of the file.
    """
    rules = load_rules(config.watch.rules, shipped=config.watch.shipped_rules)
    if broken := list(unknown_to_acts(config.act, rules)):
        lines = Lines(read_text(file))
        raise ConfigError(
            [Problem(file, lines.of(one.path), dotted(one.path), one.message, one.hint) for one in broken]
        )
    return rules


def secret_of(variable: str | None, file: Path | None, whose: str, what: str) -> str | None:
    """Return a receiver's secret; ``None`` where it has none.

    Raises
    ------
    FleetError
        When it is named and not there, or others can read it.
    """
    return read_secret(variable or "", file, whose, what) if variable or file else None


def look(config: WatchConfig, file: Path) -> Looked:
    """Look at this machine."""
    lines = Lines(read_text(file))
    problems: list[Problem] = []
    count = 0
    try:
        count = len(checked_rules(config, file))
    except ConfigError as error:
        problems += error.problems

    def said(path: tuple[str, ...], message: str, hint: str) -> Problem:
        return Problem(file, lines.of(path), dotted(path), message, hint)

    problems += [said(*one) for one in (*_secrets(config), *_certificates(config))]
    notes = [said(*one) for one in (*_paths(config), *_receivers(config), *_ports(config), *_passwords(config))]
    return Looked(tuple(problems), tuple(notes), count)


_Said = tuple[tuple[str, ...], str, str]


def _secrets(config: WatchConfig) -> Iterator[_Said]:
    for name, one in config.alertmanager.items():
        yield from _secret(("alertmanager", name), one.token_env, one.token_file, "token")
    for name, hook in config.webhook.items():
        yield from _secret(("webhook", name), hook.secret_env, hook.secret_file, "secret")


def _secret(path: tuple[str, str], variable: str | None, file: Path | None, what: str) -> Iterator[_Said]:
    try:
        secret_of(variable, file, f"the {path[0]} {path[1]}", what)
    except FleetError as error:
        yield (*path, f"{what}_{'env' if variable else 'file'}"), error.message, error.hint


def _certificates(config: WatchConfig) -> Iterator[_Said]:
    for name, one in config.syslog.items():
        files = {"certificate": one.certificate, "key": one.key, "clients": one.clients}
        missing = {key: file for key, file in files.items() if file is not None and not file.is_file()}
        for key, file in missing.items():
            yield ("syslog", name, key), f"{file} is not there", "name a PEM file"
        if one.certificate and one.key and not missing:
            try:
                server_context(one.certificate, one.key, one.clients)
            except UsageError as error:
                yield ("syslog", name, "tls"), error.message, error.hint
    for kind, table in (("alertmanager", config.alertmanager), ("webhook", config.webhook)):
        for name, receiver in table.items():
            if receiver.ca is not None and not receiver.ca.is_file():
                yield (kind, name, "ca"), f"{receiver.ca} is not there", "name a PEM file"
            elif receiver.ca is not None:
                try:
                    Trust(ca=receiver.ca).context("", 0, 0)
                except TidegateError as error:
                    yield (kind, name, "ca"), error.message, error.hint


def _paths(config: WatchConfig) -> Iterator[_Said]:
    seen: dict[str, str] = {}
    for name, table in config.files.items():
        for path in table.paths:
            found = glob.glob(str(path), recursive=True)  # noqa: PTH207 (Path.glob refuses an absolute pattern)
            if not found:
                yield ("files", name, "paths"), f"nothing is at {path} yet", "it is watched as soon as it is there"
            for log in found:
                if (first := seen.setdefault(log, name)) != name:
                    hint = "its records count twice: leave it to one of the two"
                    yield ("files", name, "paths"), f"{log} is watched by files.{first} too", hint
                    break


def _receivers(config: WatchConfig) -> Iterator[_Said]:
    if not (config.alertmanager or config.webhook):
        yield (
            ("watch",),
            "tells nobody",
            'write [webhook.NAME] and url = "https://…", or look with `tidegate watch view`',
        )


def _ports(config: WatchConfig) -> Iterator[_Said]:
    for name, one in config.syslog.items():
        for key in ("udp", "tcp", "tls"):
            address = getattr(one, key)
            if address is not None and (why := _taken(address, udp=key == "udp")):
                hint = "a watch that runs with this file has it; else free it, or choose another"
                yield ("syslog", name, key), f"{address} cannot be listened on now: {why}", hint


def _passwords(config: WatchConfig) -> Iterator[_Said]:
    for name, one in config.probe.items():
        if isinstance(one, Endpoint):
            variable = one.password_env or f"TIDEGATE_{one.kind.upper()}_PASSWORD"
            try:
                read_secret(variable, one.password_file, f"probe.{name}")
            except FleetError as error:  # the service may have it
                yield ("probe", name), f"{error.message}; it would be a gap", error.hint


def _taken(address: str, *, udp: bool) -> str:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as trial:
        if not udp:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(port)))
        except OSError as error:
            return error.strerror or str(error)
    return ""

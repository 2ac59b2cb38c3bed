"""``tidegate rules lint`` and ``rules test``: whether rules are good, and whether they find what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tidegate.cli.printer import Output, Printer
from tidegate.errors import Exit
from tidegate.harmless import harmless
from tidegate.watch.lint import lint as look_at
from tidegate.watch.load import load_rules, rule_files
from tidegate.watch.rule import RuleSet
from tidegate.watch.selftest import Tell, run_tests

__all__ = ["lint", "try_"]


def lint(*paths: Path, output: Output = "text") -> int:
    """Hold rules against what they promise: literals that are rare and survive copying, tests, remedies, versions.

    Exit code 1 when there is a problem, 2 when a file is no rule at all.

    Examples
    --------
    ``tidegate rules lint my-rules/``

    Parameters
    ----------
    paths
        Files or folders of rules; tidegate's own when there are none.
    """
    printer = Printer(output)
    known = _chosen(paths)
    problems = look_at(known)
    printer.data(
        {
            "format": 1,
            "rules": len(known),
            "problems": [{**asdict(problem), "file": str(problem.file)} for problem in problems],
        }
    )
    for problem in problems:
        printer.text(harmless(str(problem)))
        if problem.hint:
            printer.text(harmless(f"  hint: {problem.hint}"))
    printer.text(f"{_plural(len(known), 'rule')}: {_plural(len(problems), 'problem') if problems else 'no problem'}")
    return Exit.BAD if problems else Exit.FINE


def try_(*paths: Path, output: Output = "text") -> int:
    """Run the tests inside rules: as written, damaged in every way that happens to logs, and split at every byte.

    Exit code 1 when a test does not hold.

    Examples
    --------
    ``tidegate rules test``

    Parameters
    ----------
    paths
        Files or folders of rules; tidegate's own when there are none.
    """
    printer = Printer(output)
    known = _chosen(paths)
    with _progress_on(printer.errors, len(known)) as tell:
        outcome = run_tests(known.rules, tell)
    counts = outcome.counts.as_json()
    printer.data({"format": 1, "counts": counts, "failures": [asdict(failure) for failure in outcome.failures]})
    for failure in outcome.failures:
        printer.text(harmless(str(failure)))
    tried = ", ".join(_plural(count, name.removesuffix("s")) for name, count in counts.items())
    failed = len(outcome.failures)
    printer.text(f"{tried}: {_plural(failed, 'failure') if failed else 'all hold'}")
    return Exit.BAD if failed else Exit.FINE


def _chosen(paths: tuple[Path, ...]) -> RuleSet:
    """Return the rules of ``paths``, checked beside the shipped ones: no id may be there twice."""
    known = load_rules(paths)
    if not paths:
        return known
    wanted = {file.resolve() for file in rule_files(paths)}
    chosen = {known.files[rule.id]: rule for rule in known.rules if known.files[rule.id].resolve() in wanted}
    return RuleSet(chosen, {known.files[rule.id]: known.lines[rule.id] for rule in chosen.values()})


@contextmanager
def _progress_on(console: Console, rules: int) -> Iterator[Tell]:
    """Show which rule is being tested, on a terminal only."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=rules)
        done = 0

        def tell(name: str) -> None:
            nonlocal done
            progress.update(task, description=name, completed=done)
            done += 1

        yield tell


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"

"""Runs the tests that rules carry: as they stand, damaged in every way that happens to logs, and split at every byte.

- A *positive* is found by its signature, with its fields; also under every transform of :mod:`tidegate.watch.damage`,
  with the same number of hits; and when it comes in two reads, wherever they are split.
- A *negative* is not found by any signature of the rule that tells of an incident, damaged or not.
- A positive or negative of a *probe* is a dump whose measure reaches the threshold, or does not.
- A *replay* fires its window as often as it says.
- The packets of a *played* test show the rule's finding, with the outcome that it names, or do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields

from tidegate.watch.capture.engine import analysed_bytes
from tidegate.watch.capture.script import as_capture, read_script
from tidegate.watch.damage import damaged
from tidegate.watch.plan import to_plan, to_window
from tidegate.watch.ports import kind_of, measure, read_dump
from tidegate.watch.rule import Absence, Negative, Played, Positive, Replay, Rule
from tidegate.watch.scan import Json, Scanner
from tidegate.watch.windows import Event, episodes

__all__ = ["Counts", "Failure", "Outcome", "Tell", "run_tests"]

Tell = Callable[[str], None]
"""Gets the id of the rule whose tests run next."""


@dataclass(slots=True)
class Counts:
    """How much was tried."""

    rules: int = 0
    positives: int = 0
    transforms: int = 0
    splits: int = 0
    negatives: int = 0
    replays: int = 0
    captures: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)

    def __iadd__(self, other: Counts) -> Counts:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that does not hold. ``under`` is the transform, or empty for the text as it stands."""

    rule: str
    test: str
    under: str
    message: str

    def __str__(self) -> str:
        under = f" ({self.under})" if self.under else ""
        return f'{self.rule}: "{self.test}"{under}: {self.message}'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the tests of some rules."""

    counts: Counts
    failures: tuple[Failure, ...]


def run_tests(rules: Iterable[Rule], tell: Tell | None = None) -> Outcome:
    """Run the tests of every rule.

    Raises
    ------
    UsageError
        When a rule cannot be compiled.
    GateError
        When the compiled part is missing.
    """
    counts, failures = Counts(), []
    for rule in rules:
        if tell is not None:
            tell(rule.id)
        tried = _Tried(rule)
        failures += list(tried.all())
        counts += tried.counts
    return Outcome(counts, tuple(failures))


class _Tried:
    """The tests of one rule."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._scanner = Scanner(to_plan([rule], marks=()))
        self._incidents = {rule.signature_id(one) for one in rule.signatures if one.role == "incident"}
        self.counts = Counts(rules=1)

    def all(self) -> Iterator[Failure]:
        """Yield every failure."""
        for positive in self._rule.tests.positive:
            yield from self._positive(positive)
        for negative in self._rule.tests.negative:
            yield from self._negative(negative)
        for replay in self._rule.tests.replay:
            yield from self._replay(replay)
        for played in self._rule.tests.played:
            yield from self._played(played)

    def _positive(self, test: Positive) -> Iterator[Failure]:
        self.counts.positives += 1
        signature = self._rule.signature(test.signature or "")
        if signature is None:
            yield from self._probed(test)
            return
        name = self._rule.signature_id(signature)
        data = test.text.encode()
        pristine = self._hits(data)
        here = [hit for hit in pristine if hit["signature"] == name]
        if not here:
            yield self._failed(test.name, "", f"the signature {signature.id} finds nothing in it")
            return
        if wrong := _wrong_fields(test, here[0]["fields"]):
            yield self._failed(test.name, "", wrong)
            return
        for transform, text in damaged(test.text, signature.literals, prose=signature.from_ == "prose"):
            self.counts.transforms += 1
            hits = [hit for hit in self._hits(text.encode()) if hit["signature"] == name]
            if len(hits) != len(here):
                words = f"the signature {signature.id} finds {len(hits)} records instead of {len(here)}"
                yield self._failed(test.name, transform.says, words)
            elif wrong := _wrong_fields(test, hits[0]["fields"]):
                yield self._failed(test.name, transform.says, wrong)
        for cut in range(1, len(data)):
            self.counts.splits += 1
            if self._hits(data, cut) != pristine:
                yield self._failed(test.name, f"split after {cut} bytes", "it is not found as in one piece")
                return

    def _probed(self, test: Positive) -> Iterator[Failure]:
        """Read a dump; the value that the probe asks for must be at its threshold."""
        value, probe = self._value(test.text), self._rule.probe
        if value is None or probe is None:
            yield self._failed(test.name, "", "it is no dump that the probe can measure")
        elif value < probe.at_least:
            yield self._failed(test.name, "", f"{probe.measure} is {value:g}, less than {probe.at_least:g}")

    def _value(self, text: str) -> float | None:
        kind = kind_of(text)
        if kind is None or self._rule.probe is None:
            return None
        try:
            measured = measure(read_dump(kind, text), self._rule.probe.measure)
        except ValueError:
            return None
        return max((one.value for one in measured), default=None)

    def _negative(self, test: Negative) -> Iterator[Failure]:
        self.counts.negatives += 1
        texts = [("", test.text)] + [(transform.says, text) for transform, text in damaged(test.text)]
        self.counts.transforms += len(texts) - 1
        value, probe = self._value(test.text), self._rule.probe
        if probe is not None and value is not None and value >= probe.at_least:
            yield self._failed(test.name, "", f"{probe.measure} is {value:g}, and must be less than {probe.at_least:g}")
        for under, text in texts:
            found = {hit["signature"] for hit in self._hits(text.encode())} & self._incidents
            if found:
                names = ", ".join(sorted(name.partition("/")[2] for name in found))
                yield self._failed(test.name, under, f"it is found by {names}, and must not be")

    def _replay(self, test: Replay) -> Iterator[Failure]:
        self.counts.replays += 1
        window = next(one for one in self._rule.windows if one.id == test.window)
        every = test.every.count
        events = [Event(n * every, test.signature, (), str(n) if test.spread else "") for n in range(test.count)]
        until = events[-1].time + window.over.count if isinstance(window, Absence) else None
        fired = len(episodes(to_window(window), events, until=until))
        if fired != test.fires:
            yield self._failed(test.name, "", f"the window {window.id} fires {fired} times instead of {test.fires}")

    def _played(self, test: Played) -> Iterator[Failure]:
        self.counts.captures += 1
        every = test.every.count if test.every else 0
        capture = as_capture(read_script(test.packets), times=test.times, every=every, port=test.port, by=test.by)
        word = self._rule.capture.finding if self._rule.capture else ""
        found = [one for one in analysed_bytes(test.name, capture)["found"] if one["finding"] == word]
        outcomes = sorted({str(one["outcome"]) for one in found})
        if not found and test.found:
            yield self._failed(test.name, "", f"its packets do not show {word}")
        elif found and not test.found:
            yield self._failed(test.name, "", f"its packets show {word}, and must not")
        elif test.outcome is not None and test.outcome not in outcomes:
            yield self._failed(test.name, "", f'the outcome is "{", ".join(outcomes)}" instead of "{test.outcome}"')

    def _hits(self, data: bytes, cut: int | None = None) -> list[Json]:
        hits: list[Json] = self._scanner.scan_text("text", data, cut=cut)["hits"]
        return hits

    def _failed(self, test: str, under: str, message: str) -> Failure:
        return Failure(self._rule.id, test, under, message)


def _wrong_fields(test: Positive, found: Json) -> str:
    """Return what is wrong with the fields, or nothing; white space does not count."""
    for name, value in test.fields.items():
        if name not in found:
            return f"it has no field {name}"
        if " ".join(str(found[name]).split()) != " ".join(value.split()):
            return f'the field {name} is "{found[name]}" instead of "{value}"'
    return ""

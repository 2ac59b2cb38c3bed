"""Alerts for VMware Aria Operations for Logs: bodies for ``POST /vrlic/api/v1/alert``.

The form is that of the vendor's developer documentation (AlertDefinitionDto). ``text CONTAINS`` looks for whole words
in their order, without regard to case: letters, digits, ``-`` and ``_`` are a word, all else stands between words.
Whether a record with several lines is one event there depends on the agent, so a query must be right either way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidegate.watch.export.common import BETWEEN_LOOKS, Alert, Export, Json, Refusal, alerts_of, miscounted
from tidegate.watch.export.phrases import phrases_of
from tidegate.watch.rule import Rule, Signature

__all__ = ["contains", "export"]

_PERIOD_MIN = 60
"""Shortest period of an alert there, in seconds."""
# What an article itself says to search for: the description tells whether it finds the article's own sample.
_PROPOSED = {"440879": ("The session is not authenticated", "vim.NfcService.fileManagement")}
_SEVERITY = {"critical": "CRITICAL", "warning": "WARNING", "notice": "INFO"}
_WORD = re.compile(r"[A-Za-z0-9_-]+")


def export(rules: Sequence[Rule]) -> Export:
    """Return one alert definition per window that can be counted there; windows that ask the same become one."""
    alerts: dict[str, Json] = {}
    refusals = []
    for rule in rules:
        for alert in alerts_of(rule):
            made = alert if isinstance(alert, Refusal) else _definition(alert)
            if isinstance(made, Refusal):
                refusals.append(made)
            else:
                same = repr((rule.id, made["query"]["constraints"], made["threshold"], made["periodInMillis"]))
                alerts.setdefault(same, made)
    return Export("aria", tuple(alerts.values()), tuple(refusals))


def contains(phrase: str, text: str) -> bool:
    """Tell whether ``text CONTAINS phrase`` there: the words of the phrase stand in the text, one after another."""
    wanted = [word.lower() for word in _WORD.findall(phrase)]
    words = [word.lower() for word in _WORD.findall(text)]
    return any(words[n : n + len(wanted)] == wanted for n in range(len(words) - len(wanted) + 1))


def _definition(alert: Alert) -> Json | Refusal:
    queries = [_phrases(signature) for signature in alert.signatures]
    wanted = list({tuple(query): query for query in queries if query}.values())

    def sees(text: str) -> bool:
        return any(all(contains(phrase, text) for phrase in query) for query in wanted)

    reason = _cannot(alert)
    if not all(queries):
        reason = reason or "a signature of it has no fixed text that is in all its records"
    if len(wanted) > 1 and any(len(query) > 1 for query in wanted):
        reason = reason or "its signatures need more than one text each, and a query has one operator for all"
    reason = reason or miscounted(alert, sees)
    return Refusal(alert.name, reason) if reason else _body(alert, wanted)


def _cannot(alert: Alert) -> str:
    """Return what an alert there cannot do."""
    if alert.distinct:
        return f"it counts different values of {alert.distinct}, and an alert there counts events"
    if alert.by:
        return f"it counts by {' and '.join(alert.by)}, and an alert there counts all events together, so too many"
    if alert.over < _PERIOD_MIN:
        return f"its window of {alert.over} s is shorter than the shortest there, {_PERIOD_MIN} s"
    return ""


def _phrases(signature: Signature) -> list[str]:
    """Return texts that are all in the line, or in a record, that the signature is about."""
    asked = [signature.line] if signature.line is not None else list(signature.all_)
    literal = list(signature.literals) if signature.line is None and len(signature.literals) == 1 else []
    # * and ? stand for any text there, so a phrase is cut at them.
    phrases = [*literal, *(phrase for text in asked for phrase in phrases_of(text) or [])]
    plain = [part.strip() for phrase in phrases for part in re.split(r"[*?]", phrase) if _WORD.search(part)]
    return [one for one in dict.fromkeys(plain) if not any(one != other and one in other for other in plain)]


def _body(alert: Alert, wanted: list[list[str]]) -> Json:
    rule = alert.rule
    texts = [phrase for query in wanted for phrase in query]
    operator = "OR" if len(wanted) > 1 else "AND"
    constraints = [{"operator": "CONTAINS", "fieldName": "text", "value": text, "constraints": None} for text in texts]
    inner = {"operator": operator, "fieldName": None, "value": None, "constraints": constraints}
    return {
        "name": f"tidegate {alert.name}",
        "description": " ".join(
            [f"{rule.title}.", alert.says, *_about(rule, texts), BETWEEN_LOOKS, f"See {rule.source.url}"]
        ),
        "recommendations": " ".join(
            f"{remedy.title}{f' ({remedy.impact})' if remedy.impact else ''}."
            for remedy in sorted(rule.remedies, key=lambda one: not one.prefer)
        ),
        "periodInMillis": alert.over * 1000,
        "threshold": alert.more_than,
        "operator": "GREATER_THAN",
        "severityThreshold": {_SEVERITY[alert.severity]: alert.more_than},
        "alertType": "windowed",
        "source": "USER_DEFINED",
        "query": {
            "name": f"tidegate {alert.name}",
            "source": "USER_DEFINED",
            "description": f"tidegate rule {rule.id}, revision {rule.rev}",
            "constraints": {"operator": "AND", "fieldName": None, "value": None, "constraints": [inner]},
        },
    }


def _about(rule: Rule, texts: list[str]) -> list[str]:
    """Say so where the article's own query does not find the article's own sample."""
    proposed = _PROPOSED.get(rule.article or "")
    samples = [test.text for test in rule.tests.positive if all(contains(text, test.text) for text in texts)]
    if proposed is None or any(all(contains(text, sample) for text in proposed) for sample in samples):
        return []
    asked = " and ".join(f'"{text}"' for text in proposed)
    return [f"The query of KB {rule.article} itself ({asked}) does not match the article's own sample; this one does."]

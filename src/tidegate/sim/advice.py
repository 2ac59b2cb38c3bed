"""The answer of ``plan.py`` in words."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.sim.engine import Json

__all__ = ["sentences"]


def sentences(answer: Json) -> Iterator[str]:
    """Yield the answer in words."""
    storm, gate, none, manual = answer["scenario"], answer["gate"], answer["none"], answer["manual"]
    hosts = storm["hosts"]
    floor = f" (the least possible time is {_time(answer['floor_s'])})" if answer["floor_s"] is not None else ""
    yield f"Through a gate: {_outcome(gate, hosts, storm['window_s'])}{floor}. {_price(gate)}"
    yield f"Without one: {_outcome(none, hosts, storm['window_s'])}. {_price(none)}"
    quick, slow = manual["article"]
    yield (
        f"By hand as KB 412434 says, {slow['batch']} to {quick['batch']} hosts every 2 to 3 minutes: "
        f"{_time(quick['last_connected_s'])} to {_time(slow['last_connected_s'])}."
    )
    fastest = manual["fastest"]
    if fastest is not None and fastest["played"]:
        yield (
            f"By hand at its quickest without a timeout and without wasted work: {fastest['batch']} hosts every "
            f"{fastest['pause_s']} s, the last one is in after {_time(fastest['last_connected_s'])}."
        )
    elif fastest is not None:
        yield (
            f"By hand no quicker than {_time(fastest['last_connected_s'])}: {fastest['batch']} hosts every "
            f"{fastest['pause_s']} s, if the server stands that, which was not played for so many hosts."
        )
    else:
        yield "By hand no batch of 5 to 50 hosts every 15 s to 5 min goes without timeouts or wasted work."
    yield from _wins(gate, none, manual)


def _wins(gate: Json, none: Json, manual: Json) -> Iterator[str]:
    last = gate["last_connected_s"]
    if last is None:
        yield "The gate does not get all hosts in within the window either: the server is too slow for them."
        return
    wins = []
    if none["last_connected_s"] is None:
        wins.append("the difference between all hosts and a server that never recovers by itself")
    elif none["last_connected_s"] > last:
        wins.append(f"{_time(none['last_connected_s'] - last)} against no gate")
    else:
        wins.append("no time against no gate, since this server takes the storm")
    by_hand = manual["fastest"] or manual["article"][0]
    if by_hand["last_connected_s"] > last:
        wins.append(f"{_time(by_hand['last_connected_s'] - last)} against the quickest restart by hand")
    yield f"So a gate wins {'; '.join(wins)}."


def _outcome(run: Json, hosts: int, window_s: float) -> str:
    if run["last_connected_s"] is not None:
        return f"the last of {hosts} hosts is in after {_time(run['last_connected_s'])}"
    return f"only {run['connected']} of {hosts} hosts are in after {_time(window_s)}"


def _price(run: Json) -> str:
    failed = run["failed_attempts"]
    tries = sum(failed.values())
    if not tries and not run["wasted_work"]:
        return "No attempt fails, and no work is wasted."
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in failed.items() if count)
    waste = f"{run['wasted_work'] * 100:.3g} % of the server's work is" if run["wasted_work"] else "no work is"
    return f"{tries} attempts fail ({kinds}) and {waste} wasted." if tries else f"No attempt fails, and {waste} wasted."


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "longer than was played"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86400:.0f} days"

"""What a reading means in words, and what three changes would do, in numbers."""

from __future__ import annotations

import math

from tidegate.watch.ports.model import LINUX, Bucket, Gauge, PortReading, WhatIf

__all__ = ["says", "what_if"]

_WORDS = {"ok": "fine", "notice": "half used", "warning": "filling up", "critical": "almost exhausted"}
_GOAL = 0.5
"""Share below which more source addresses must bring a bucket: where Linux's connect() turns slow."""
_NO_AGES = {
    "ss": "take ss -tani, which tells when a byte last moved",
    "proc": "take ss -tani, which tells when a byte last moved",
}


def says(bucket: Bucket) -> str:
    """Return one sentence about a bucket."""
    word = "exhausted" if bucket.exhausted else _WORDS[bucket.level]
    if bucket.said and not bucket.connections:
        times = f" {_number(bucket.messages)} times" if bucket.messages > 1 else ""
        return f'{bucket.scope}: the device says{times} "{bucket.said}": {word}'
    details = ""
    waiting = bucket.by_state.get("TIME-WAIT", 0)
    if waiting:
        details += f", {_number(waiting)} of them in TIME-WAIT"
    if bucket.idle:
        details += f", {_number(bucket.idle)} of them idle"
    if bucket.said:
        details += f', and the device says "{bucket.said}"'
    most = "at most " if bucket.at_most else ""
    return (
        f"{bucket.scope}: {most}{_number(bucket.connections)} of {_number(bucket.capacity)} source ports in use "
        f"({math.floor(100 * bucket.connections / bucket.capacity)} %{details}): {word}"
    )


def what_if(reading: PortReading) -> list[WhatIf]:
    """Return what sharing connections, more source addresses and half the idle timeout would each do.

    Parameters
    ----------
    reading
        Any reading; only its services and its buckets past a watermark are looked at, at most the 20 worst.

    Returns
    -------
    list
        Three answers per bucket, and one per service that tells its requests.
    """
    answers: list[WhatIf] = []
    worst = [bucket for bucket in reading.buckets if bucket.level != "ok"][:20]
    for bucket in worst:
        answers += [_shared(bucket), _addresses(bucket), _half(bucket, reading.kind)]
    told = {(bucket.connections, bucket.active) for bucket in worst if bucket.at_most}
    answers += [
        _service(gauge)
        for gauge in reading.gauges[:100]
        if gauge.kind == "service"
        and (gauge.open_connections, gauge.open_requests) not in told
        and _worth(gauge, bool(worst))
    ]
    return answers


def _worth(gauge: Gauge, trouble: bool) -> bool:
    return gauge.open_requests is not None and gauge.open_connections >= (1 if trouble else _GOAL * LINUX)


def _margin(active: int) -> int:
    """Return 4·√n, at least 8: random arrivals swing by √n, and a pool must hold their peaks."""
    return max(8, math.ceil(4 * math.sqrt(active)))


def _remaining(connections: int, active: int, *, exact: bool = True) -> tuple[int, str]:
    margin = _margin(active)
    then = min(connections, active + margin)
    busy = (
        f" carry {_number(active)} requests in flight"
        if exact
        else f", {_number(active)} of them moved a byte within 60 s"
    )
    return then, (
        f"{_number(connections)} connections{busy}; shared by all clients, {'about' if exact else 'no more than'} "
        f"{_number(active)} + {_number(margin)} (4·√n, for peaks) = {_number(active + margin)} are needed"
    )


def _shared(bucket: Bucket) -> WhatIf:
    then = None
    if not bucket.shareable:
        text = "the balancer only passes bytes on here: connections cannot be shared unless it speaks HTTP"
    elif bucket.active is None:
        text = "not known from this dump: it does not tell how many requests are in flight"
    else:
        then, text = _remaining(bucket.connections, bucket.active, exact=bucket.active_exact)
    return WhatIf("multiplexing", bucket.scope, bucket.connections, then, None, f"Multiplexing: {text}.")


def _service(gauge: Gauge) -> WhatIf:
    then, text = _remaining(gauge.open_connections, gauge.open_requests or 0)
    text = f"Multiplexing: {text} to the servers."
    return WhatIf("multiplexing", gauge.name, gauge.open_connections, then, None, text)


def _addresses(bucket: Bucket) -> WhatIf:
    held = bucket.connections or bucket.capacity
    needed = math.floor(held / (_GOAL * bucket.capacity)) + 1
    then = math.ceil(held / needed)
    least = "" if bucket.connections else "at least "
    text = (
        f"More source addresses: {least}{needed} in all, with {_number(then)} connections each, "
        f"bring it to {math.floor(100 * then / bucket.capacity)} %."
    )
    return WhatIf("source-addresses", bucket.scope, bucket.connections, then, needed, text)


def _half(bucket: Bucket, kind: str) -> WhatIf:
    ended = bucket.ended_by_half
    if ended is None:
        hint = _NO_AGES.get(kind, "it does not tell how long connections have been idle")
        text, then = f"not known from this dump: {hint}", None
    else:
        then = bucket.connections - ended
        text = (
            f"{_number(ended)} connections have been idle for half of the longest idle time seen, or more; "
            f"they would end, and {_number(then)} remain"
        )
    return WhatIf("idle-timeout", bucket.scope, bucket.connections, then, None, f"Half the idle timeout: {text}.")


def _number(value: int) -> str:
    """Return a number with a space between thousands."""
    return f"{value:,}".replace(",", " ")

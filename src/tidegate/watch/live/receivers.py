"""Receivers as a watch's file names them, with their secrets."""

from __future__ import annotations

from tidegate.watch.live.alertmanager import Alertmanager
from tidegate.watch.live.check import secret_of
from tidegate.watch.live.config import WatchConfig
from tidegate.watch.live.receiver import Receiver
from tidegate.watch.live.webhook import Webhook

__all__ = ["receivers_of"]


def receivers_of(config: WatchConfig) -> list[Receiver]:
    """Return the receivers of a file: ``alertmanager.NAME``, ``webhook.NAME``.

    Raises
    ------
    FleetError
        When a secret is not there, or others can read it.
    """
    receivers: list[Receiver] = []
    for name, one in config.alertmanager.items():
        token = secret_of(one.token_env, one.token_file, f"the alertmanager {name}", "token")
        receivers.append(
            Alertmanager(f"alertmanager.{name}", one.url, token=token, ca=one.ca, timeout_s=one.timeout.seconds)
        )
    for name, hook in config.webhook.items():
        secret = secret_of(hook.secret_env, hook.secret_file, f"the webhook {name}", "secret")
        key = None if secret is None else secret.encode()
        receivers.append(Webhook(f"webhook.{name}", hook.url, secret=key, ca=hook.ca, timeout_s=hook.timeout.seconds))
    return receivers

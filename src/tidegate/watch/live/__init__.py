"""Leave it running: sources, windows that fill up, episodes, alerts; what was known before is known after a crash.

::

    files, syslog, probes ──► Batch ──► reading ──► Hit ──► machine (pure) ──► Notice
                                                                 │
                                  store: positions, windows, episodes, outbox in one transaction
                                                                 │
                                              outbox ──► Alertmanager, webhooks
"""

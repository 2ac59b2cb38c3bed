"""Configuration texts that several tests begin with."""

MINIMAL = """\
[service.web]
listen = "127.0.0.1:0"
protocol = "http"

[service.web.server.a]
address = "127.0.0.1:8000"
limit = "static:4"
"""

"""Benchmarks: what tidegate costs beside other proxies. `make bench-gate` runs `benches.gate`; see README.md."""

"""Captures as findings, and as a part of the page: Rust judges the packets, this says it in words."""

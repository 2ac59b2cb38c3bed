"""Reads dumps of connections, offline: which bucket of source ports is exhausted, and what would help, in numbers."""

"""Trials as processes on this machine: no cluster, the same engine, state in one SQLite file."""

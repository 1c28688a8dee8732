"""The pure core: records in, decisions out. No clock, no I/O, no global random state."""

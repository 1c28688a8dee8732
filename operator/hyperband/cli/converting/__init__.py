"""Studies that were written for others, as studies of ours; pure: no files, no terminal."""

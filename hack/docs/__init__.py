"""The site of the documentation: what is built of `docs/`, and of the code."""

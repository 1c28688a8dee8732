"""`python -m hyperband.cli`, where the package is not installed."""

from hyperband.cli.main import app

app(prog_name="hyperband")

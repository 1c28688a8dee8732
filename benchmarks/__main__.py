"""`make bench`: what decisions cost and, where a kind cluster is up, how fast answers are."""

from rich.console import Console

from benchmarks import answers, decisions

console = Console(width=100)
decisions.run(console)
answers.run(console)

"""`make bench-autoscaling`: GPU-seconds paid for each one used, on nodes from zero and back.

Karpenter, the scheduler and the operator are the real programs; KWOK plays the nodes, and what
pods would train is played here. Nothing of it touches another cluster.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.autoscaling import cluster
from benchmarks.autoscaling.study import Figures, Setting, measure

MODES = ("Promotion", "Stopping", "Synchronous")
SEEDS = (0, 1, 2)


def main() -> int:
    """Runs each mode with each seed, and prints; 1 if something was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    for name in ("parallelism", "trials", "epochs", "boot", "consolidate-after", "spot-gpus"):
        parser.add_argument(f"--{name}", type=int, default=_default(name))
    for name in ("epoch", "spot-life"):
        parser.add_argument(f"--{name}", type=float, default=_default(name))
    parser.add_argument("--logs", type=Path, help="keep the programs' logs there")
    options = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends too
    modes, seeds, logs = (options.pop(name) for name in ("modes", "seeds", "logs"))
    console, runs = Console(width=120), []
    for seed in seeds:
        for mode in modes:
            setting = Setting(mode, seed, **options)
            folder = logs / f"{mode}-{seed}" if logs else None
            with cluster.running(folder) as running:
                figures = asyncio.run(measure(running, setting))
            runs.append((mode, figures))
            load = os.getloadavg()[0]
            text = {"mode": mode, "seed": seed, "ratio": round(figures.ratio, 3), "load": load}
            print(json.dumps(text | asdict(figures)), file=sys.stderr, flush=True)
    console.print(table(runs))
    return int(any(figures.faults or figures.beyond for _, figures in runs))


def _default(name: str) -> object:
    return Setting.__dataclass_fields__[name.replace("-", "_")].default


def table(runs: list[tuple[str, Figures]]) -> Table:
    """Least, median and most of each figure, by mode."""
    made = Table(title="GPU nodes from zero and back", title_justify="left")
    made.add_column("")
    modes = list(dict.fromkeys(mode for mode, _ in runs))
    for mode in modes:
        made.add_column(mode, justify="right")
    rows: dict[str, Callable[[Figures], float]] = {
        "paid for each GPU-second used": lambda f: f.ratio,
        "  the same until its last new trial": lambda f: f.growing[0] / f.growing[1],
        "  of it while a node boots": lambda f: f.idle.booting / f.used,
        "  beside and between pods": lambda f: f.idle.between / f.used,
        "  after a node's last pod": lambda f: f.idle.leaving / f.used,
        "GPU-seconds used": lambda f: f.used,
        "the operator's account": lambda f: f.account,
        "study, s": lambda f: f.seconds,
        "to zero after its end, s": lambda f: f.to_zero,
        "most pods without a node": lambda f: f.most_waiting,
        "nodes, of them spot": lambda f: f.machines,
        "spot nodes interrupted": lambda f: f.interrupted,
        "attempts disrupted": lambda f: f.disrupted_pods,
    }
    for what, figure in rows.items():
        cells = [_spread([figure(f) for m, f in runs if m == mode]) for mode in modes]
        made.add_row(what, *cells)
    return made


def _spread(values: list[float]) -> str:
    parts = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{part:,.0f}" if part >= 20 else f"{part:.2f}" for part in parts)


if __name__ == "__main__":
    sys.exit(main())

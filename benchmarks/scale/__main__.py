"""`make bench-scale`: many pods and studies at once, on one small operator.

API server, etcd, scheduler and operator are the real programs; KWOK plays the nodes, and what pods
would train is played here. Nothing of it touches another cluster.
"""

import argparse
import asyncio
import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.scale import cluster, neighbours, plots
from benchmarks.scale.point import Figures, Setting, measure

MODES = ("Promotion", "Stopping", "Synchronous", "None")
SEARCHERS = ("Random", "GaussianProcess", "KernelDensity", "Evolution")


def main() -> int:
    """Runs one point, and ends with one line of figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    defaults = Setting(1_000)

    def option(name: str, text: str) -> None:
        default = getattr(defaults, name)
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=type(default), default=default, help=text)

    option("pods", "live at once, in all studies together")
    option("studies", "among which they are divided")
    parser.add_argument("--mode", choices=MODES, default=defaults.mode, help="of all studies")
    parser.add_argument(
        "--searcher", choices=SEARCHERS, default=defaults.searcher, help="of all studies"
    )
    option("foreign", "pods of others, held by a gate")
    option("most_trials", "of each study")
    option("share", "of the reports a second that a bare client reaches, so many come")
    option("reports", "a second, instead of a share, if not 0")
    option("steady", "seconds in which they come")
    option("burst", "pods that reach a rung at once, at most")
    option("recorded", "with --beside: trials that the noisy study has before")
    option("limit", "seconds for all, after which nothing is kept")
    parser.add_argument("--beside", action="store_true", help="what they do to a quiet study")
    parser.add_argument("--logs", type=Path, help="keep the programs' logs in this folder")
    parser.add_argument(
        "--out", type=Path, help="keep the point in this folder, and draw all that are there"
    )
    options = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends too
    logs, out, beside = (options.pop(name) for name in ("logs", "out", "beside"))
    setting = Setting(**options)
    if beside:
        with cluster.running(logs) as scene:
            pair = asyncio.run(neighbours.measure(scene, setting))
        print(neighbours.line(setting, *pair))
        return 0
    with cluster.running(logs) as scene:
        figures, samples = asyncio.run(measure(scene, setting))
    point = dataclasses.asdict(setting) | dataclasses.asdict(figures)
    print(json.dumps(point))
    if out is not None:
        keep(out, point | {"samples": [sample.summary() for sample in samples]})
    print(line(setting, figures))
    return 0


def keep(folder: Path, point: dict[str, Any]) -> None:
    """Writes a point, and draws it and all that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{point['mode']}-{point['searcher']}-{point['studies']}-{point['pods']}".lower()
    (folder / f"{name}.json").write_text(json.dumps(point))
    plots.over_time(point, folder / f"{name}.svg")
    points = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    alike = [p for p in points if (p["mode"], p["searcher"]) == (point["mode"], point["searcher"])]
    plots.by_size(alike, folder / f"{point['mode']}-{point['searcher']}.svg".lower())


def line(setting: Setting, figures: Figures) -> str:
    """The figures in one line."""
    f, b = figures, figures.bare
    return (
        f"{setting.pods:,} pods in {setting.studies:,} studies, {setting.mode}: "
        f"launches {f.launches:.0f}/s ({f.launches / b.launches:.2f} of a bare client's), "
        f"until all run {f.running:.0f}/s ({f.running / b.running:.2f}), "
        f"decisions {f.decisions:.0f}/s, ends {f.ends:.0f}/s ({f.ends / b.ends:.2f}), "
        f"promotions {_of(f.promotions, b.promotions)}, "
        f"answers at {f.reports:.0f} reports/s p50 {f.answers[0]:.3f} s, p99 {f.answers[1]:.3f} s "
        f"(API server {f.server[0]:.3f}, {f.server[1]:.3f}), "
        f"memory {f.memory / 2**20:.0f} MiB ({f.trial_memory / 1024:.1f} KiB a trial), "
        f"restart {f.restarted:.1f} s, {f.touched} pods touched, {f.beyond} writes too many"
    )


def _of(rate: float, bare: float) -> str:
    return f"{rate:.0f}/s ({rate / bare:.2f})" if bare else "none"


if __name__ == "__main__":
    sys.exit(main())

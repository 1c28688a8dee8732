"""Follows an attempt's report file, as the sidecar of a pod does, into what its annotation says."""

import json
from collections.abc import Iterable
from pathlib import Path

from hyperband.api.metrics import NO_REPORTS, Reports, parse_metrics
from hyperband.core.records import Study, Trial
from hyperband.core.rungs import Ladder
from hyperband.report._history import History
from hyperband.report._lines import MAX_LINE, Begun, Event, LineFile, TooLong
from hyperband.report._written import Unusable, read_line
from hyperband.report.sidecar import Known


class ReportFile:
    """What one attempt has reported so far, kept as bounded as an annotation."""

    def __init__(self, path: Path, study: Study, ladder: Ladder, trial: Trial) -> None:
        self._file = LineFile(path)
        self._metric, self._resource = study.objective.metric, study.resource.name
        levels = ladder.levels[ladder.first(trial.bracket) :]
        self._history = History(self._resource, self._metric, levels)
        self._known = Known(self._resource, self._metric)
        self._reports = NO_REPORTS

    def read(self, *, all_of_it: bool = False) -> Reports | None:
        """All reports, if there are new ones; else None.

        Args:
            all_of_it: the training is over: nothing is left for later.
        """
        new = self._take(self._file.read())
        while all_of_it and self._file.behind:
            new |= self._take(self._file.read())
        if all_of_it:
            new |= self._take(self._file.finish())
        if not new:
            return None
        self._reports = parse_metrics(self._history.text(), self._metric, self._resource)
        return self._reports

    @property
    def reports(self) -> Reports:
        """What was read last."""
        return self._reports

    def close(self) -> None:
        """Nothing more will be read."""
        self._file.close()

    def _take(self, events: Iterable[Event]) -> bool:
        new = False
        for event in events:
            if isinstance(event, Begun):
                self._known.begin()
            elif isinstance(event, TooLong):
                words = f"a line has more than {MAX_LINE} bytes: write one report a line"
                new |= self._history.complain(json.dumps(words))
            else:
                report = read_line(event, self._resource, self._metric)
                if isinstance(report, Unusable):
                    new |= self._history.complain(report.entry)
                elif self._known.take(report):
                    self._history.add(report)
                    new = True
        return new

// The ladder of rungs: how many trials have a value at each rung, went on from it, or work for it.
import { useEffect } from "preact/hooks";
import { count, NONE, number } from "../format";
import { seen } from "../measure";
import type { Bracket, Rung, Study } from "../types";

export function Ladder({ study }: { study: Study }) {
  useEffect(() => seen("ladder"), []);
  const most = Math.max(1, ...study.brackets.flatMap((each) => each.rungs.map((rung) => rung.recorded + rung.running)));
  const lone = study.brackets.length === 1;
  const all = lone ? Math.max(most, study.maxTrials ?? 0) : most;
  if (!study.brackets.length) return <p class="empty">No trial has started yet.</p>;
  return (
    <div class="ladder">
      <p class="key">
        <span>
          <span class="part part-promoted" aria-hidden="true" /> went on
        </span>
        <span>
          <span class="part part-recorded" aria-hidden="true" /> has a value
        </span>
        <span>
          <span class="part part-working" aria-hidden="true" /> in training for it
        </span>
      </p>
      {study.brackets.map((each) => (
        <BracketTable key={each.bracket} bracket={each} study={study} all={all} lone={lone} />
      ))}
      <p class="note">
        A trial climbs from the top row down. {rule(study)}
      </p>
    </div>
  );
}

function rule(study: Study): string {
  const better = study.goal === "Maximize" ? "least" : "most";
  if (study.mode === "Synchronous") return "A rung is decided when all of its round have a value.";
  return `To go on from a rung now, ${study.metric} has to be at ${better} the mark in the column “goes on”.`;
}

interface Props {
  bracket: Bracket;
  study: Study;
  all: number;
  lone: boolean;
}

function BracketTable({ bracket, study, all, lone }: Props) {
  // The roles stay where a narrow page lays the table out as a grid.
  const title = lone ? `Rungs of ${study.name}` : `Bracket ${bracket.bracket}`;
  return (
    <table class="rungs" role="table">
      <caption class={lone ? "hidden" : undefined}>{title}</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col" class="number">
            {study.unit}
          </th>
          <th role="columnheader" scope="col" class="barcell">
            <span class="hidden">as a bar</span>
          </th>
          <th role="columnheader" scope="col" class="number">
            values
          </th>
          <th role="columnheader" scope="col" class="number">
            went on
          </th>
          <th role="columnheader" scope="col" class="number">
            running
          </th>
          <th role="columnheader" scope="col" class="number">
            best
          </th>
          <th role="columnheader" scope="col" class="number">
            goes on
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {bracket.rungs.map((rung, i) => (
          <RungRow key={rung.resource} rung={rung} all={all} top={i === bracket.rungs.length - 1} />
        ))}
      </tbody>
    </table>
  );
}

function RungRow({ rung, all, top }: { rung: Rung; all: number; top: boolean }) {
  const share = (many: number) => ({ width: `${(many / all) * 100}%` });
  return (
    <tr role="row">
      <th role="rowheader" scope="row" class="number">
        {number(rung.resource)}
      </th>
      <td role="cell" class="barcell">
        <span class="bar" aria-hidden="true">
          <span class="part part-promoted" style={share(rung.promoted)} />
          <span class="part part-recorded" style={share(Math.max(rung.recorded - rung.promoted, 0))} />
          <span class="part part-working" style={share(rung.running)} />
        </span>
      </td>
      <td role="cell" class="number">{count(rung.recorded)}</td>
      <td role="cell" class="number">{top ? NONE : count(rung.promoted)}</td>
      <td role="cell" class="number">{rung.running ? count(rung.running) : NONE}</td>
      <td role="cell" class="number">{number(rung.best)}</td>
      <td role="cell" class="number">{number(rung.threshold)}</td>
    </tr>
  );
}

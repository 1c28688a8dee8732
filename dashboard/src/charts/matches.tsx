// The trials that pass where it is brushed, the best first.
import { number } from "../format";
import { trialLink } from "../route";
import type { Parallel } from "../types";

const MOST_MATCHES = 20;

function numbers(column: unknown[]): boolean {
  return column.every((value) => value === null || typeof value === "number");
}

interface MatchesProps {
  data: Parallel;
  inside: boolean[];
  matches: number;
  brushed: boolean;
  minimize: boolean;
  metric: string;
  unit: string;
  namespace: string;
  study: string;
}

export function Matches(props: MatchesProps) {
  const { data, inside, matches, brushed, minimize, metric, unit, namespace, study } = props;
  const found = data.trials.map((_, i) => i).filter((i) => inside[i] && data.value[i] !== null);
  found.sort((a, b) => (minimize ? 1 : -1) * (data.value[a]! - data.value[b]!));
  const title = brushed ? `${matches} of ${data.shown} trials within bounds` : "The best trials";
  return (
    <section aria-labelledby="matches">
      <h3 id="matches" aria-live="polite">
        {title}
      </h3>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of trials within bounds">
        <table>
          <thead>
            <tr>
              <th scope="col">trial</th>
              <th scope="col" class="number">
                {metric}
              </th>
              <th scope="col" class="number">
                {unit}
              </th>
              {data.dimensions.map((each, j) => (
                <th scope="col" key={each.name} class={numbers(data.columns[j] ?? []) ? "number" : undefined}>
                  {each.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.slice(0, MOST_MATCHES).map((i) => (
              <tr key={data.trials[i]}>
                <th scope="row">
                  <a href={trialLink(namespace, study, data.trials[i]!)}>
                    {study}-{data.trials[i]}
                  </a>
                </th>
                <td class="number">{number(data.value[i])}</td>
                <td class="number">{number(data.resource[i])}</td>
                {data.columns.map((column, j) => (
                  <td key={j} class={numbers(column) ? "number" : undefined}>
                    {number(column[i])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {found.length > MOST_MATCHES && <p class="note">The best {MOST_MATCHES} are listed.</p>}
    </section>
  );
}

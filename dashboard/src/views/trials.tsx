// The table of trials: sorted, filtered and cut by the server.
import { count, number } from "../format";
import { useAnswer } from "../live";
import { Loaded, Scroll, State } from "../parts";
import { requery, trialLink } from "../route";
import type { Study, TrialRow, Trials } from "../types";

const LIMIT = 50;
const STATES = ["Running", "Pending", "Paused", "Stopped", "Completed", "Failed"];

interface Props {
  study: Study;
  path: string;
  version: number;
  query: URLSearchParams;
}

export function TrialsView({ study, path, version, query }: Props) {
  const maximize = study.goal === "Maximize";
  const sort = query.get("sort") ?? "value";
  const order = query.get("order") ?? (sort === "value" && maximize ? "desc" : "asc");
  const offset = Math.max(Number(query.get("offset")) || 0, 0);
  const state = query.get("state") ?? "";
  const asked = new URLSearchParams({ sort, order, offset: String(offset), limit: String(LIMIT) });
  if (state) asked.set("state", state);
  const answer = useAnswer<Trials>(`${path}/trials?${asked}`, version);
  return (
    <>
      <label class="find">
        State
        <select value={state} onChange={(event) => requery({ state: event.currentTarget.value || null, offset: null })}>
          <option value="">all</option>
          {STATES.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </label>
      <Loaded answer={answer}>
        {(data) => (
          <>
            <Table study={study} rows={data.trials} sort={sort} order={order} />
            <Pager offset={offset} total={data.total} />
          </>
        )}
      </Loaded>
    </>
  );
}

function Table({ study, rows, sort, order }: { study: Study; rows: TrialRow[]; sort: string; order: string }) {
  const brackets = study.brackets.length > 1;
  const parameters = study.parameters.filter((each) => each.type !== "Constant");
  const numeric = (name: string) => rows.every((row) => !(typeof row.parameters[name] === "string"));
  const head = (key: string, text: string, right = false) => (
    <th
      scope="col"
      class={right ? "number" : undefined}
      aria-sort={sort === key ? (order === "asc" ? "ascending" : "descending") : undefined}
    >
      <button
        type="button"
        class="sort"
        onClick={() =>
          requery({ sort: key, order: sort === key && order === "asc" ? "desc" : "asc", offset: null })
        }
      >
        {text}
        <span aria-hidden="true">{sort === key ? (order === "asc" ? " ↑" : " ↓") : ""}</span>
      </button>
    </th>
  );
  if (!rows.length) return <p class="empty">No trial is like that.</p>;
  return (
    <Scroll label="Table of trials">
      <table class="trials">
        <caption class="hidden">Trials of {study.name}</caption>
        <thead>
          <tr>
            {head("index", "trial")}
            {head("state", "state")}
            {brackets && head("bracket", "bracket", true)}
            {head("value", study.metric, true)}
            {head("resource", study.unit, true)}
            {parameters.map((each) => (
              <th scope="col" key={each.name} class={numeric(each.name) ? "number" : undefined}>
                {each.name}
              </th>
            ))}
            <th scope="col" class="number">
              attempts
            </th>
            <th scope="col">reason</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.index}>
              <th scope="row">
                <a href={trialLink(study.namespace, study.name, row.index)}>{row.name}</a>
              </th>
              <td>
                <State of={row.state} />
              </td>
              {brackets && <td class="number">{row.bracket}</td>}
              <td class="number">{number(row.value)}</td>
              <td class="number">{number(row.resource)}</td>
              {parameters.map((each) => (
                <td key={each.name} class={numeric(each.name) ? "number" : undefined}>
                  {number(row.parameters[each.name])}
                </td>
              ))}
              <td class="number">{row.attempts}</td>
              <td class="reason">{row.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Pager({ offset, total }: { offset: number; total: number }) {
  const to = Math.min(offset + LIMIT, total);
  return (
    <nav class="pager" aria-label="Pages of trials">
      <button type="button" disabled={offset === 0} onClick={() => requery({ offset: String(Math.max(offset - LIMIT, 0)) })}>
        ← Before
      </button>
      <span role="status">
        {total ? `${count(offset + 1)} to ${count(to)} of ${count(total)}` : "none"}
      </span>
      <button type="button" disabled={to >= total} onClick={() => requery({ offset: String(offset + LIMIT) })}>
        After →
      </button>
    </nav>
  );
}

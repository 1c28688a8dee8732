// All studies, the ones that run first.
import { useEffect, useMemo, useState } from "preact/hooks";
import { hours, lasted, number, time } from "../format";
import { useAnswer, useTicks } from "../live";
import { seen } from "../measure";
import { Loaded, State, TrialsBar } from "../parts";
import { studyLink } from "../route";
import type { StudyRow } from "../types";

const POLL = 4000;

export function Studies() {
  const ticks = useTicks(POLL);
  const answer = useAnswer<{ studies: StudyRow[] }>("studies", ticks);
  const [wanted, setWanted] = useState("");
  return (
    <>
      <h1 tabIndex={-1}>Studies</h1>
      <Loaded answer={answer}>
        {({ studies }) => (
          <>
            {studies.length > 6 && (
              <label class="find">
                Find
                <input
                  type="search"
                  value={wanted}
                  placeholder="name, namespace, phase, metric …"
                  onInput={(event) => setWanted(event.currentTarget.value)}
                />
              </label>
            )}
            <List studies={studies} wanted={wanted} />
          </>
        )}
      </Loaded>
    </>
  );
}

function matches(study: StudyRow, wanted: string): boolean {
  const text = `${study.namespace}/${study.name} ${study.phase} ${study.metric} ${study.mode} ${study.searcher}`;
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.toLowerCase().includes(word));
}

function List({ studies, wanted }: { studies: StudyRow[]; wanted: string }) {
  useEffect(() => seen("studies"), []);
  const sorted = useMemo(() => {
    const found = studies.filter((study) => matches(study, wanted));
    const key = (study: StudyRow) => `${study.finished ? 0 : 1} ${study.finished ?? study.started ?? "~"}`;
    return found.sort((a, b) => key(b).localeCompare(key(a)) || a.name.localeCompare(b.name));
  }, [studies, wanted]);
  if (!studies.length) {
    return (
      <p class="empty">
        There are no studies yet that you may see. <code>kubectl apply</code> one, or begin with <code>hyperband init</code>.
      </p>
    );
  }
  return (
    <>
      <p class="note" role="status">
        {wanted ? `${sorted.length} of ${studies.length} studies` : ""}
      </p>
      {/* The roles stay where a narrow page lays the rows out as cards. */}
      <table class="cards" role="table">
        <caption class="hidden">Studies, the ones that run first</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">study</th>
            <th role="columnheader" scope="col">phase</th>
            <th role="columnheader" scope="col">trials</th>
            <th role="columnheader" scope="col" class="number">
              best
            </th>
            <th role="columnheader" scope="col" class="number">
              GPU-hours
            </th>
            <th role="columnheader" scope="col">method</th>
            <th role="columnheader" scope="col">took</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {sorted.map((study) => (
            <Row key={study.uid || `${study.namespace}/${study.name}`} study={study} />
          ))}
        </tbody>
      </table>
    </>
  );
}

function Row({ study }: { study: StudyRow }) {
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        <a href={studyLink(study.namespace, study.name)}>{study.name}</a>
        <span class="under">{study.namespace}</span>
      </th>
      <td role="cell" data-name="phase">
        <State of={study.phase} />
      </td>
      <td role="cell" data-name="trials">
        <TrialsBar counts={study.trials} most={study.maxTrials} />
      </td>
      <td role="cell" data-name="best" class="number">
        <span>
          {number(study.best?.value)}
          <span class="under">{study.metric}</span>
        </span>
      </td>
      <td role="cell" data-name="GPU-hours" class="number">
        {hours(study.gpuHours)}
      </td>
      <td role="cell" data-name="method">
        <span>
          {study.mode}
          <span class="under">{study.searcher}</span>
        </span>
      </td>
      <td role="cell" data-name="took" title={`from ${time(study.started)} to ${time(study.finished)}`}>
        {lasted(study.started, study.finished, Date.now())}
      </td>
    </tr>
  );
}


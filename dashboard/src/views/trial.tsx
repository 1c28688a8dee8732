// A trial: what it was given and why, how it went, where it ran, and what it wrote.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { getText, studyPath } from "../api";
import { FigureView } from "../charts/figure";
import { hours, lasted, NONE, number, time } from "../format";
import { useAnswer, useStudy, useTicks } from "../live";
import { seen } from "../measure";
import { Fact, Loaded, Scroll, State } from "../parts";
import type { Event, Figure, Pod, Study, Trial } from "../types";
import { Crumbs, LinkState } from "./study";

interface Props {
  namespace: string;
  name: string;
  index: number;
}

const POLL = 5000;

export function TrialPage({ namespace, name, index }: Props) {
  const live = useStudy(namespace, name);
  const path = studyPath(namespace, name, `/trials/${index}`);
  const answer = useAnswer<Trial>(path, live.versions.trials);
  return (
    <>
      <Crumbs namespace={namespace} name={name} />
      <h1 tabIndex={-1}>
        {name}-{index}
      </h1>
      <Loaded answer={answer}>
        {(trial) => (
          <>
            <p class="lead">
              <State of={trial.state} /> <LinkState live={live} />
              <span>{trial.message || trial.reason}</span>
            </p>
            <Facts trial={trial} study={live.data} />
            <Parameters trial={trial} />
            <Curve trial={trial} study={live.data} namespace={namespace} name={name} />
            <Story trial={trial} />
            <Attempts trial={trial} study={live.data} />
            {!trial.local && (
              <>
                <Pods path={path} active={active(trial)} version={live.versions.trials} />
                <Events path={path} active={active(trial)} version={live.versions.trials} />
              </>
            )}
            <Logs path={path} trial={trial} />
          </>
        )}
      </Loaded>
    </>
  );
}

function active(trial: Trial): boolean {
  return trial.state === "Running" || trial.state === "Pending";
}

function Facts({ trial, study }: { trial: Trial; study: Study | null }) {
  useEffect(() => seen("trial"), []);
  return (
    <dl class="facts">
      <Fact name={study?.metric ?? "Value"}>
        <b class="figure-number">{number(trial.value)}</b>
      </Fact>
      <Fact name={study?.unit ?? "Resource"}>
        {number(trial.resource)}
        {trial.target !== null && active(trial) && <span class="under">on the way to {number(trial.target)}</span>}
      </Fact>
      <Fact name="GPU-hours">{hours(trial.gpuSeconds / 3600)}</Fact>
      {(study?.brackets.length ?? 1) > 1 && <Fact name="Bracket">{trial.bracket}</Fact>}
    </dl>
  );
}

function Parameters({ trial }: { trial: Trial }) {
  return (
    <section aria-labelledby="parameters">
      <h2 id="parameters">Parameters</h2>
      <dl class="parameters">
        {Object.entries(trial.parameters).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{number(value)}</dd>
          </div>
        ))}
      </dl>
      <p class="note">Origin: {trial.suggestion.words || trial.suggestion.origin}</p>
    </section>
  );
}

interface CurveProps {
  trial: Trial;
  study: Study | null;
  namespace: string;
  name: string;
}

function Curve({ trial, study, namespace, name }: CurveProps) {
  const figure = useMemo(() => curveFigure(trial, study), [trial, study?.metric, study?.unit]);
  return (
    <section aria-labelledby="curve">
      <h2 id="curve">Learning curve</h2>
      <FigureView figure={figure} namespace={namespace} study={name} />
    </section>
  );
}

function curveFigure(trial: Trial, study: Study | null): Figure {
  const metric = study?.metric ?? "value";
  const unit = study?.unit ?? "resource";
  const rungs = trial.rungs.filter((rung) => rung.value !== null);
  const points = new Map<number, number>(trial.curve.x.map((x, i) => [x, trial.curve.y[i]!]));
  for (const rung of rungs) points.set(rung.resource, rung.value!);
  const xs = [...points.keys()].sort((a, b) => a - b);
  const line = { name: `${metric} of ${trial.name}`, xs, ys: xs.map((x) => points.get(x)!) };
  return {
    title: `${trial.name}: learning curve`,
    notes: [],
    shades: "",
    empty: xs.length ? null : "it has not reported a value yet",
    panels: [
      {
        x: { label: unit, log: false, ticks: [] },
        y: { label: metric, log: false, ticks: [] },
        texts: [],
        series: [
          { name: "reported", mark: "lines", faint: false, items: xs.length ? [line] : [] },
          {
            name: "value at a rung",
            mark: "points",
            faint: false,
            items: rungs.map((rung) => ({
              name: `${number(rung.value)} at ${unit} ${number(rung.resource)}`,
              xs: [rung.resource],
              ys: [rung.value!],
            })),
          },
        ],
      },
    ],
  };
}

function Story({ trial }: { trial: Trial }) {
  return (
    <section aria-labelledby="story">
      <h2 id="story">Story</h2>
      <ol class="decisions story">
        {trial.story.map((step, i) => (
          <li key={i}>
            <span class="when">{step.at ? time(step.at) : ""}</span>
            <span class={`what what-${step.what.replace(/[^a-z]/g, "")}`}>{step.what}</span>
            <span class="why">{step.why}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Attempts({ trial, study }: { trial: Trial; study: Study | null }) {
  return (
    <section aria-labelledby="attempts">
      <h2 id="attempts">Attempts</h2>
      {trial.attempts.length ? (
        <Scroll label="Table of attempts">
          <table>
            <thead>
              <tr>
                <th scope="col">{trial.local ? "process" : "pod"}</th>
                <th scope="col">{trial.local ? "machine" : "node"}</th>
                <th scope="col">outcome</th>
                <th scope="col">started</th>
                <th scope="col">took</th>
                <th scope="col" class="number">
                  {study?.unit ?? "resource"}
                </th>
                <th scope="col">reason</th>
              </tr>
            </thead>
            <tbody>
              {trial.attempts.map((each) => (
                <tr key={each.number}>
                  <th scope="row">{each.name || `attempt ${each.number}`}</th>
                  <td>{each.node || NONE}</td>
                  <td>
                    <State of={each.outcome || each.phase} />
                  </td>
                  <td>{time(each.started)}</td>
                  <td>{lasted(each.started, each.ended, Date.now())}</td>
                  <td class="number">{number(each.resource)}</td>
                  <td class="reason">{each.reason}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      ) : (
        <p class="empty">None yet.</p>
      )}
      {trial.checkpoint && <p class="note">Checkpoints: {trial.checkpoint}</p>}
    </section>
  );
}

interface Asked {
  path: string;
  active: boolean;
  version: number;
}

function Pods({ path, active: on, version }: Asked) {
  const answer = useAnswer<{ pods: Pod[] }>(`${path}/pods`, version + useTicks(POLL, on));
  return (
    <section aria-labelledby="pods">
      <h2 id="pods">Pods now</h2>
      <Loaded answer={answer}>
        {({ pods }) =>
          pods.length ? (
            <Scroll label="Table of pods">
              <table>
                <thead>
                  <tr>
                    <th scope="col">pod</th>
                    <th scope="col">node</th>
                    <th scope="col">phase</th>
                    <th scope="col">started</th>
                    <th scope="col">what is said of it</th>
                  </tr>
                </thead>
                <tbody>
                  {pods.map((pod) => (
                    <tr key={pod.name}>
                      <th scope="row">{pod.name}</th>
                      <td>{pod.node || NONE}</td>
                      <td>
                        <State of={pod.phase} />
                      </td>
                      <td>{time(pod.started)}</td>
                      <td class="reason">
                        {said(pod).map((words) => (
                          <div key={words}>{words}</div>
                        ))}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Scroll>
          ) : (
            <p class="empty">None: those that ended are gone.</p>
          )
        }
      </Loaded>
    </section>
  );
}

/** What is said of a pod and of those of its containers with which all is not well, or not yet. */
function said(pod: Pod): string[] {
  const found = [[pod.reason, pod.message]];
  for (const { name, state, reason, message, exitCode, restarts } of pod.containers) {
    const well = state === "running" || exitCode === 0;
    if (well && !restarts) continue;
    const code = exitCode ? `, exit code ${exitCode}` : "";
    const again = restarts ? `, restarted ${restarts === 1 ? "once" : `${restarts} times`}` : "";
    found.push([`${name} ${state}${code}${again}`, reason, message]);
  }
  const lines = found.map((parts) => parts.filter(Boolean).join(": ")).filter(Boolean);
  return lines.length ? lines : [NONE];
}

function Events({ path, active: on, version }: Asked) {
  const answer = useAnswer<{ events: Event[] }>(`${path}/events`, version + useTicks(POLL, on));
  return (
    <section aria-labelledby="events">
      <h2 id="events">Events</h2>
      <Loaded answer={answer}>
        {({ events }) =>
          events.length ? (
            <ol class="decisions story" aria-label="Events, the latest first">
              {events.map((event, i) => (
                <li key={i}>
                  <span class="when">{time(event.last)}</span>
                  <span class={`what ${event.type === "Warning" ? "what-failed" : ""}`}>{event.reason}</span>
                  <span class="why">
                    {event.object ? `${event.object}: ` : ""}
                    {event.message}
                    {event.count > 1 ? ` (${event.count} times${event.first ? ` since ${time(event.first)}` : ""})` : ""}
                  </span>
                </li>
              ))}
            </ol>
          ) : (
            <p class="empty">None. A cluster keeps events for about an hour.</p>
          )
        }
      </Loaded>
    </section>
  );
}

const TAILS = [100, 1000, 10000];

function Logs({ path, trial }: { path: string; trial: Trial }) {
  const last = trial.attempts[trial.attempts.length - 1]?.number ?? 0;
  const [chosen, setChosen] = useState<number | null>(null);
  const [tail, setTail] = useState(1000);
  const [asked, setAsked] = useState(0);
  const attempt = chosen ?? last;
  const ticks = useTicks(POLL, active(trial) && attempt === last);
  const known = trial.attempts.length > 0;
  const answer = useAnswer<string>(known ? `${path}/logs?attempt=${attempt}&tail=${tail}` : null, ticks + asked, getText);
  const place = useRef<HTMLPreElement>(null);
  useEffect(() => {
    // Follows the end, unless one has scrolled away from it.
    const element = place.current;
    if (element && element.dataset.away !== "yes") element.scrollTop = element.scrollHeight;
  }, [answer.data]);
  return (
    <section aria-labelledby="logs">
      <h2 id="logs">Logs</h2>
      {known ? (
        <>
          <div class="find">
            <label>
              Attempt
              <select value={attempt} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
                {trial.attempts.map((each) => (
                  <option key={each.number} value={each.number}>
                    {each.number}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Lines
              <select value={tail} onChange={(event) => setTail(Number(event.currentTarget.value))}>
                {TAILS.map((each) => (
                  <option key={each} value={each}>
                    {each}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" onClick={() => setAsked((before) => before + 1)}>
              Read again
            </button>
          </div>
          <Loaded answer={answer}>
            {(text) => (
              <pre
                class="log"
                ref={place}
                tabIndex={0}
                role="region"
                aria-label={`Log of attempt ${attempt}`}
                onScroll={(event) => {
                  const { scrollTop, scrollHeight, clientHeight, dataset } = event.currentTarget;
                  dataset.away = scrollHeight - clientHeight - scrollTop > 8 ? "yes" : "no";
                }}
              >
                {text || "It has written nothing."}
              </pre>
            )}
          </Loaded>
        </>
      ) : (
        <p class="empty">No attempt has been made yet.</p>
      )}
    </section>
  );
}

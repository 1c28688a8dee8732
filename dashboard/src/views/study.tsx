// A study: its facts, its ladder, and the views of it, kept new by its stream.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { studyPath } from "../api";
import { FigureView } from "../charts/figure";
import { ParallelView } from "../charts/parallel";
import { count, hours, lasted, number, time } from "../format";
import { type Live, useAnswer, useStudy } from "../live";
import { Fact, Loaded, State, TrialsBar, Trouble } from "../parts";
import { indexOf, requery, studyLink, trialLink, type View, VIEWS } from "../route";
import type { Figure, Parallel, Series, Study } from "../types";
import { DecisionsView } from "./decisions";
import { Ladder } from "./ladder";
import { TrialsView } from "./trials";

interface Props {
  namespace: string;
  name: string;
  view: View;
  query: URLSearchParams;
}

export function StudyPage({ namespace, name, view, query }: Props) {
  const live = useStudy(namespace, name);
  return (
    <>
      <Crumbs />
      <h1 tabIndex={-1}>{name}</h1>
      <Loaded answer={live}>
        {(study) => (
          <>
            <Facts study={study} live={live} />
            <Tabs namespace={namespace} name={name} view={view} />
            <section class="view" aria-labelledby="view">
              <h2 id="view">{TITLES[view]}</h2>
              <Content {...{ study, live, view, query }} />
            </section>
            <News study={study} />
          </>
        )}
      </Loaded>
    </>
  );
}

const TITLES: Record<View, string> = {
  ladder: "Ladder of rungs",
  curves: "Learning curves",
  best: "Best value so far",
  parallel: "Parameters and values",
  pairs: "Pairs of parameters",
  importance: "What the value depends on",
  timeline: "Slots over time",
  decisions: "Decisions and their reasons",
  trials: "Trials",
};

export function Crumbs({ namespace, name }: { namespace?: string; name?: string }) {
  return (
    <nav class="crumbs" aria-label="Where you are">
      <a href="#/">Studies</a>
      {namespace && name && (
        <>
          <span aria-hidden="true"> / </span>
          <a href={studyLink(namespace, name)}>{name}</a>
        </>
      )}
    </nav>
  );
}

const LINKS: Record<Live["link"], string> = {
  opening: "connecting …",
  live: "live",
  paused: "paused while hidden",
  lost: "not connected; tried again",
};

export function LinkState({ live }: { live: Live }) {
  return (
    <span class={`link link-${live.link}`}>
      <span class="mark" aria-hidden="true" />
      {LINKS[live.link]}
    </span>
  );
}

function Facts({ study, live }: { study: Study; live: Live }) {
  const best = study.best;
  const index = best ? indexOf(study.name, best.trial) : null;
  const message = beyondCounts(study.message ?? "");
  return (
    <>
      <p class="lead">
        <State of={study.phase} /> <LinkState live={live} />
        <span>
          {study.goal} <strong>{study.metric}</strong>, {study.mode}, {study.searcher}, namespace {study.namespace}
        </span>
      </p>
      <dl class="facts">
        <Fact name="Best">
          <b class="figure-number">{number(best?.value)}</b>
          {best && index !== null && (
            <span class="under">
              <a href={trialLink(study.namespace, study.name, index)}>{best.trial}</a> at {study.unit} {number(best.resource)}
            </span>
          )}
        </Fact>
        <Fact name="Trials">
          <TrialsBar counts={study.trials} most={study.maxTrials} />
          <span class="under">{states(study)}</span>
        </Fact>
        <Fact name="GPU-hours">{hours(study.gpuHours)}</Fact>
        <Fact name={study.finished ? "Took" : "Running for"}>
          {lasted(study.started, study.finished, Date.now())}
          <span class="under">since {time(study.started)}</span>
        </Fact>
      </dl>
      {study.trouble && <Trouble words={study.trouble} />}
      {message && <p class="message">{message}</p>}
    </>
  );
}

const COUNTS = /^\d+ of \d+ trials(: \d+ \w+(, \d+ \w+)*)?$/;

/** What a message says beside how many trials are in each state, which stands above it. */
function beyondCounts(message: string): string {
  return message
    .split("; ")
    .filter((part) => !COUNTS.test(part))
    .join("; ");
}

function states(study: Study): string {
  const { running, pending, paused, stopped, completed, failed } = study.trials;
  const all = { running, pending, paused, stopped, completed, failed };
  const some = Object.entries(all).filter(([, many]) => many > 0);
  return some.map(([word, many]) => `${count(many)} ${word}`).join(", ");
}

function Tabs({ namespace, name, view }: { namespace: string; name: string; view: View }) {
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    const list = nav.current;
    const here = list?.querySelector<HTMLElement>("[aria-current]");
    if (list && here) list.scrollLeft = here.offsetLeft - (list.clientWidth - here.clientWidth) / 2;
  }, [view]);
  return (
    <nav class="tabs" aria-label="Views of the study" ref={nav}>
      {VIEWS.map(([key, text]) => (
        <a key={key} href={studyLink(namespace, name, key)} aria-current={key === view ? "page" : undefined}>
          {text}
        </a>
      ))}
    </nav>
  );
}

interface ContentProps {
  study: Study;
  live: Live;
  view: View;
  query: URLSearchParams;
}

function Content({ study, live, view, query }: ContentProps) {
  const path = studyPath(study.namespace, study.name);
  const of = { namespace: study.namespace, study: study.name };
  const versions = live.versions;
  switch (view) {
    case "ladder":
      return (
        <>
          <Ladder study={study} />
          <h3>Latest decisions</h3>
          <DecisionsView {...of} path={path} version={versions.decisions} limit={8} />
          <p>
            <a href={studyLink(study.namespace, study.name, "decisions")}>All decisions</a>
          </p>
          <Conditions study={study} />
        </>
      );
    case "curves":
      return <Curves study={study} live={live} path={path} />;
    case "best":
      return <BestView study={study} path={path} version={versions.best} over={query.get("over") ?? "time"} />;
    case "parallel":
      return <ParallelPage study={study} path={path} version={versions.parallel} />;
    case "pairs":
      return <FigureOf {...of} path={`${path}/figures/pairs`} version={versions.parallel} />;
    case "importance":
      return (
        <>
          <FigureOf {...of} path={`${path}/figures/importance`} version={versions.parallel} />
          <h3>Values by parameter</h3>
          <FigureOf {...of} path={`${path}/figures/slices`} version={versions.parallel} />
          <h3>Predicted and observed</h3>
          <FigureOf {...of} path={`${path}/figures/predicted`} version={versions.parallel} />
        </>
      );
    case "timeline":
      return (
        <>
          <FigureOf {...of} path={`${path}/figures/timeline`} version={versions.timeline} />
          <p class="note">A bar is a pod. Those that were disrupted or failed end with a mark.</p>
        </>
      );
    case "decisions":
      return <DecisionsView {...of} path={path} version={versions.decisions} limit={100} whole />;
    case "trials":
      return <TrialsView study={study} path={path} version={versions.trials} query={query} />;
  }
}

interface FigureProps {
  namespace: string;
  study: string;
  path: string;
  version: number;
  over?: Series;
}

function FigureOf({ namespace, study, path, version, over }: FigureProps) {
  const answer = useAnswer<Figure>(path, version);
  return (
    <Loaded answer={answer}>
      {(figure) => <FigureView figure={figure} namespace={namespace} study={study} {...(over ? { over } : {})} />}
    </Loaded>
  );
}

/** What runs is drawn as it comes, without asking for all curves. */
function Curves({ study, live, path }: { study: Study; live: Live; path: string }) {
  const over = useMemo<Series>(
    () => ({
      name: "running now",
      mark: "points",
      faint: false,
      items: live.running.map(([index, x, y]) => ({
        name: `${study.name}-${index}: ${number(y)} at ${number(x)}, running`,
        xs: [x],
        ys: [y],
      })),
    }),
    [live.running, study.name],
  );
  return (
    <FigureOf
      namespace={study.namespace}
      study={study.name}
      path={`${path}/figures/curves`}
      version={live.versions.curves}
      over={over}
    />
  );
}

const OVERS: [string, string][] = [
  ["time", "time"],
  ["gpu-hours", "GPU-hours"],
  ["values", "values recorded"],
];

function BestView({ study, path, version, over }: { study: Study; path: string; version: number; over: string }) {
  const known = OVERS.some(([key]) => key === over) ? over : "time";
  return (
    <>
      <fieldset class="choice">
        <legend>over</legend>
        {OVERS.map(([key, text]) => (
          <label key={key}>
            <input type="radio" name="over" checked={key === known} onChange={() => requery({ over: key })} /> {text}
          </label>
        ))}
      </fieldset>
      <FigureOf
        namespace={study.namespace}
        study={study.name}
        path={`${path}/figures/best?over=${known}`}
        version={version}
      />
    </>
  );
}

function ParallelPage({ study, path, version }: { study: Study; path: string; version: number }) {
  const answer = useAnswer<Parallel>(`${path}/parallel`, version);
  return (
    <Loaded answer={answer}>
      {(data) =>
        data.trials.length ? (
          <ParallelView
            data={data}
            metric={study.metric}
            unit={study.unit}
            goal={study.goal}
            namespace={study.namespace}
            study={study.name}
          />
        ) : (
          <p class="empty">No trial has a value yet.</p>
        )
      }
    </Loaded>
  );
}

function Conditions({ study }: { study: Study }) {
  if (!study.conditions.length) return null;
  return (
    <details class="data">
      <summary>Conditions</summary>
      <ul class="conditions">
        {study.conditions.map((each) => (
          <li key={each.type}>
            <strong>
              {each.type} {each.status}
            </strong>{" "}
            {each.reason}, {time(each.at)}
            {each.message && <span class="under">{each.message}</span>}
          </li>
        ))}
      </ul>
    </details>
  );
}

const QUIET = 10_000;

/** What a screen reader is told of: an end, a new best value; at most every ten seconds. */
function News({ study }: { study: Study }) {
  const [words, setWords] = useState("");
  const last = useRef({ best: study.best?.value, phase: study.phase, at: 0 });
  const best = study.best?.value;
  useEffect(() => {
    const tell = () => {
      const before = last.current;
      const told: string[] = [];
      if (study.phase !== before.phase) told.push(`The study is ${study.phase}.`);
      if (best !== undefined && best !== before.best) told.push(`New best: ${study.metric} ${number(best)}, ${study.best?.trial}.`);
      if (!told.length) return;
      last.current = { best, phase: study.phase, at: performance.now() };
      setWords(told.join(" "));
    };
    const timer = setTimeout(tell, Math.max(last.current.at + QUIET - performance.now(), 0));
    return () => clearTimeout(timer);
  }, [study.phase, best]);
  return (
    <p class="hidden" role="status">
      {words}
    </p>
  );
}

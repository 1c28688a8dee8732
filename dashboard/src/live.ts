// Answers that are kept new: asked again when a change says that they are old, one request for
// each at a time, and none any more when nobody looks.
import { useEffect, useRef, useState } from "preact/hooks";
import { getJson, Refused, studyPath } from "./api";
import { measured } from "./measure";
import { session } from "./session";
import { useStore } from "./store";
import { follow, type Link } from "./stream";
import { type Change, KINDS, type Kind, type Study } from "./types";

export interface Answer<T> {
  data: T | null;
  error: string | null;
  status: number | null;
}

const RETRY = 3000;
// Asking takes at most a third of the time, so that a large study's views do not crowd a server.
const REST = 2;

type Getter<T> = (path: string, signal: AbortSignal) => Promise<T>;

/** The answer to a question; `version` says when it is old. Without a path, nothing is asked. */
export function useAnswer<T>(
  path: string | null,
  version: number,
  get: Getter<T> = getJson,
): Answer<T> {
  const { login, asked } = useStore(session);
  const [answer, setAnswer] = useState<Answer<T> & { path: string | null }>(nothing(path));
  const again = useRef<() => void>(() => {});

  useEffect(() => {
    if (path === null || asked !== null) return;
    const abort = new AbortController();
    let timer = 0;
    let busy = false;
    let old = false;

    const fetchNow = async (): Promise<void> => {
      busy = true;
      old = false;
      const begun = performance.now();
      let rest = 0;
      try {
        const data = await get(path, abort.signal);
        setAnswer({ data, error: null, status: 200, path });
        rest = (performance.now() - begun) * REST;
        measured("view", begun, path);
      } catch (failure) {
        if (abort.signal.aborted) return;
        const status = failure instanceof Refused ? failure.status : 0;
        const error = failure instanceof Error ? failure.message : String(failure);
        // What is shown stays: better old than none.
        setAnswer((before) => ({ data: before.path === path ? before.data : null, error, status, path }));
        rest = RETRY;
        old = status === 0 || status >= 500;
      }
      timer = window.setTimeout(() => {
        busy = false;
        if (old) void fetchNow();
      }, rest);
    };

    again.current = () => {
      old = true;
      if (!busy) void fetchNow();
    };
    void fetchNow();
    return () => {
      abort.abort();
      clearTimeout(timer);
      again.current = () => {};
    };
  }, [path, login, asked !== null]);

  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else again.current();
  }, [version]);

  return answer.path === path ? answer : nothing(path);
}

function nothing(path: string | null) {
  return { data: null, error: null, status: null, path };
}

/** Counts up while the page is seen: for what no stream tells of. */
export function useTicks(milliseconds: number, on = true): number {
  const [ticks, setTicks] = useState(0);
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => {
      if (!document.hidden) setTicks((count) => count + 1);
    }, milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds, on]);
  return ticks;
}

export interface Live extends Answer<Study> {
  link: Link;
  /** Counts how often each kind has changed. */
  versions: Record<Kind, number>;
  running: [number, number, number][];
}

type Versions = Live["versions"];
const ZERO = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Versions;

interface Heard {
  path: string;
  change: Change | null;
  versions: Versions;
  ended: keyof typeof ENDS | null;
}

const ENDS = {
  deleted: "The study is gone: it was deleted. What is shown is its last state.",
  forbidden: "You may not see this study any more. What is shown is its last state.",
};

/** A study as it is now, by its stream. */
export function useStudy(namespace: string, name: string): Live {
  const { login, asked } = useStore(session);
  const path = studyPath(namespace, name);
  const first = useAnswer<Study>(path, 0);
  const nobody: Heard = { path, change: null, versions: ZERO, ended: null };
  const [heard, setHeard] = useState<Heard>(nobody);
  const [link, setLink] = useState<Link>("opening");
  const found = first.data !== null;
  const seenVersion = useRef<number | null>(null);
  seenVersion.current ??= first.data?.version ?? null;

  useEffect(() => {
    if (asked !== null || !found) return;
    return follow(`${path}/stream`, {
      heard: (message, opened) => {
        if (message.event !== "change") return;
        const begun = performance.now();
        const change = JSON.parse(message.data) as Change;
        // Between an answer and the stream, or two streams, there may have been any change.
        const missed = opened && change.version !== seenVersion.current;
        seenVersion.current = change.version;
        const changed = missed ? KINDS : change.changed;
        setHeard((before) => ({ path, change, versions: counted(before.versions, changed), ended: null }));
        measured("update", begun, path);
      },
      told: (now) => {
        // Another server counts its versions anew.
        if (now === "lost" || now === "paused") seenVersion.current = -1;
        setLink(now);
      },
      ended: (why) => setHeard((before) => ({ ...before, ended: why })),
    });
  }, [path, login, asked !== null, found]);

  const current = heard.path === path ? heard : nobody;
  return {
    ...first,
    data: current.change?.study ?? first.data,
    error: current.ended ? ENDS[current.ended] : current.change ? null : first.error,
    link,
    versions: current.versions,
    running: current.change?.running ?? [],
  };
}

function counted(before: Versions, changed: readonly Kind[]): Versions {
  const versions = { ...before };
  for (const kind of changed) versions[kind] += 1;
  return versions;
}

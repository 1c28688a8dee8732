// What the server answers: operator/hyperband/dashboard. Times are ISO strings of the server.

export interface Counts {
  total: number;
  running: number;
  pending: number;
  paused: number;
  stopped: number;
  completed: number;
  failed: number;
}

export interface Best {
  value: number;
  trial: string;
  resource: number;
}

export interface StudyRow {
  namespace: string;
  name: string;
  uid: string;
  phase: string;
  mode: string;
  searcher: string;
  metric: string;
  goal: string;
  unit: string;
  trials: Counts;
  maxTrials: number | null;
  best: Best | null;
  gpuHours: number | null;
  started: string | null;
  finished: string | null;
  message: string | null;
}

export interface Rung {
  resource: number;
  recorded: number;
  running: number;
  promoted: number;
  best: number | null;
  threshold: number | null;
}

export interface Bracket {
  bracket: number;
  rungs: Rung[];
}

export interface Parameter {
  name: string;
  type: string;
  scale: string | null;
  values?: unknown[] | null;
}

export interface Condition {
  type: string;
  status: string;
  reason: string | null;
  message: string | null;
  at: string | null;
}

export interface Study extends StudyRow {
  brackets: Bracket[];
  parameters: Parameter[];
  /** What is missing here, and why; empty if nothing is. */
  trouble: string;
  conditions: Condition[];
  version: number;
}

/** What a change of the stream may have made old. */
export const KINDS = ["curves", "best", "parallel", "trials", "decisions", "timeline", "study"] as const;
export type Kind = (typeof KINDS)[number];

export interface Change {
  version: number;
  study: Study;
  changed: Kind[];
  running: [number, number, number][];
}

export interface Item {
  name: string;
  xs: number[];
  ys: number[];
  /** From 0, the worst, to 1, where the colour tells the value. */
  shade?: number;
}

export interface Series {
  name: string;
  mark: "points" | "lines" | "spans";
  items: Item[];
  faint: boolean;
}

export interface Axis {
  label: string;
  log: boolean;
  ticks: [number, string][];
}

export interface Panel {
  x: Axis;
  y: Axis;
  series: Series[];
  texts: [number, number, string][];
}

export interface Figure {
  title: string;
  panels: Panel[];
  notes: string[];
  /** What the shades of its items are of. */
  shades: string;
  /** Why there is nothing to draw, where there is not. */
  empty: string | null;
}

export interface Dimension {
  name: string;
  type: string;
  scale: string | null;
  values?: unknown[] | null;
  min: number | null;
  max: number | null;
}

export interface Parallel {
  dimensions: Dimension[];
  trials: number[];
  columns: (number | string | boolean | null)[][];
  value: (number | null)[];
  resource: (number | null)[];
  state: string;
  shown: number;
  of: number;
}

export interface TrialRow {
  index: number;
  name: string;
  state: string;
  bracket: number;
  resource: number | null;
  target: number | null;
  value: number | null;
  attempts: number;
  reason: string | null;
  parameters: Record<string, unknown>;
}

export interface Trials {
  total: number;
  trials: TrialRow[];
}

export interface Decision {
  /** Its place in the order of all; what is older is asked for with it. */
  id: string;
  sequence: number;
  /** Its index. */
  trial: number;
  name: string;
  at?: string | null;
  what: string;
  why: string;
}

export interface Decisions {
  decisions: Decision[];
  more: boolean;
}

export interface Attempt {
  number: number;
  name: string;
  node: string;
  phase: string;
  started: string | null;
  training: string | null;
  ended: string | null;
  outcome: string;
  reason: string;
  resource: number | null;
  gpuSeconds: number;
}

export interface Trial extends Omit<TrialRow, "attempts"> {
  /** Whether its attempts are processes of a machine, and no pods. */
  local: boolean;
  suggestion: { origin: string; words: string; detail: Record<string, string> };
  curve: { x: number[]; y: number[] };
  rungs: { level: number; resource: number; value: number | null; sequence: number | null }[];
  story: { at: string | null; what: string; why: string }[];
  attempts: Attempt[];
  gpuSeconds: number;
  checkpoint: string | null;
  message?: string | null;
}

export interface Container {
  name: string;
  state: string;
  reason: string;
  message: string;
  exitCode: number | null;
  restarts: number;
}

export interface Pod {
  name: string;
  attempt: number;
  node: string;
  phase: string;
  reason: string;
  message: string;
  started: string | null;
  ended: string | null;
  containers: Container[];
}

export interface Event {
  first: string | null;
  last: string | null;
  type: string;
  reason: string;
  message: string;
  object: string;
  count: number;
}

export interface Me {
  user: string;
  mode: "cluster" | "laptop";
  namespaces: string[] | null;
}

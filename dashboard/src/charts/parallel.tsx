// Parallel coordinates: a line a trial, through an axis a parameter. Brushed with the pointer on an
// axis, or by numbers and boxes below it, and both show the same.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { number } from "../format";
import { trialLink } from "../route";
import { Ramp } from "../parts";
import { colour, rankColours } from "../theme";
import type { Dimension, Parallel } from "../types";
import { Canvas } from "./canvas";
import type { Chart, Option } from "./echarts";
import { textStyle, tooltip } from "./option";

type Interval = [number, number];
/** Of each axis that is brushed, in its own places (logarithms on a logarithmic one). */
export type Brush = Record<number, Interval[]>;

interface Props {
  data: Parallel;
  metric: string;
  unit: string;
  goal: string;
  namespace: string;
  study: string;
}

export interface Placed {
  name: string;
  log: boolean;
  values: string[] | null;
  low: number;
  high: number;
  whole: boolean;
  /** Where each trial is on the axis; null where the parameter is not active. */
  places: (number | null)[];
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function placed(dimension: Dimension, column: unknown[]): Placed {
  const values = dimension.values?.length ? dimension.values.map(shown) : null;
  if (values) {
    const places = column.map((value) => {
      const at = value === null || value === undefined ? -1 : values.indexOf(shown(value));
      return at < 0 ? null : at;
    });
    return { name: dimension.name, log: false, values, low: 0, high: values.length - 1, whole: true, places };
  }
  const positive = (dimension.min ?? 0) > 0 && column.every((value) => value === null || Number(value) > 0);
  const log = dimension.scale?.toLowerCase().startsWith("log") === true && positive;
  const places = column.map((value) =>
    typeof value === "number" && Number.isFinite(value) ? (log ? Math.log10(value) : value) : null,
  );
  const known = places.filter((at): at is number => at !== null);
  const ends = [dimension.min, dimension.max].filter((at): at is number => at !== null);
  const all = known.concat(log ? ends.map(Math.log10) : ends);
  const low = all.reduce((a, b) => Math.min(a, b), Infinity);
  const high = all.reduce((a, b) => Math.max(a, b), -Infinity);
  const whole = column.every((value) => value === null || Number.isInteger(value));
  const common = { name: dimension.name, log, values, whole, places };
  if (!all.length) return { ...common, low: 0, high: 1 };
  return { ...common, low: low === high ? low - 0.5 : low, high: low === high ? high + 0.5 : high };
}

export function matching(axes: Placed[], brush: Brush, count: number): boolean[] {
  const inside = new Array<boolean>(count).fill(true);
  for (const [key, intervals] of Object.entries(brush)) {
    const axis = axes[Number(key)];
    if (!axis || !intervals.length) continue;
    axis.places.forEach((at, i) => {
      if (inside[i]) inside[i] = at !== null && intervals.some(([low, high]) => at >= low && at <= high);
    });
  }
  return inside;
}

export function ParallelView({ data, metric, unit, goal, namespace, study }: Props) {
  const [brush, setBrush] = useState<Brush>({});
  const chart = useRef<Chart | null>(null);
  const minimize = goal !== "Maximize";
  const axes = useMemo(() => {
    const value: Dimension = { name: metric, type: "float", scale: null, min: null, max: null };
    return [...data.dimensions.map((each, i) => placed(each, data.columns[i] ?? [])), placed(value, data.value)];
  }, [data, metric]);
  const ranks = useMemo(() => ranked(data.value, minimize), [data, minimize]);
  const inside = useMemo(() => matching(axes, brush, data.trials.length), [axes, brush, data]);
  const matches = inside.reduce((sum, each) => sum + Number(each), 0);
  const brushed = Object.values(brush).some((each) => each.length);
  const words =
    `Chart: parallel coordinates of ${data.shown} of ${data.of} trials through ` +
    `${axes.map((axis) => axis.name).join(", ")}; ${matches} within what is brushed. They are listed below.`;
  const option = useCallback(
    (width: number) => parallelOption(axes, ranks, data, study, width, words),
    [axes, ranks, data, study],
  );
  // What is brushed outlives the next answer.
  useEffect(() => dispatch(chart.current, axes, brush), [brush, option]);

  const ready = (made: Chart) => {
    chart.current = made;
    made.on("axisareaselected", () => {
      const found = intervals(made, axes.length);
      setBrush((before) => (JSON.stringify(found) === JSON.stringify(before) ? before : found));
    });
  };
  return (
    <figure class="figure">
      <Ramp best={`best ${metric} (${minimize ? "lowest" : "highest"}), by rank`} />
      <div class="scroll wide" tabIndex={0} role="region" aria-label="Parallel coordinates, wider than the page where there are many parameters">
        <div style={{ minWidth: `${Math.min(axes.length * 92, 1600)}px` }}>
          <Canvas words={words} height={400} option={option} onReady={ready} />
        </div>
      </div>
      <figcaption>
        <p>
          {data.shown < data.of ? `${data.shown} of ${data.of} trials are drawn: the best, and an even share of the others. ` : ""}
          Drag along an axis to keep the trials that pass there, or set bounds below. A line skips parameters that are not
          active in its trial.
        </p>
      </figcaption>
      <Bounds axes={axes} brush={brush} setBrush={setBrush} />
      <Matches {...{ data, axes, inside, matches, brushed, minimize, metric, unit, namespace, study }} />
    </figure>
  );
}

function ranked(values: (number | null)[], minimize: boolean): (number | null)[] {
  const known = values.flatMap((value, i) => (value === null ? [] : [[value, i] as const]));
  known.sort((a, b) => (minimize ? b[0] - a[0] : a[0] - b[0]));
  const ranks = new Array<number | null>(values.length).fill(null);
  known.forEach(([, i], place) => (ranks[i] = known.length > 1 ? place / (known.length - 1) : 1));
  return ranks;
}

function parallelOption(
  axes: Placed[],
  ranks: (number | null)[],
  data: Parallel,
  study: string,
  width: number,
  words: string,
): Option {
  const shade = rankColours();
  // The better ones are drawn last, on top.
  const order = ranks.map((rank, i) => [rank ?? -1, i] as const).sort((a, b) => a[0] - b[0]);
  const faint = data.trials.length > 300 ? 0.35 : 0.65;
  return {
    animation: false,
    aria: { enabled: true, label: { description: words } },
    textStyle: textStyle(),
    tooltip: { ...tooltip(), formatter: (at: { name: string }) => at.name },
    parallel: { left: 56, right: 64, top: 52, bottom: 28, axisExpandable: false },
    parallelAxis: axes.map((axis, i) => ({
      dim: i,
      name: `${axis.name}\n${axis.log ? "log" : " "}`,
      realtime: true,
      type: axis.values ? "category" : "value",
      ...(axis.values ? { data: axis.values } : { min: axis.low, max: axis.high }),
      nameTextStyle: { ...textStyle(), lineHeight: 15, width: (width - 120) / Math.max(axes.length - 1, 1) - 6, overflow: "truncate" },
      nameGap: 10,
      axisLine: { lineStyle: { color: colour("muted"), width: 1.2 } },
      axisTick: { lineStyle: { color: colour("muted") }, ...chosen(axis) },
      axisLabel: {
        color: colour("ink"),
        textBorderColor: colour("paper"),
        textBorderWidth: 3,
        hideOverlap: true,
        ...chosen(axis),
        formatter: axis.values ? clipped : (at: number) => number(Number((axis.log ? 10 ** at : at).toPrecision(3))),
      },
      splitNumber: 4,
      ...(axis.whole && !axis.log ? { minInterval: 1 } : {}),
      areaSelectStyle: { width: 18, borderWidth: 1, borderColor: colour("accent"), color: colour("accent"), opacity: 0.25 },
    })),
    series: [
      {
        type: "parallel",
        progressive: 0,
        smooth: false,
        inactiveOpacity: 0.03,
        activeOpacity: 1,
        emphasis: { lineStyle: { width: 3, opacity: 1 } },
        data: order.map(([rank, i]) => ({
          name: `${study}-${data.trials[i]}: ${number(data.value[i])}`,
          value: axes.map((axis) => {
            const at = axis.places[i];
            return at === null || at === undefined ? "-" : axis.values ? axis.values[at] : at;
          }),
          lineStyle: {
            color: shade(rank),
            width: rank > 0.97 ? 1.8 : 1,
            opacity: rank > 0.9 ? 0.95 : faint,
          },
        })),
      },
    ],
  };
}

/** On a logarithmic axis: its ends, and the powers of ten between that are not too near them. */
function chosen({ log, low, high }: Placed): Option {
  if (!log) return {};
  const near = (high - low) * 0.1;
  const powers: number[] = [];
  const step = Math.max(Math.ceil((high - low) / 6), 1);
  for (let at = Math.ceil(low); at <= high; at += step) if (at - low > near && high - at > near) powers.push(at);
  return { customValues: [low, ...powers, high] };
}

function clipped(text: string): string {
  return text.length > 14 ? `${text.slice(0, 13)}…` : text;
}

function intervals(chart: Chart, count: number): Brush {
  const model = (chart as unknown as {
    getModel(): { getComponent(kind: string, i: number): { activeIntervals: Interval[] } | undefined };
  }).getModel();
  const found: Brush = {};
  for (let i = 0; i < count; i += 1) {
    const there = model.getComponent("parallelAxis", i)?.activeIntervals ?? [];
    if (there.length) found[i] = there.map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
  }
  return found;
}

function dispatch(chart: Chart | null, axes: Placed[], brush: Brush): void {
  if (!chart) return;
  const now = intervals(chart, axes.length);
  axes.forEach((_, i) => {
    const wanted = brush[i] ?? [];
    if (JSON.stringify(now[i] ?? []) !== JSON.stringify(wanted)) {
      chart.dispatchAction({ type: "axisAreaSelect", parallelAxisIndex: i, intervals: wanted });
    }
  });
}

interface BoundsProps {
  axes: Placed[];
  brush: Brush;
  setBrush: (change: (before: Brush) => Brush) => void;
}

function Bounds({ axes, brush, setBrush }: BoundsProps) {
  const set = (i: number, intervals: Interval[]) =>
    setBrush((before) => {
      const after = { ...before, [i]: intervals };
      if (!intervals.length) delete after[i];
      return after;
    });
  return (
    <details class="data bounds">
      <summary>Set bounds by numbers</summary>
      <div class="boundlist">
        {axes.map((axis, i) =>
          axis.values ? (
            <Boxes key={axis.name} axis={axis} intervals={brush[i] ?? []} set={(found) => set(i, found)} />
          ) : (
            <Ends key={axis.name} axis={axis} interval={brush[i]?.[0]} set={(found) => set(i, found)} />
          ),
        )}
      </div>
      <button type="button" onClick={() => setBrush(() => ({}))}>
        Clear all bounds
      </button>
    </details>
  );
}

interface Part {
  axis: Placed;
  set: (intervals: Interval[]) => void;
}

function Ends({ axis, interval, set }: Part & { interval: Interval | undefined }) {
  const plain = (at: number) => Number((axis.log ? 10 ** at : at).toPrecision(6));
  const change = (end: 0 | 1, text: string) => {
    const ends: Interval = [interval?.[0] ?? axis.low, interval?.[1] ?? axis.high];
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || (axis.log && value <= 0)) {
      ends[end] = end === 0 ? axis.low : axis.high;
    } else {
      ends[end] = axis.log ? Math.log10(value) : value;
    }
    set(ends[0] <= axis.low && ends[1] >= axis.high ? [] : [ends]);
  };
  const field = (end: 0 | 1, label: string) => (
    <label>
      {label}
      <input
        type="text"
        inputMode="decimal"
        value={interval ? String(plain(interval[end])) : ""}
        placeholder={number(plain(end === 0 ? axis.low : axis.high))}
        onChange={(event) => change(end, event.currentTarget.value)}
      />
    </label>
  );
  return (
    <fieldset>
      <legend>{axis.name}</legend>
      {field(0, "from")}
      {field(1, "to")}
    </fieldset>
  );
}

function Boxes({ axis, intervals, set }: Part & { intervals: Interval[] }) {
  const values = axis.values ?? [];
  const on = (i: number) => !intervals.length || intervals.some(([low, high]) => i >= low && i <= high);
  const change = (i: number) => {
    const kept = values.map((_, at) => at).filter((at) => (at === i ? !on(at) : on(at)));
    set(kept.length === values.length || !kept.length ? [] : kept.map((at) => [at - 0.4, at + 0.4]));
  };
  return (
    <fieldset>
      <legend>{axis.name}</legend>
      {values.map((value, i) => (
        <label key={value}>
          <input type="checkbox" checked={on(i)} onChange={() => change(i)} /> {value}
        </label>
      ))}
    </fieldset>
  );
}

const MOST_MATCHES = 20;

function numbers(column: unknown[]): boolean {
  return column.every((value) => value === null || typeof value === "number");
}

interface MatchesProps {
  data: Parallel;
  axes: Placed[];
  inside: boolean[];
  matches: number;
  brushed: boolean;
  minimize: boolean;
  metric: string;
  unit: string;
  namespace: string;
  study: string;
}

function Matches(props: MatchesProps) {
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

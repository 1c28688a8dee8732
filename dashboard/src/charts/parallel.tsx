// Parallel coordinates: a line a trial, through an axis a parameter. Brushed with the pointer on an
// axis, or by numbers and boxes below it, and both show the same.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { number } from "../format";
import { Ramp } from "../parts";
import { colour, rankColours } from "../theme";
import type { Dimension, Parallel } from "../types";
import { Bounds } from "./bounds";
import { type Brush, type Interval, matching, type Placed, placed } from "./brush";
import { Canvas } from "./canvas";
import type { Chart, Option } from "./echarts";
import { Matches } from "./matches";
import { between, textStyle, tooltip } from "./option";

interface Props {
  data: Parallel;
  metric: string;
  unit: string;
  goal: string;
  namespace: string;
  study: string;
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
      <Matches {...{ data, inside, matches, brushed, minimize, metric, unit, namespace, study }} />
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

/** On a logarithmic axis: its ends, and round values between that are not too near them. */
function chosen({ log, low, high }: Placed): Option {
  if (!log) return {};
  const near = (high - low) * 0.1;
  const powers: number[] = [];
  const step = Math.max(Math.ceil((high - low) / 6), 1);
  for (let at = Math.ceil(low); at <= high; at += step) powers.push(at);
  const round = powers.length > 2 ? powers : between(10 ** low, 10 ** high).map(Math.log10);
  return { customValues: [low, ...round.filter((at) => at - low > near && high - at > near), high] };
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

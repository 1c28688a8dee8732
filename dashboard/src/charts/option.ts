// A figure of hyperband.plots as an option of ECharts.
import { number } from "../format";
import { colour, rankColours } from "../theme";
import type { Axis, Item, Panel, Series } from "../types";
import { type Option } from "./echarts";

/** Colours by what a series is of, so that a state has the same one in each picture. */
const NAMED: Record<string, string> = {
  best: "data-1",
  "best so far": "data-1",
  "at the highest rung": "data-2",
  "went on": "data-1",
  succeeded: "data-1",
  completed: "data-2",
  running: "data-3",
  "running on": "data-3",
  "running now": "data-3",
  disrupted: "data-bad",
  failed: "data-bad",
  stopped: "data-pale",
  paused: "data-pale",
  ended: "data-pale",
  "at a lower rung": "data-pale",
  "values at rungs": "data-pale",
  "last value here": "data-pale",
  "r² of hsic": "data-1",
  "one standard error": "ink",
  "chance alone, 95 %": "data-bad",
  reported: "data-1",
  "value at a rung": "data-2",
  "one deviation": "data-pale",
  "as predicted": "muted",
  suggestions: "data-1",
};
const OTHERS = ["data-1", "data-2", "data-3", "data-4", "data-bad"];

export function colourOf(name: string, place: number): string {
  return colour(NAMED[name.toLowerCase()] ?? OTHERS[place % OTHERS.length]!);
}

export const textStyle = () => ({
  color: colour("ink"),
  fontFamily: getComputedStyle(document.body).fontFamily,
  fontSize: 12,
});

export const tooltip = () => ({
  trigger: "item",
  // Drawn on the canvas: the other kind is made of markup.
  renderMode: "richText",
  confine: true,
  backgroundColor: colour("raised"),
  borderColor: colour("line"),
  textStyle: { ...textStyle(), width: 300, overflow: "break" },
});

export const rows = (panel: Panel): boolean => panel.series.some((each) => each.mark === "spans");

export function height(panel: Panel, width: number): number {
  if (rows(panel)) return Math.max(panel.y.ticks.length * 26 + 84, 140);
  return Math.round(Math.min(Math.max(width * 0.5, 280), 440));
}

export interface Extra {
  /** Points drawn over the others, with the name of a series. */
  over?: Series;
  /** The key is told elsewhere. */
  keyless?: boolean;
}

export function panelOption(panel: Panel, width: number, words: string, extra: Extra = {}): Option {
  const series = extra.over?.items.length ? [...panel.series, extra.over] : panel.series;
  const listed = rows(panel);
  const names = series.map((each) => each.name);
  const keyed = names.length > 1 && !extra.keyless;
  const narrow = width < 520;
  return {
    animation: false,
    aria: { enabled: true, label: { description: words } },
    textStyle: textStyle(),
    tooltip: { ...tooltip(), formatter: (at: { name?: string }) => at.name ?? "" },
    legend: {
      show: keyed,
      top: 0,
      left: 0,
      type: "plain",
      itemWidth: 14,
      itemHeight: 8,
      itemGap: 18,
      padding: [3, 0],
      data: names,
      textStyle: { ...textStyle(), color: colour("muted") },
    },
    grid: {
      top: (keyed ? legendHeight(names, width) + 6 : 6) + (panel.y.label && !listed ? 24 : 0),
      left: 8,
      right: 16,
      bottom: 30,
      containLabel: true,
      outerBoundsMode: "same",
    },
    dataZoom: listed ? [] : [{ type: "inside", xAxisIndex: 0, zoomOnMouseWheel: "ctrl", filterMode: "none" }],
    xAxis: axis(panel.x, extent(series, "xs", panel.x, listed), true, narrow),
    yAxis: listed ? category(panel.y, narrow) : axis(panel.y, extent(series, "ys", panel.y, false), false, narrow),
    series: series.flatMap((each, i) => drawn(each, colourOf(each.name, i), i)).concat(texts(panel)),
  };
}

/** About how high so many names of a legend are, in lines of so many pixels. */
function legendHeight(names: string[], width: number): number {
  let lines = 1;
  let at = 0;
  for (const name of names) {
    const wide = 38 + name.length * 6.5;
    if (at > 0 && at + wide > width) {
      lines += 1;
      at = 0;
    }
    at += wide;
  }
  return lines * 22;
}

interface Extent {
  low: number;
  high: number;
  /** Whether all are whole numbers. */
  whole: boolean;
}

function extent(series: Series[], which: "xs" | "ys", of: Axis, zero: boolean): Extent {
  let low = Infinity;
  let high = -Infinity;
  let whole = true;
  const take = (value: number) => {
    if (of.log && value <= 0) return;
    if (!Number.isInteger(value)) whole = false;
    if (value < low) low = value;
    if (value > high) high = value;
  };
  for (const each of series) for (const item of each.items) for (const value of item[which]) take(value);
  for (const [at] of of.ticks) take(at);
  if (zero) low = Math.min(low, 0);
  if (low > high) return { low: of.log ? 1 : 0, high: of.log ? 10 : 1, whole };
  if (low < high) return { low, high, whole };
  const by = Math.max(Math.abs(low) / 2, whole ? 1 : 0) || 1;
  return of.log ? { low: low / 2, high: high * 2, whole } : { low: low - by, high: high + by, whole };
}

function axis(of: Axis, { low, high, whole }: Extent, horizontal: boolean, narrow: boolean): Option {
  const pad = of.log ? Math.pow(high / low, 0.03) : (high - low) * (of.ticks.length ? 0.08 : 0.03);
  const keepZero = !of.log && !of.ticks.length && low >= 0 && low < (high - low) * 0.05;
  const ends = of.log
    ? { min: low / pad, max: high * pad }
    : { min: keepZero ? 0 : low - pad, max: high + pad };
  const texts = new Map(of.ticks.map(([at, text]) => [at, text]));
  const places = of.ticks.length ? of.ticks.map(([at]) => at) : of.log ? between(low, high) : [];
  const chosen = places.length ? { customValues: places } : {};
  return {
    type: of.log ? "log" : "value",
    ...ends,
    name: of.label,
    nameLocation: horizontal ? "middle" : "end",
    nameGap: horizontal ? 28 : 10,
    nameTextStyle: {
      color: colour("muted"),
      align: horizontal ? "center" : "left",
      padding: horizontal ? 0 : [0, 0, 0, -4],
    },
    // At the edge: a zero may be the first of several categories.
    axisLine: { show: true, onZero: false, lineStyle: { color: colour("line") } },
    axisTick: { show: true, lineStyle: { color: colour("line") }, ...chosen },
    axisLabel: {
      color: colour("muted"),
      hideOverlap: true,
      showMinLabel: places.length ? null : false,
      showMaxLabel: places.length ? null : false,
      formatter: (value: number) => texts.get(value) ?? number(rounded(value)),
      ...chosen,
    },
    splitLine: { show: !horizontal || of.ticks.length > 0, lineStyle: { color: colour("grid") } },
    splitNumber: narrow ? 4 : 6,
    ...(whole && !of.log ? { minInterval: 1 } : {}),
  };
}

/** Where a log axis has ticks on which fewer than three powers of ten lie; else it has its own. */
export function between(low: number, high: number): number[] {
  for (const steps of [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const found: number[] = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
      for (const step of steps) found.push(Number(`${step}e${power}`));
    }
    const within = found.filter((at) => low <= at && at <= high);
    if (within.length >= 3) return steps.length === 1 ? [] : within;
  }
  return [low, high];
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function category(of: Axis, narrow: boolean): Option {
  const most = narrow ? 16 : 28;
  return {
    type: "category",
    data: of.ticks.map(([, text]) => text),
    axisLine: { lineStyle: { color: colour("line") } },
    axisTick: { show: false },
    axisLabel: {
      color: colour("muted"),
      interval: 0,
      // Nodes of a pool differ at their ends, as slots of a node do.
      formatter: (text: string) => (text.length > most ? `${text.slice(0, 3)}…${text.slice(4 - most)}` : text),
    },
  };
}

function drawn(series: Series, paint: string, z: number): Option[] {
  const opacity = series.faint ? 0.45 : 0.9;
  const common = { name: series.name, color: paint, z: 3 + z, progressive: 0 };
  if (series.mark === "spans") {
    return [{ ...common, type: "custom", encode: { x: [0, 1], y: 2 }, renderItem: span(opacity, LOST.has(series.name)), data: spans(series) }];
  }
  const single = series.items.filter((item) => series.mark === "points" || item.xs.length === 1);
  const lines = series.mark === "lines" ? series.items.filter((item) => item.xs.length > 1) : [];
  const made: Option[] = [];
  if (lines.length) {
    const strong = series.name.startsWith("best");
    made.push({
      ...common,
      type: "lines",
      coordinateSystem: "cartesian2d",
      polyline: true,
      lineStyle: { color: paint, width: strong ? 2.5 : 1.3, opacity: strong ? 1 : lines.length > 60 ? opacity * 0.7 : opacity },
      emphasis: { lineStyle: { width: 3, opacity: 1 } },
      data: lines.map((item) => ({ name: item.name, coords: item.xs.map((x, i) => [x, item.ys[i]!]) })),
    });
  }
  if (single.length) {
    const size = single.length > 400 ? 4 : 6;
    const shade = rankColours();
    const shaded = ({ shade: rank }: Item) => (rank !== undefined ? { itemStyle: { color: shade(rank), opacity: 1 } } : {});
    made.push({
      ...common,
      type: "scatter",
      symbolSize: series.name === "best" || series.name === "running now" ? 9 : size,
      symbol: series.name === "best" ? "diamond" : "circle",
      itemStyle: { opacity },
      emphasis: { itemStyle: { opacity: 1 } },
      data: single.map((item) => ({ name: item.name, value: [item.xs[0], item.ys[0]], ...shaded(item) })),
    });
  }
  return made;
}

function spans(series: Series): Option[] {
  return series.items.map((item: Item) => ({ name: item.name, value: [item.xs[0], item.xs[1], item.ys[0]] }));
}

interface Api {
  value(place: number): number;
  coord(at: [number, number]): [number, number];
  size(by: [number, number]): [number, number];
  visual(key: "color"): string;
}

/** What was lost ends with a mark, so that its colour alone does not tell. */
const LOST = new Set(["disrupted", "failed"]);

function span(opacity: number, lost: boolean) {
  return (_: unknown, api: Api) => {
    const row = api.value(2);
    const [left, middle] = api.coord([api.value(0), row]);
    const [right] = api.coord([api.value(1), row]);
    const thick = Math.min(api.size([0, 1])[1] * 0.66, 20);
    const top = middle - thick / 2;
    const bar = {
      type: "rect",
      shape: { x: left, y: top, width: Math.max(right - left, 1.5), height: thick },
      style: { fill: api.visual("color"), opacity, stroke: colour("paper"), lineWidth: 0.5 },
    };
    if (!lost) return bar;
    const end = { type: "rect", shape: { x: right - 3, y: top - 2, width: 3, height: thick + 4 }, style: { fill: colour("ink") } };
    return { type: "group", children: [bar, end] };
  };
}

function texts(panel: Panel): Option[] {
  if (!panel.texts.length) return [];
  return [
    {
      type: "scatter",
      symbolSize: 0.01,
      silent: true,
      z: 20,
      label: { show: true, position: "inside", color: colour("ink"), formatter: "{b}", fontSize: 11 },
      data: panel.texts.map(([x, y, text]) => ({ name: text, value: [x, y] })),
    },
  ];
}

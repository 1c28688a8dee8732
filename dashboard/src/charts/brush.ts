// Where trials are on the axes of parallel coordinates, and which of them pass where it is brushed.
import type { Dimension } from "../types";

export type Interval = [number, number];
/** Of each axis that is brushed, in its own places (logarithms on a logarithmic one). */
export type Brush = Record<number, Interval[]>;

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
  const by = low < high ? 0 : whole && !log ? 1 : 0.5;
  return { ...common, low: low - by, high: high + by };
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

// What is brushed, as numbers and boxes.
import { number } from "../format";
import type { Brush, Interval, Placed } from "./brush";

interface BoundsProps {
  axes: Placed[];
  brush: Brush;
  setBrush: (change: (before: Brush) => Brush) => void;
}

export function Bounds({ axes, brush, setBrush }: BoundsProps) {
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

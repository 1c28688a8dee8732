// Small parts that several views have.
import type { ComponentChildren } from "preact";
import { count } from "./format";
import type { Answer } from "./live";
import type { Counts } from "./types";

/** A phase or a state: a mark of its own shape beside the word, so that no colour alone tells. */
export function State({ of }: { of: string }) {
  return (
    <span class={`state state-${of.toLowerCase().replace(/[^a-z]/g, "")}`}>
      <span class="mark" aria-hidden="true" />
      {of || "unknown"}
    </span>
  );
}

/** The content of an answer, or why there is none yet. */
export function Loaded<T>(props: { answer: Answer<T>; children: (data: T) => ComponentChildren }) {
  const { data, error } = props.answer;
  if (data === null) {
    return error ? <Trouble words={error} /> : <p class="waiting" aria-busy="true">Loading …</p>;
  }
  return (
    <>
      {error && <Trouble words={error} />}
      {props.children(data)}
    </>
  );
}

export function Trouble({ words }: { words: string }) {
  return (
    <p class="trouble" role="alert">
      {words}
    </p>
  );
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const PARTS: [keyof Counts, string][] = [
  ["completed", "completed"],
  ["running", "running"],
  ["pending", "pending"],
  ["paused", "paused"],
  ["stopped", "stopped"],
  ["failed", "failed"],
];

/** How many trials are in each state: a bar, and the same in words. */
export function TrialsBar({ counts, most }: { counts: Counts; most: number | null }) {
  const all = Math.max(most ?? 0, counts.total, 1);
  const words = PARTS.filter(([key]) => counts[key] > 0).map(([key, word]) => `${count(counts[key])} ${word}`);
  return (
    <span class="trialsbar">
      <span class="bar" role="img" aria-label={words.join(", ") || "no trials yet"} title={words.join(", ")}>
        {PARTS.map(([key]) => (
          <span key={key} class={`part part-${key}`} style={{ width: `${(counts[key] / all) * 100}%` }} />
        ))}
      </span>
      <span class="of">
        {count(counts.total)}
        {most ? ` of ${count(most)}` : ""}
      </span>
    </span>
  );
}

/** What the colours from worst to best are of. */
export function Ramp({ best }: { best: string }) {
  return (
    <p class="scale">
      <span>worst</span>
      <span class="ramp" aria-hidden="true" />
      <span>{best}</span>
    </p>
  );
}

/** A part of the page that can be scrolled sideways, by keyboard, too. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      {children}
    </div>
  );
}

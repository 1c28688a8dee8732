// A figure: its panels, what has to be known to read them, and its data as a table.
import { useCallback, useState } from "preact/hooks";
import { number } from "../format";
import { indexOf, trialLink } from "../route";
import { Ramp } from "../parts";
import type { Figure, Panel, Series } from "../types";
import { Canvas } from "./canvas";
import { useStore } from "../store";
import { shade } from "../theme";
import { colourOf, height, panelOption, rows as listed } from "./option";

interface Props {
  figure: Figure;
  namespace: string;
  study: string;
  /** Points drawn over the first panel's. */
  over?: Series;
}

const MOST_ROWS = 500;
const MOST_NUMBERS = 6;

export function FigureView({ figure, namespace, study, over }: Props) {
  const many = figure.panels.length > 1;
  const open = (name: string) => {
    const index = indexOf(study, /^[^\s:]+/.exec(name)?.[0]);
    if (index !== null) location.hash = trialLink(namespace, study, index);
  };
  return (
    <figure class="figure">
      {figure.empty !== null ? (
        <p class="empty">{sentence(figure.empty)}.</p>
      ) : (
        <>
        {figure.shades ? (
          <Ramp best={`best ${figure.shades}; the diamond is the best`} />
        ) : (
          many && <Key panel={figure.panels[0]!} />
        )}
        <div class={many ? "panels" : undefined}>
          {figure.panels.map((panel, i) => (
            <PanelView key={i} panel={panel} figure={figure} many={many} open={open} over={i === 0 ? over : undefined} />
          ))}
        </div>
        </>
      )}
      <figcaption>
        {figure.notes.map((note) => (
          <p key={note}>{sentence(note)}</p>
        ))}
      </figcaption>
      {figure.empty === null && <DataTable figure={figure} study={study} namespace={namespace} />}
    </figure>
  );
}

/** One key for panels that are drawn alike. */
function Key({ panel }: { panel: Panel }) {
  useStore(shade);
  return (
    <p class="key">
      {panel.series.map((series, i) => (
        <span key={series.name}>
          <span class="dot" aria-hidden="true" style={{ background: colourOf(series.name, i) }} />
          {series.name}
        </span>
      ))}
    </p>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

interface PanelProps {
  panel: Panel;
  figure: Figure;
  many: boolean;
  open: (name: string) => void;
  over?: Series | undefined;
}

function PanelView({ panel, figure, many, open, over }: PanelProps) {
  const words = said(panel, figure);
  const option = useCallback(
    (width: number) => panelOption(panel, width, words, { keyless: many || figure.shades !== "", ...(over ? { over } : {}) }),
    [panel, words, over, many, figure.shades],
  );
  const wide = many ? 340 : Math.min(innerWidth - 32, 1100);
  return <Canvas words={words} height={many ? 260 : height(panel, wide)} option={option} onClick={open} />;
}

function said(panel: Panel, figure: Figure): string {
  const counts = panel.series
    .filter((each) => each.items.length)
    .map((each) => `${each.items.length} ${each.name}`)
    .join(", ");
  const axes = [panel.x.label, panel.y.label].filter(Boolean).join(" and ");
  return `Chart: ${figure.title}. Axes: ${axes}. Drawn: ${counts || "nothing"}. The data is in the table below.`;
}

interface TableProps {
  figure: Figure;
  namespace: string;
  study: string;
}

/** What each item is and what it shows, in words; made only while it is open, as it is large. */
function DataTable({ figure, namespace, study }: TableProps) {
  const [open, setOpen] = useState(false);
  return (
    <details class="data" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The data as a table</summary>
      {open && figure.panels.map((panel, i) => <PanelTable key={i} {...{ figure, panel, namespace, study }} />)}
    </details>
  );
}

function PanelTable({ figure, panel, namespace, study }: TableProps & { panel: Panel }) {
  const all = panel.series.flatMap((series) => series.items.map((item) => ({ series, item })));
  const axes = [panel.x.label, panel.y.label].filter(Boolean).join(" and ");
  const name = [figure.title, figure.panels.length > 1 ? axes : ""].filter(Boolean).join(", ");
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Table: ${name}`}>
      <table>
        <caption>
          {name}
          {all.length > MOST_ROWS && ` – the first ${MOST_ROWS} of ${all.length} rows`}
        </caption>
        <thead>
          <tr>
            <th scope="col">what</th>
            <th scope="col">kind</th>
            <th scope="col">{panel.x.label || "x"}</th>
            {!listed(panel) && <th scope="col">{panel.y.label || "y"}</th>}
          </tr>
        </thead>
        <tbody>
          {all.slice(0, MOST_ROWS).map(({ series, item }, i) => (
            <tr key={i}>
              <th scope="row">
                <Named text={item.name} namespace={namespace} study={study} />
              </th>
              <td>{series.name}</td>
              <td>{ends(item.xs, series.mark === "spans" ? " to " : ", ")}</td>
              {!listed(panel) && <td>{ends(item.ys, ", ")}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The first numbers and the last one. */
function ends(values: number[], between: string): string {
  const shown = values.map(number);
  return shown.length <= MOST_NUMBERS
    ? shown.join(between)
    : `${shown.slice(0, MOST_NUMBERS - 1).join(between)} … ${shown[shown.length - 1]}`;
}

function Named({ text, namespace, study }: { text: string; namespace: string; study: string }) {
  const first = /^[^\s:]+/.exec(text)?.[0] ?? "";
  const index = indexOf(study, first);
  if (index === null) return <>{text}</>;
  return (
    <>
      <a href={trialLink(namespace, study, index)}>{first}</a>
      {text.slice(first.length)}
    </>
  );
}

// The log of decisions with their reasons, the newest first.
import { useEffect, useMemo, useState } from "preact/hooks";
import { getJson } from "../api";
import { time } from "../format";
import { useAnswer } from "../live";
import { Loaded, Trouble } from "../parts";
import { trialLink } from "../route";
import type { Decision, Decisions } from "../types";

interface Props {
  namespace: string;
  study: string;
  path: string;
  version: number;
  /** How many are shown; older ones only in the whole log. */
  limit: number;
  whole?: boolean;
}

export function DecisionsView({ namespace, study, path, version, limit, whole }: Props) {
  const newest = useAnswer<Decisions>(`${path}/decisions?limit=${limit}`, version);
  const [older, setOlder] = useState<Decisions | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => setOlder(null), [path]);
  const shown = useMemo(() => joined(newest.data, older), [newest.data, older]);
  const more = (older ?? newest.data)?.more ?? false;

  const load = async () => {
    const last = shown[shown.length - 1];
    if (!last) return;
    try {
      const found = await getJson<Decisions>(`${path}/decisions?limit=${limit}&before=${last.id}`);
      // What was newest moves on; what is shown of it is kept.
      setOlder({ decisions: [...shown, ...found.decisions], more: found.more });
      setFailure(null);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };

  return (
    <Loaded answer={newest}>
      {() =>
        shown.length ? (
          <>
            <ol class="decisions" aria-label="Decisions, the newest first">
              {shown.map((each) => (
                <Entry key={each.id} decision={each} href={trialLink(namespace, study, each.trial)} />
              ))}
            </ol>
            {failure && <Trouble words={failure} />}
            {whole && more && (
              <button type="button" onClick={() => void load()}>
                Show older decisions
              </button>
            )}
          </>
        ) : (
          <p class="empty">No decision has been made yet.</p>
        )
      }
    </Loaded>
  );
}

/** The newest ones, then of the older ones those before them. */
function joined(newest: Decisions | null, older: Decisions | null): Decision[] {
  const first = newest?.decisions ?? [];
  const last = first[first.length - 1];
  if (!last || !older) return first;
  const known = new Set(first.map((each) => each.id));
  return [...first, ...older.decisions.filter((each) => each.sequence <= last.sequence && !known.has(each.id))];
}

/** Its place among the study's values, until its time can be worked out. */
function Untimed({ decision }: { decision: Decision }) {
  const why = `after value ${decision.sequence} of the study; its time is told once its pod has ended`;
  return <abbr title={why}>value {decision.sequence}</abbr>;
}

function Entry({ decision, href }: { decision: Decision; href: string }) {
  return (
    <li>
      <span class="when">{decision.at ? time(decision.at).slice(11) : <Untimed decision={decision} />}</span>
      <span class={`what what-${decision.what.replace(/[^a-z]/g, "")}`}>{decision.what}</span>
      <a href={href}>{decision.name}</a>
      <span class="why">{decision.why}</span>
    </li>
  );
}

// The page: what the address names, between a bar and its end.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { useAnswer } from "./live";
import { route, type Route } from "./route";
import { logOut, session } from "./session";
import { useStore } from "./store";
import { choice, choose, type Choice } from "./theme";
import type { Me } from "./types";
import { Login } from "./views/login";
import { Studies } from "./views/studies";
import { StudyPage } from "./views/study";
import { TrialPage } from "./views/trial";

function App() {
  const at = useStore(route);
  const { asked } = useStore(session);
  const place = placeOf(at);
  useEffect(() => {
    document.title = asked === null ? `${place} · Hyperband` : "Sign in · Hyperband";
  }, [place, asked]);
  useFocusOfNewPlace(place);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        Skip to content
      </a>
      <Bar />
      <main id="content" tabIndex={-1}>
        {asked !== null ? <Login words={asked} /> : <Page at={at} />}
      </main>
    </>
  );
}

function placeOf(at: Route): string {
  if (at.page === "study") return `${at.name} ${at.view}`;
  if (at.page === "trial") return `${at.name}-${at.index}`;
  return at.page === "studies" ? "Studies" : "Not found";
}

/** The hash is the place: a plain link would leave it. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

/** A link within the page leads to the new place's heading, as a page that is loaded would. */
function useFocusOfNewPlace(place: string): void {
  useEffect(() => {
    if (first) {
      first = false;
      return;
    }
    scrollTo(0, 0);
    if (document.activeElement?.closest("nav.tabs") === null || document.activeElement === document.body) {
      document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    }
  }, [place]);
}
let first = true;

function Page({ at }: { at: Route }) {
  switch (at.page) {
    case "studies":
      return <Studies />;
    case "study":
      return <StudyPage key={`${at.namespace}/${at.name}`} {...at} />;
    case "trial":
      return <TrialPage key={`${at.namespace}/${at.name}/${at.index}`} {...at} />;
    case "unknown":
      return (
        <>
          <h1 tabIndex={-1}>There is no such place</h1>
          <p>
            <code>{at.path}</code> names nothing here. <a href="#/">All studies</a>
          </p>
        </>
      );
  }
}

const CHOICES: [Choice, string][] = [
  ["system", "as the system"],
  ["light", "light"],
  ["dark", "dark"],
];

function Bar() {
  const me = useAnswer<Me>("me", 0);
  const chosen = useStore(choice);
  const { asked } = useStore(session);
  return (
    <header class="bar">
      <a class="brand" href="#/">
        Hyperband
      </a>
      <span class="who">{asked === null && me.data ? me.data.user : ""}</span>
      <label class="theme">
        <span>Colours</span>
        <select value={chosen} onChange={(event) => choose(event.currentTarget.value as Choice)}>
          {CHOICES.map(([key, text]) => (
            <option key={key} value={key}>
              {text}
            </option>
          ))}
        </select>
      </label>
      {asked === null && me.data?.mode === "cluster" && (
        <button type="button" onClick={logOut}>
          Sign out
        </button>
      )}
    </header>
  );
}

render(<App />, document.getElementById("app")!);

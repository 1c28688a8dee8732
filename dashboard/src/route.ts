// Where one is, in the address's hash, so that a reload, a link and the back button keep the place.
import { decoded } from "./session"; // It takes a token out of the address before that is read here.
import { Store } from "./store";

export const VIEWS = [
  ["ladder", "Ladder"],
  ["curves", "Curves"],
  ["best", "Best"],
  ["parallel", "Parallel"],
  ["pairs", "Pairs"],
  ["importance", "Importance"],
  ["timeline", "Timeline"],
  ["decisions", "Decisions"],
  ["trials", "Trials"],
] as const;

export type View = (typeof VIEWS)[number][0];

export type Route = { query: URLSearchParams } & (
  | { page: "studies" }
  | { page: "study"; namespace: string; name: string; view: View }
  | { page: "trial"; namespace: string; name: string; index: number }
  | { page: "unknown"; path: string }
);

export function parse(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#/, "").split("?", 2);
  const query = new URLSearchParams(search);
  const [page, namespace, name, last, ...more] = path.split("/").filter(Boolean).map(decoded);
  if (page === undefined) return { page: "studies", query };
  if (namespace && name && more.length === 0) {
    const view = VIEWS.find(([key]) => key === (last ?? "ladder"));
    if (page === "studies" && view) return { page: "study", namespace, name, view: view[0], query };
    if (page === "trials" && last && /^\d+$/.test(last)) {
      return { page: "trial", namespace, name, index: Number(last), query };
    }
  }
  return { page: "unknown", path, query };
}

export function studyLink(namespace: string, name: string, view: View = "ladder"): string {
  const base = `#/studies/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
  return view === "ladder" ? base : `${base}/${view}`;
}

export function trialLink(namespace: string, name: string, index: number): string {
  return `#/trials/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${index}`;
}

/** The index of a trial by its name, which is the study's and the index. */
export function indexOf(study: string, trial: unknown): number | null {
  const found = typeof trial === "string" && trial.startsWith(`${study}-`);
  const rest = found ? trial.slice(study.length + 1) : "";
  return /^\d+$/.test(rest) ? Number(rest) : null;
}

export const route = new Store<Route>(parse(location.hash));
addEventListener("hashchange", () => route.set(parse(location.hash)));

/** Changes the query of the place; the back button passes over such steps. */
export function requery(changes: Record<string, string | null>): void {
  const query = new URLSearchParams(route.value.query);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) query.delete(key);
    else query.set(key, value);
  }
  const path = location.hash.split("?", 1)[0] || "#/";
  const search = query.toString();
  history.replaceState(null, "", search ? `${path}?${search}` : path);
  route.set(parse(location.hash));
}

// Dark and light: as the system has it, or as chosen here.
import { Store } from "./store";

export type Choice = "system" | "light" | "dark";

const KEY = "hyperband-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const choice = new Store<Choice>((localStorage.getItem(KEY) as Choice | null) ?? "system");

/** Which of the two is shown; charts are drawn anew when it changes. */
export const shade = new Store<"light" | "dark">("light");

function apply(): void {
  const dark = choice.value === "dark" || (choice.value === "system" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  shade.set(dark ? "dark" : "light");
}

export function choose(value: Choice): void {
  if (value === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, value);
  choice.set(value);
  apply();
}

system.addEventListener("change", apply);
apply();

const RANKS = 12;

/** Colours from worst to best, told apart by lightness alone, too; and where on them a rank from 0 to 1 is. */
export function rankColours(): (rank: number) => string {
  const colours = Array.from({ length: RANKS }, (_, i) => colour(`rank-${i}`));
  return (rank) => colours[Math.max(Math.round(rank * (RANKS - 1)), 0)]!;
}

/** The value of a custom property of the sheet of styles, so that colours are named once. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

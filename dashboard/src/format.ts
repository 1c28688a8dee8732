// Numbers and times as they are shown.

export const NONE = "–";

/** Four digits, except for whole numbers. */
export function number(value: unknown): string {
  if (value === null || value === undefined) return NONE;
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  if (Math.abs(value) < 1e-4) return value.toExponential(3).replace(/\.?0+e/, "e");
  const shown = value.toPrecision(4);
  if (shown.includes("e")) return shown.replace(/\.?0+e/, "e").replace("e+", "e");
  return shown.includes(".") ? shown.replace(/\.?0+$/, "") : shown;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : value.toLocaleString("en");
}

export function hours(value: number | null): string {
  return value === null ? NONE : value < 10 ? value.toFixed(2) : value.toFixed(1);
}

export function time(iso: string | null | undefined): string {
  const at = iso ? new Date(iso) : null;
  if (!at || Number.isNaN(at.getTime())) return NONE;
  const two = (part: number) => String(part).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function lasted(from: string | null, to: string | null, now: number): string {
  if (!from) return NONE;
  const seconds = Math.max(((to ? Date.parse(to) : now) - Date.parse(from)) / 1000, 0);
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

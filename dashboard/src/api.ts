// Questions to the server, with the token.
import { ask, session } from "./session";

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** An answer with status 200; others are thrown as `Refused`, in the server's words. */
export async function request(path: string, signal?: AbortSignal): Promise<Response> {
  const token = session.value.token;
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
  let answer: Response;
  try {
    answer = await fetch(`api/${path}`, { headers, signal: signal ?? null, cache: "no-store" });
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new Refused(0, "The server does not answer. It is tried again.");
  }
  if (answer.ok) return answer;
  const words = await told(answer);
  if (answer.status === 401) {
    ask(token ? `${words} Sign in again to go on where you were.` : "", token);
  }
  throw new Refused(answer.status, words);
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await request(path, signal)).json()) as T;
}

export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  return (await request(path, signal)).text();
}

async function told(answer: Response): Promise<string> {
  try {
    const body = (await answer.json()) as { error?: unknown };
    if (typeof body.error === "string") return sentence(body.error);
  } catch {
    // It is no JSON: a proxy's own page, say.
  }
  return `The server answers ${answer.status}.`;
}

function sentence(words: string): string {
  const first = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

export function studyPath(namespace: string, name: string, rest = ""): string {
  return `studies/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}${rest}`;
}

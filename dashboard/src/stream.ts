// Server-sent events by fetch, as an EventSource sends no token. A broken stream is opened again,
// ever later; a hidden page has none.
import { request, Refused } from "./api";
import { ask, session } from "./session";

export type Link = "opening" | "live" | "paused" | "lost";

export interface Message {
  event: string;
  data: string;
}

const FIRST_DELAY = 500;
const MOST_DELAY = 15_000;

/** Splits what came into messages, and what is left for later. */
export function messages(text: string): [Message[], string] {
  const parts = text.replace(/\r\n?/g, "\n").split("\n\n");
  const rest = parts.pop() ?? "";
  const found: Message[] = [];
  for (const part of parts) {
    let event = "message";
    const data: string[] = [];
    for (const line of part.split("\n")) {
      const [, field, value = ""] = /^(\w*):? ?(.*)$/.exec(line) ?? [];
      if (field === "event") event = value;
      if (field === "data") data.push(value);
    }
    if (data.length) found.push({ event, data: data.join("\n") });
  }
  return [found, rest];
}

export interface Listener {
  /** Of the first message of a connection it is said that it is: much may have been missed. */
  heard: (message: Message, first: boolean) => void;
  told: (link: Link) => void;
  /** There is none any more, or none for this viewer. */
  ended: (why: "deleted" | "forbidden") => void;
}

/** Keeps a stream open until the function that it returns is called. */
export function follow(path: string, { heard, told, ended }: Listener): () => void {
  let open: AbortController | null = null;
  let timer = 0;
  let delay = FIRST_DELAY;

  const later = (): void => {
    told("lost");
    timer = window.setTimeout(start, delay * (0.75 + Math.random() / 2));
    delay = Math.min(delay * 2, MOST_DELAY);
  };

  const start = async (): Promise<void> => {
    clearTimeout(timer);
    open?.abort();
    const mine = (open = new AbortController());
    const token = session.value.token;
    told("opening");
    let first = true;
    try {
      const answer = await request(path, mine.signal);
      told("live");
      const reason = await read(answer, mine.signal, (message) => {
        delay = FIRST_DELAY;
        heard(message, first);
        first = false;
      });
      if (mine.signal.aborted) return;
      if (reason === "expired") {
        ask("Your token has expired. Sign in again to go on where you were.", token);
      } else {
        // A server that ends says that its studies are gone: what is so tells the next answer.
        later();
      }
    } catch (failure) {
      if (mine.signal.aborted) return;
      const status = failure instanceof Refused ? failure.status : 0;
      if (status === 403 || status === 404) ended(status === 404 ? "deleted" : "forbidden");
      if (status === 401 || status === 403 || status === 404) told("lost");
      else later();
    }
  };

  const shown = (): void => {
    if (document.hidden) {
      clearTimeout(timer);
      open?.abort();
      told("paused");
    } else {
      delay = FIRST_DELAY;
      void start();
    }
  };

  document.addEventListener("visibilitychange", shown);
  shown();
  return () => {
    document.removeEventListener("visibilitychange", shown);
    clearTimeout(timer);
    open?.abort();
  };
}

/** Reads to the end of a stream; the reason of its end, if it says one. */
async function read(
  answer: Response,
  signal: AbortSignal,
  heard: (message: Message) => void,
): Promise<string | null> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done || signal.aborted) return null;
    const [found, left] = messages(rest + value);
    rest = left;
    for (const message of found) {
      if (message.event === "end") {
        return String((JSON.parse(message.data) as { reason?: string }).reason ?? "");
      }
      heard(message);
    }
  }
}

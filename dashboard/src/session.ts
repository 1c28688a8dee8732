// Who one is: the token, which is never in an address but for the one-time one of a laptop's link.
import { Store } from "./store";

const KEY = "hyperband-token";

export interface Session {
  token: string | null;
  /** Why a token is asked for, in words; null while the one there is serves. */
  asked: string | null;
  /** Counts logins, so that views ask anew after one. */
  login: number;
}

export const session = new Store<Session>({
  token: taken() ?? sessionStorage.getItem(KEY),
  asked: null,
  login: 0,
});

/** The token of a link of `hyperband dashboard`, removed from the address and the history. */
function taken(): string | null {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found?.[1]) return null;
  const token = decoded(found[1]);
  sessionStorage.setItem(KEY, token);
  history.replaceState(null, "", location.pathname + location.search + "#/");
  return token;
}

/** Of a part of an address; what is no such thing is taken as it is. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// A link that is opened in a tab that has the page does not load it anew.
addEventListener("hashchange", () => {
  const token = taken();
  if (token !== null) logIn(token);
});

export function logIn(token: string): void {
  sessionStorage.setItem(KEY, token);
  session.set({ token, asked: null, login: session.value.login + 1 });
}

/** Asks for a token. Answers to an older token, which come late, change nothing. */
export function ask(words: string, token: string | null): void {
  if (token !== session.value.token || session.value.asked !== null) return;
  sessionStorage.removeItem(KEY);
  session.set({ ...session.value, token: null, asked: words });
}

export function logOut(): void {
  ask("You have signed out of this tab.", session.value.token);
}

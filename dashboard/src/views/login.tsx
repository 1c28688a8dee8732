// Asks for a token of the cluster; it stays in this tab, and goes nowhere but to this server.
import { useEffect, useRef, useState } from "preact/hooks";
import { logIn } from "../session";

export function Login({ words }: { words: string }) {
  const [token, setToken] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class="login"
      onSubmit={(event) => {
        event.preventDefault();
        const clean = token.trim().replace(/^Bearer\s+/i, "");
        if (clean) logIn(clean);
      }}
    >
      <h1 tabIndex={-1}>Sign in</h1>
      {words && <p role="alert">{words}</p>}
      <label>
        Token
        <input
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary">
        Sign in
      </button>
      <p class="note">
        A token of a service account or user that may read studies, such as one from{" "}
        <code>kubectl create token NAME</code>. What you see is what it may see. It is kept in this tab alone, until the tab is
        closed. On a laptop, open the link that <code>hyperband dashboard</code> has printed.
      </p>
    </form>
  );
}

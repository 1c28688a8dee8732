// A value that is listened to, and the hook that draws a component anew when it changes.
import { useEffect, useState } from "preact/hooks";

export class Store<T> {
  private listeners = new Set<() => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set(value: T): void {
    this.current = value;
    for (const listener of [...this.listeners]) listener();
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function useStore<T>(store: Store<T>): T {
  const [, redraw] = useState(0);
  useEffect(() => {
    let seen = store.value;
    const listener = () => {
      if (store.value !== seen) {
        seen = store.value;
        redraw((count) => count + 1);
      }
    };
    return store.listen(listener);
  }, [store]);
  return store.value;
}

// How long the page takes until something is seen, for whoever reads performance.getEntries().

/** Measures from `begun` until the next frame after this one is painted. */
export function measured(name: string, begun: number, detail: string): void {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      performance.measure(`hyperband:${name}`, { start: begun, end: performance.now(), detail });
    };
    channel.port2.postMessage(null);
  });
}

let loaded = false;

/** Measures once, from the page's start. */
export function seen(what: string): void {
  if (!loaded) {
    loaded = true;
    measured("load", 0, what);
  }
}

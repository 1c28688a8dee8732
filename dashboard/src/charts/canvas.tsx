// A chart in the page: as wide as its place, in the page's colours, told in words to those who do
// not see it.
import { useEffect, useRef } from "preact/hooks";
import { useStore } from "../store";
import { shade } from "../theme";
import { type Chart, init, type Option } from "./echarts";

interface Props {
  /** What is seen, in a sentence. */
  words: string;
  height: number;
  /** Drawn anew when it changes; called again for each theme and width. */
  option: (width: number) => Option;
  onClick?: (name: string) => void;
  onReady?: (chart: Chart) => void;
}

export function Canvas({ words, height, option, onClick, onReady }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const clicked = useRef(onClick);
  clicked.current = onClick;
  const drawn = useRef(option);
  drawn.current = option;
  const theme = useStore(shade);

  const draw = () => {
    const width = place.current?.clientWidth ?? 0;
    if (width > 0) chart.current?.setOption(drawn.current(width), { replaceMerge: ["series"] });
  };

  useEffect(() => {
    const element = place.current!;
    const made = init(element, null, { renderer: "canvas" });
    chart.current = made;
    made.on("click", (event) => {
      const name = (event.data as { name?: string } | null)?.name ?? event.name;
      if (name) clicked.current?.(name);
    });
    onReady?.(made);
    let width = element.clientWidth;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth === width && made.getHeight() === element.clientHeight) return;
      width = element.clientWidth;
      made.resize();
      draw();
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);

  useEffect(draw, [option, theme, height]);

  return <div ref={place} class="canvas" role="img" aria-label={words} style={{ height: `${height}px` }} />;
}

export const still = matchMedia("(prefers-reduced-motion: reduce)");

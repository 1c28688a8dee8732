// The parts of ECharts that are used: what is not named here is not bundled.
import { CustomChart, LinesChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent,
  DataZoomInsideComponent,
  GridComponent,
  LegendComponent,
  ParallelComponent,
  TooltipComponent,
} from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([
  CustomChart,
  LinesChart,
  ParallelChart,
  ScatterChart,
  AriaComponent,
  DataZoomInsideComponent,
  GridComponent,
  LegendComponent,
  ParallelComponent,
  TooltipComponent,
  CanvasRenderer,
]);

export { init };
export type Chart = ReturnType<typeof init>;
export type Option = Record<string, unknown>;

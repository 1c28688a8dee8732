// Bundles the page into built/: one script, one sheet of styles, and the document that names them.
import { build } from "esbuild";
import { copyFile } from "node:fs/promises";

await build({
  entryPoints: [
    { in: "src/main.tsx", out: "app" },
    { in: "src/app.css", out: "app" },
  ],
  outdir: "built",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  // The licences of what is bundled go with it.
  legalComments: "eof",
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) await copyFile(`src/${name}`, `built/${name}`);

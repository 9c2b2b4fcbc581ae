/* Bundles what pages send to browsers, into ../static/built:
 *
 *   theme.js            in the head, before anything is painted
 *   shell.js            on every page: menus, copying, partial updates
 *   <subject>.js        of each folder with a main.ts: only on the pages that ask for it
 *   main.css            tokens, components, layout, then each file of styles/pages
 *
 * Names hold a hash of the content, so a browser may keep a file for ever; manifest.json says which name is which.
 * Each text is there as gzip and Brotli, too: the server packs nothing. Run it by `make web`.
 */

import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import zlib from "node:zlib";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "..", "static", "built");
const PACKED_FROM_BYTES = 512; // below this the headers cost more than is saved
const PACKED = new Set([".js", ".css", ".svg", ".json"]);

const common = {
  bundle: true,
  minify: true,
  metafile: true,
  target: ["es2022", "chrome111", "firefox114", "safari16.4"],
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  loader: { ".woff2": "file", ".svg": "file" },
  legalComments: "none",
  logLevel: "warning",
};

async function subjects() {
  const entries = await readdir(here, { withFileTypes: true });
  const named = entries
    .filter((one) => one.isDirectory() && existsSync(path.join(here, one.name, "main.ts")))
    .map((one) => [one.name, path.join(here, one.name, "main.ts")]);
  return Object.fromEntries(named.sort());
}

/** One sheet for all pages: it is small, and kept after the first. */
async function sheet() {
  const pages = (await readdir(path.join(here, "styles", "pages"))).filter((name) => name.endsWith(".css"));
  const parts = ["tokens", "base", "layout", "components", ...pages.sort().map((name) => `pages/${name.slice(0, -4)}`)];
  return parts.map((part) => `@import "./styles/${part}.css";`).join("\n");
}

const scripts = await esbuild.build({
  ...common,
  entryPoints: { shell: path.join(here, "shell.ts"), ...(await subjects()) },
  format: "esm",
  splitting: true,
  outdir: out,
  write: false,
});
const theme = await esbuild.build({
  ...common,
  entryPoints: { theme: path.join(here, "theme.ts") },
  format: "iife",
  outdir: out,
  write: false,
});
const styles = await esbuild.build({
  ...common,
  stdin: { contents: await sheet(), loader: "css", resolveDir: here, sourcefile: "main.css" },
  outdir: out,
  entryNames: "main-[hash]",
  write: false,
});

const files = new Map();
const names = {};
for (const [result, entryOf] of [
  [scripts, (entry) => (entry.endsWith("main.ts") ? path.basename(path.dirname(entry)) : path.parse(entry).name) + ".js"],
  [theme, () => "theme.js"],
  [styles, () => "main.css"],
]) {
  for (const file of result.outputFiles) files.set(path.basename(file.path), file.contents);
  for (const [file, about] of Object.entries(result.metafile.outputs)) {
    if (about.entryPoint && !file.endsWith(".css")) names[entryOf(about.entryPoint)] = path.basename(file);
    // Styles that a script brings along, as a chart library's, are named after it.
    if (about.entryPoint && about.cssBundle)
      names[entryOf(about.entryPoint).replace(/\.js$/, ".css")] = path.basename(about.cssBundle);
    if (result === styles && file.endsWith(".css")) names["main.css"] = path.basename(file);
    // What the head asks for before the sheet is read.
    const font = /^(inter-latin-wght-normal)-\w+\.woff2$/.exec(path.basename(file));
    if (font) names[`${font[1]}.woff2`] = path.basename(file);
  }
}

const gzip = promisify(zlib.gzip);
const brotli = promisify(zlib.brotliCompress);
const next = `${out}.next`;
await rm(next, { recursive: true, force: true });
await mkdir(next, { recursive: true });
const sizes = {};
for (const [name, contents] of files) {
  await writeFile(path.join(next, name), contents);
  sizes[name] = { bytes: contents.length };
  if (!PACKED.has(path.extname(name)) || contents.length < PACKED_FROM_BYTES) continue;
  const zipped = await gzip(contents, { level: 9 });
  const packed = await brotli(contents, {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: contents.length },
  });
  await writeFile(path.join(next, `${name}.gz`), zipped);
  await writeFile(path.join(next, `${name}.br`), packed);
  sizes[name] = { bytes: contents.length, gzip: zipped.length, brotli: packed.length };
}
await writeFile(path.join(next, "manifest.json"), `${JSON.stringify(names, null, 2)}\n`);
await rm(out, { recursive: true, force: true });
await rename(next, out);

if (process.argv.includes("--sizes")) {
  for (const [name, file] of Object.entries(names).sort()) console.log(name, sizes[file]);
}

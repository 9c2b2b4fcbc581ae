/* Unpacks the Chromium that its npm package ships compressed, with the libraries and fonts beside it, into chromium/. */

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";

const here = path.dirname(fileURLToPath(import.meta.url));
const packed = path.join(here, "node_modules", "@sparticuz", "chromium", "bin");
const out = path.join(here, "chromium");

rmSync(out, { recursive: true, force: true });
mkdirSync(out);
writeFileSync(path.join(out, "chromium"), brotliDecompressSync(readFileSync(path.join(packed, "chromium.br"))), { mode: 0o755 });
for (const name of ["al2023", "fonts", "swiftshader"]) {
  const tar = brotliDecompressSync(readFileSync(path.join(packed, `${name}.tar.br`)));
  execFileSync("tar", ["-x", "-C", out], { input: tar });
}

// Writes a .br and a .gz file beside each file of a folder that compression shrinks, for the server to
// send. With --check, verifies that the compressed files match their originals.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";

const ENCODINGS = { ".br": [brotliCompressSync, brotliDecompressSync], ".gz": [gzip, gunzipSync] };
const MIN_BYTES = 1000;

function gzip(data) {
  const packed = gzipSync(data, { level: 9 });
  packed[9] = 255; // "unknown" as the operating system, so that the bytes do not depend on it
  return packed;
}

const [folder, mode] = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && [".html", ".js", ".css"].includes(extname(entry.name)))
  .map((entry) => join(entry.parentPath, entry.name));
for (const file of files) {
  const data = readFileSync(file);
  if (data.length < MIN_BYTES) continue;
  for (const [extension, [pack, unpack]] of Object.entries(ENCODINGS)) {
    const packed = file + extension;
    if (mode !== "--check") writeFileSync(packed, pack(data));
    else if (!existsSync(packed) || !unpack(readFileSync(packed)).equals(data)) {
      console.error(`${packed} does not match ${file}: run scripts/web and commit.`);
      process.exitCode = 1;
    }
  }
}

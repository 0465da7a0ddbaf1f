// Writes a .br and a .gz beside each file of a folder that gains by it, as the server sends them;
// with --check it demands that those which are there hold what the files hold.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";

const ENCODINGS = { ".br": [brotliCompressSync, brotliDecompressSync], ".gz": [gzipped, gunzipSync] };
const LEAST = 1000;

function gzipped(data) {
  const packed = gzipSync(data, { level: 9 });
  packed[9] = 255; // The system that made it is nobody's concern.
  return packed;
}

const [folder, mode] = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && [".html", ".js", ".css"].includes(extname(entry.name)))
  .map((entry) => join(entry.parentPath, entry.name));
for (const file of files) {
  const data = readFileSync(file);
  if (data.length < LEAST) continue;
  for (const [ending, [pack, unpack]] of Object.entries(ENCODINGS)) {
    const beside = file + ending;
    if (mode !== "--check") writeFileSync(beside, pack(data));
    else if (!existsSync(beside) || !unpack(readFileSync(beside)).equals(data)) {
      console.error(`${beside} does not hold what ${file} holds: run scripts/web.`);
      process.exitCode = 1;
    }
  }
}

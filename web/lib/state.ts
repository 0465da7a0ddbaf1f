/** The whole state of a search, as the address holds it, and what is asked of the server for it. */

import { at, type Stats } from "@/lib/api";

export interface Search {
  uploads: string[];
  ids: string[];
  text: string;
  negative_text: string;
  colors: string[];
  crop: string;
  weights: string;
  where: string;
  likes: string[];
  dislikes: string[];
  strategy: string;
  diversity: number;
  collapse: boolean;
  relevant: boolean;
  /** The image whose details are open. */
  shown: string;
}

export const EMPTY: Search = {
  uploads: [], ids: [], text: "", negative_text: "", colors: [], crop: "", weights: "", where: "",
  likes: [], dislikes: [], strategy: "", diversity: 0, collapse: false, relevant: false, shown: "",
}; // prettier-ignore

/** The search that an address means. */
export function read(query: string): Search {
  const given = new URLSearchParams(query);
  const one = (name: string) => given.get(name) ?? "";
  return {
    uploads: given.getAll("upload"),
    ids: given.getAll("id"),
    text: one("text"),
    negative_text: one("negative_text"),
    colors: given.getAll("color"),
    crop: one("crop"),
    weights: one("weights"),
    where: one("where"),
    likes: given.getAll("like"),
    dislikes: given.getAll("unlike"),
    strategy: one("strategy"),
    diversity: Math.min(1, Math.max(0, Number(one("diversity")) || 0)),
    collapse: one("collapse") === "1",
    relevant: one("relevant") === "1",
    shown: one("show"),
  };
}

/** The address of a search: what is not set is not in it. */
export function write(search: Search): string {
  const given: [string, string][] = [
    ...search.uploads.map((token): [string, string] => ["upload", token]),
    ...search.ids.map((id): [string, string] => ["id", id]),
    ["text", search.text],
    ["negative_text", search.negative_text],
    ...search.colors.map((color): [string, string] => ["color", color]),
    ["crop", search.crop],
    ...search.likes.map((id): [string, string] => ["like", id]),
    ...search.dislikes.map((id): [string, string] => ["unlike", id]),
    ["strategy", search.strategy],
    ["weights", search.weights],
    ["where", search.where],
    ["diversity", search.diversity ? String(search.diversity) : ""],
    ["collapse", search.collapse ? "1" : ""],
    ["relevant", search.relevant ? "1" : ""],
    ["show", search.shown],
  ];
  const set = given.filter(([, value]) => value !== "");
  return set.length ? `?${new URLSearchParams(set).toString()}` : "";
}

export const isRefined = (search: Search) => search.likes.length + search.dislikes.length > 0;

export const pictures = (search: Search) => search.uploads.length + search.ids.length;

export function isQuery(search: Search): boolean {
  return Boolean(pictures(search) || search.text.trim() || search.colors.length) || isRefined(search);
}

/** Weights as the address writes them: a preset's name, or `semantic=0.7,color=0.3`. */
export function readWeights(
  written: string,
  presets: Record<string, Record<string, number>>,
): Record<string, number> {
  const preset = presets[written];
  if (preset) return preset;
  const weights: Record<string, number> = {};
  for (const part of written.split(",")) {
    const [name, weight] = part.split("=");
    if (name && Number(weight) >= 0) weights[name] = Number(weight);
  }
  return weights;
}

export function writeWeights(weights: Record<string, number>): string {
  return Object.entries(weights)
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => `${name}=${Number(weight.toFixed(2))}`)
    .join(",");
}

export interface Request {
  path: string;
  body: Record<string, unknown> | null;
}

/** The aspects that have something to be near to: of a picture all, of words and colors one. */
export function targets(search: Search, aspects: string[]): string[] {
  if (pictures(search) || isRefined(search)) return aspects;
  return aspects.filter(
    (aspect) =>
      (aspect === "semantic" && search.text.trim()) || (aspect === "color" && search.colors.length),
  );
}

const listed = (all: string[]) => (all.length === 1 ? all[0] : all);

/** The weights to ask with: only of aspects that have a target, none where nothing is left. */
function weightsOf(search: Search, known: Pick<Stats, "aspects" | "presets">): unknown {
  if (known.presets[search.weights]) return search.weights;
  const having = targets(search, known.aspects);
  const given = Object.entries(readWeights(search.weights, known.presets));
  const weights = given.filter(([aspect, weight]) => weight > 0 && having.includes(aspect));
  return weights.length ? Object.fromEntries(weights) : undefined;
}

/** What to ask for a search; `body` is null for the listing of all images. */
export function requestOf(search: Search, known: Pick<Stats, "aspects" | "presets">): Request {
  const where = search.where.trim() || undefined;
  if (!isQuery(search)) return { path: at("/v1/images", { where }), body: null };
  const text = search.text.trim();
  const negative_text = search.negative_text.trim();
  const shared = {
    weights: weightsOf(search, known),
    where,
    diversity: search.diversity || undefined,
    collapse: search.collapse || undefined,
    relevant: search.relevant || undefined,
  };
  if (isRefined(search)) {
    const asked = [...search.ids, ...search.uploads.map((token) => `upload:${token}`)];
    if (text) asked.push(`text:${text}`);
    const unlike = [...search.dislikes, ...(negative_text ? [`text:${negative_text}`] : [])];
    const strategy = search.strategy || undefined;
    const like = [...new Set([...asked, ...search.likes])];
    return { path: "/v1/recommend", body: { ...shared, like, unlike, strategy } };
  }
  return {
    path: "/v1/search",
    body: {
      ...shared,
      id: search.ids.length ? listed(search.ids) : undefined,
      upload: search.uploads.length ? listed(search.uploads) : undefined,
      text: text || undefined,
      negative_text: (text && negative_text) || undefined,
      color: search.colors.length ? listed(search.colors) : undefined,
      crop: search.crop && pictures(search) === 1 ? search.crop.split(",").map(Number) : undefined,
    },
  };
}

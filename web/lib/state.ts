/** A search as the address holds it, and the API request it stands for. */

import type { Body, Stats } from "@/lib/api";

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
  /** "1" hides near-identical images; the name of a field shows one image of each value. */
  collapse: string;
  /** A field to sort by, after a minus sign descending. */
  sort: string;
  relevant: boolean;
  /** The image whose details are open. */
  shown: string;
}

export const EMPTY: Search = {
  uploads: [], ids: [], text: "", negative_text: "", colors: [], crop: "", weights: "", where: "",
  likes: [], dislikes: [], strategy: "", diversity: 0, collapse: "", sort: "", relevant: false, shown: "",
}; // prettier-ignore

export function parseSearch(query: string): Search {
  const parameters = new URLSearchParams(query);
  const value = (name: string) => parameters.get(name) ?? "";
  return {
    uploads: parameters.getAll("upload"),
    ids: parameters.getAll("id"),
    text: value("text"),
    negative_text: value("negative_text"),
    colors: parameters.getAll("color"),
    crop: value("crop"),
    weights: value("weights"),
    where: value("where"),
    likes: parameters.getAll("like"),
    dislikes: parameters.getAll("unlike"),
    strategy: value("strategy"),
    diversity: Math.min(1, Math.max(0, Number(value("diversity")) || 0)),
    collapse: value("collapse"),
    sort: value("sort"),
    relevant: value("relevant") === "1",
    shown: value("show"),
  };
}

/** The query string of a search. Defaults are left out. */
export function searchQuery(search: Search): string {
  const parameters: [string, string][] = [
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
    ["collapse", search.collapse],
    ["sort", search.sort],
    ["relevant", search.relevant ? "1" : ""],
    ["show", search.shown],
  ];
  const set = parameters.filter(([, value]) => value !== "");
  return set.length ? `?${new URLSearchParams(set).toString()}` : "";
}

/** The value of `collapse` that is no field. */
export const NEAR_IDENTICAL = "1";

export const isRefined = (search: Search) => search.likes.length + search.dislikes.length > 0;

export const imageCount = (search: Search) => search.uploads.length + search.ids.length;

export function isQuery(search: Search): boolean {
  return Boolean(imageCount(search) || search.text.trim() || search.colors.length) || isRefined(search);
}

/** Weights from the address: the name of a preset, or `semantic=0.7,color=0.3`. */
export function parseWeights(
  text: string,
  presets: Record<string, Record<string, number>>,
): Record<string, number> {
  const preset = presets[text];
  if (preset) return preset;
  const weights: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [name, weight] = part.split("=");
    if (name && Number(weight) >= 0) weights[name] = Number(weight);
  }
  return weights;
}

export function formatWeights(weights: Record<string, number>): string {
  return Object.entries(weights)
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => `${name}=${Number(weight.toFixed(2))}`)
    .join(",");
}

/** The aspects with a target: all of them for an image, one each for text and colors. */
export function targetAspects(search: Search, aspects: string[]): string[] {
  if (imageCount(search) || isRefined(search)) return aspects;
  return aspects.filter(
    (aspect) =>
      (aspect === "semantic" && search.text.trim()) || (aspect === "color" && search.colors.length),
  );
}

type Known = Pick<Stats, "aspects" | "presets">;

/** The weights of a request: only of aspects with a target; undefined if none are left. */
function requestWeights(search: Search, known: Known) {
  if (known.presets[search.weights]) return search.weights;
  const usable = targetAspects(search, known.aspects);
  const weights = Object.entries(parseWeights(search.weights, known.presets)).filter(
    ([aspect, weight]) => weight > 0 && usable.includes(aspect),
  );
  return weights.length ? Object.fromEntries(weights) : undefined;
}

export type Request =
  | { kind: "listing"; where: string | undefined; sort: string | undefined }
  | { kind: "search"; body: Body<"/v1/search", "post"> }
  | { kind: "recommend"; body: Body<"/v1/recommend", "post"> };

const single = (values: string[]) => (values.length === 1 ? values[0] : values);

/** The request for a search. Without a query, the listing of all images. */
export function requestOf(search: Search, known: Known): Request {
  const where = search.where.trim() || undefined;
  const sort = search.sort || undefined;
  if (!isQuery(search)) return { kind: "listing", where, sort };
  const body = {
    ...targetsOf(search),
    weights: requestWeights(search, known),
    where,
    sort,
    diversity: search.diversity || undefined,
    collapse: search.collapse === NEAR_IDENTICAL || search.collapse || undefined,
    relevant: search.relevant || undefined,
  };
  if (!isRefined(search)) return { kind: "search", body };
  const refined = { ...body, ...examplesOf(search) };
  return { kind: "recommend", body: search.strategy === "best" ? asExamples(search, refined) : refined };
}

/** What a search is about, with or without examples. */
function targetsOf(search: Search) {
  const text = search.text.trim();
  const negative_text = search.negative_text.trim();
  const crop = search.crop && imageCount(search) === 1 ? search.crop.split(",").map(Number) : undefined;
  return {
    id: search.ids.length ? single(search.ids) : undefined,
    upload: search.uploads.length ? single(search.uploads) : undefined,
    text: text || undefined,
    negative_text: (canExclude(search) && negative_text) || undefined,
    color: search.colors.length ? single(search.colors) : undefined,
    crop,
  };
}

/** The examples that refine a search, and the text that it excludes where only an example can. */
function examplesOf(search: Search) {
  const negative_text = canExclude(search) ? "" : search.negative_text.trim();
  return {
    like: search.likes,
    unlike: [...search.dislikes, ...(negative_text ? [`text:${negative_text}`] : [])],
    strategy: (search.strategy || undefined) as Body<"/v1/recommend", "post">["strategy"],
  };
}

/** The strategy `best` compares with each example by itself, so all but colors are examples there. */
function asExamples<T extends ReturnType<typeof examplesOf>>(search: Search, body: T): T {
  const { uploads, ids, text, negative_text } = search;
  const like = [...ids, ...uploads.map((token) => `upload:${token}`), ...(text.trim() ? [`text:${text.trim()}`] : [])];
  const unlike = negative_text.trim() ? [`text:${negative_text.trim()}`] : [];
  return {
    ...body,
    id: undefined,
    upload: undefined,
    text: undefined,
    negative_text: undefined,
    like: [...new Set([...like, ...body.like])],
    unlike: [...new Set([...body.unlike, ...unlike])],
  };
}

/** A text is excluded from what an image or another text finds. */
export const canExclude = (search: Search) => imageCount(search) > 0 || search.text.trim() !== "";

/** A field and a direction to sort by. */
export function parseSort(sort: string): { field: string; descending: boolean } {
  return { field: sort.replace(/^-/, ""), descending: sort.startsWith("-") };
}

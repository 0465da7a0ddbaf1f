/** The HTTP API as the page uses it: its documents, and one function that fetches them. */

export type FieldType = "integer" | "float" | "boolean" | "datetime" | "keyword" | "keywords";
export type Value = string | number | boolean | string[] | null;

export interface Color {
  name: string;
  hex: string;
  share: number;
}

/** What the index knows of the picture itself. */
export interface OwnFields {
  id: string;
  uri: string;
  sha256: string;
  format: string;
  width: number;
  height: number;
  bytes: number;
  indexed_at: string;
  taken_at?: string;
  colors?: Color[];
}

/** The user's fields at the top level, ours under `image`. */
export type Payload = { image: OwnFields } & Record<string, unknown>;

export interface Picture {
  id: string;
  payload: Payload;
}

export interface Hit extends Picture {
  score: number;
  scores: Record<string, number>;
  calibrated: number;
  shares: Record<string, number>;
  variants: string[];
}

export interface AspectPlan {
  target: string;
  weight: number;
  mean: number;
  spread: number | null;
  effective: number;
}

export interface Answer {
  hits: Hit[];
  complete: boolean;
  weights: Record<string, number>;
  took_ms: number;
  explanation: { aspects: Record<string, AspectPlan>; relevant_from: number | null };
}

export interface Listing {
  images: Picture[];
  total: number;
}

export interface FacetValue {
  value: string | number | boolean;
  count: number;
}

export interface Histogram {
  field: string;
  low: string | number | null;
  high: string | number | null;
  count: number;
  missing: number;
  bins: { low: string | number; high: string | number; count: number }[];
}

export interface Stats {
  images: number;
  bytes_on_disk: number;
  indexed_vectors: number;
  vectors: Record<string, { size: number; model: string; aspect: string | null }>;
  fields: Record<string, { type: FieldType; values: number | null }>;
  engine: string;
  schema: number;
  aspects: string[];
  presets: Record<string, Record<string, number>>;
  text: boolean;
  thumbnails: number;
  memory: number;
  building: boolean;
  roots: boolean;
  write: boolean;
  version: string;
}

export interface Reject {
  uri: string;
  reason: string;
  detail: string;
}

export interface IngestReport {
  added: number;
  updated: number;
  unchanged: number;
  rejected: number;
  removed?: number;
  skipped?: number;
  seconds?: number;
  rejects: Reject[];
  ids?: (string | null)[];
}

export interface Upload {
  upload: string;
  width: number;
  height: number;
  format: string;
}

export interface Match {
  id: string;
  uri: string;
  verdict: string;
  evidence: Record<string, unknown>;
  payload: Payload;
}

export interface Group {
  verdict: string;
  keeper: string;
  reason: string;
  members: Match[];
}

export interface Job {
  job: string;
  kind: "ingest" | "duplicates" | "optimize";
  state: "queued" | "running" | "done" | "failed" | "canceled";
  stage: string;
  done: number;
  total: number | null;
  problem: ProblemDocument | null;
  report: IngestReport | null;
  request: Record<string, unknown>;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface Groups {
  groups: Group[];
  total: number;
  images: number;
  job: Job | null;
}

interface ProblemDocument {
  title?: string;
  status: number;
  detail: string;
  error?: string;
  reason?: string;
  fields?: { where: string; what: string }[];
}

/** What the server refused, in its own words. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly error = "",
  ) {
    super(detail);
  }

  /** Of whatever was thrown. */
  static of(thrown: unknown): Problem {
    if (thrown instanceof Problem) return thrown;
    return new Problem(0, thrown instanceof Error ? thrown.message : String(thrown));
  }

  /** A query picture that the server no longer keeps. */
  get forgotten(): boolean {
    return this.status === 404 && /upload/i.test(this.message);
  }
}

/** Told when the server wants a key, so that one place can ask for it. */
export const unauthorized = new EventTarget();

interface Ask {
  method?: string;
  json?: unknown;
  form?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Fetches a document of the API; what is no success is thrown as a Problem. */
export async function ask<T>(path: string, { json, form, ...rest }: Ask = {}): Promise<T> {
  const body = form ?? (json === undefined ? undefined : JSON.stringify(json));
  let response: Response;
  try {
    response = await fetch(path, {
      method: rest.method ?? (body === undefined ? "GET" : "POST"),
      headers: { ...(json === undefined ? {} : { "Content-Type": "application/json" }), ...rest.headers },
      body,
      signal: rest.signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (rest.signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer: see whether it still runs, then try again.");
  }
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  const problem = (await response.json().catch(() => null)) as Partial<ProblemDocument> | null;
  if (response.status === 401) unauthorized.dispatchEvent(new Event("ask"));
  throw new Problem(
    response.status,
    problem?.detail ?? `The server answered ${response.status} ${response.statusText}.`,
    problem?.error,
  );
}

export function wasAborted(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === "AbortError";
}

/** A path with its parameters; what is undefined or empty is left out. */
export function at(path: string, parameters: Record<string, string | number | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return query ? `${path}?${query}` : path;
}

export const thumbnail = (id: string, side = 384) => at("/v1/image/thumbnail", { id, side });
export const uploadThumbnail = (upload: string, side = 256) =>
  at("/v1/uploads/thumbnail", { upload, side });
export const file = (id: string) => at("/v1/image/file", { id });

export function sendUpload(picture: File, signal?: AbortSignal): Promise<Upload> {
  const form = new FormData();
  form.set("image", picture);
  return ask<Upload>("/v1/uploads", { form, signal });
}

export function addImages(files: File[]): Promise<IngestReport> {
  const form = new FormData();
  for (const one of files) form.append("files", one);
  return ask<IngestReport>("/v1/images", { form });
}

export const isFinal = (job: Job) => !["queued", "running"].includes(job.state);

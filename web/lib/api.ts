/** Calls of the HTTP API. Their types come from the service's OpenAPI document (scripts/web). */

import type { components, paths } from "@/lib/schema";

type Schemas = components["schemas"];
export type Condition = Schemas["ConditionResponse"];
export type Facet = Schemas["ValueCount"];
export type FieldType = Schemas["FieldType"];
export type Group = Schemas["GroupResponse"];
export type Gate = Schemas["GateResponse"];
export type Groups = Schemas["GroupsResponse"];
export type Histogram = Schemas["HistogramResponse"];
export type Hit = Schemas["HitResponse"];
export type IndexedImage = Schemas["ImageResponse"];
export type Job = Schemas["JobResponse"];
export type Member = Schemas["MemberResponse"];
export type Migration = Schemas["MigrationResponse"];
export type MigrationReport = Schemas["MigrationReportResponse"];
export type Payload = Schemas["PayloadResponse"];
export type Reject = Schemas["RejectResponse"];
export type FileNote = Schemas["FileNoteResponse"];
export type SearchAnswer = Schemas["HitsResponse"];
export type Stats = Schemas["StatsResponse"];

type Method = "get" | "post" | "delete";
type Json<T> = T extends { content: { "application/json": infer Document } } ? Document : undefined;
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>;
type Values<T> = T[keyof T];

export type PathsOf<M extends Method> = Values<{
  [P in keyof paths]: paths[P][M] extends object ? P : never;
}>;
export type Query<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { parameters: { query?: infer Parameters } } ? Parameters : never;
export type Body<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody: infer Request } ? Json<Request> : undefined;
export type Answer<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { responses: infer Responses } ? Json<Values<Responses>> : never;

/** An error of the API, in the server's words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly error = "",
  ) {
    super(detail);
  }

  static from(thrown: unknown): ApiError {
    if (thrown instanceof ApiError) return thrown;
    return new ApiError(0, thrown instanceof Error ? thrown.message : String(thrown));
  }

  /** The server no longer has the query image. */
  get uploadExpired(): boolean {
    return this.status === 404 && /upload/i.test(this.message);
  }
}

/** Emits `unauthorized` when the server requires a key. */
export const authorization = new EventTarget();

interface Options<P extends keyof paths, M extends Method> {
  query?: Query<P, M>;
  json?: Body<P, M>;
  form?: FormData;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Calls the API and returns the JSON of its answer. Throws an ApiError. */
export async function call<M extends Method, P extends PathsOf<M>>(
  method: M,
  path: P,
  { query, json, form, headers, signal }: Options<P, M> = {},
): Promise<Answer<P, M>> {
  const text = (json as unknown) === undefined ? undefined : JSON.stringify(json);
  const response = await send(urlOf(path, query ?? {}), {
    method: method.toUpperCase(),
    headers: { ...(text ? { "Content-Type": "application/json" } : {}), ...headers },
    body: form ?? text,
    signal,
    credentials: "same-origin",
  });
  if (!response.ok) throw await errorOf(response);
  return (response.status === 204 ? undefined : await response.json()) as Answer<P, M>;
}

async function send(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "The server does not respond. Check that it is running and try again.");
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  if (response.status === 401) authorization.dispatchEvent(new Event("unauthorized"));
  const problem = (await response.json().catch(() => null)) as Partial<Schemas["Problem"]> | null;
  const detail = problem?.detail ?? `The server answered ${response.status} ${response.statusText}.`;
  return new ApiError(response.status, detail, problem?.error);
}

export function wasAborted(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === "AbortError";
}

function urlOf(path: string, parameters: object): string {
  const set = Object.entries(parameters as Record<string, unknown>).filter(
    ([, value]) => value !== undefined && value !== "",
  );
  const query = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return query ? `${path}?${query}` : path;
}

/** The URL of a GET call, for images and event streams. */
export const url = <P extends PathsOf<"get">>(path: P, query: Query<P, "get">) =>
  urlOf(path, query as object);

export const thumbnail = (id: string, side = 384) => url("/v1/image/thumbnail", { id, side });
export const uploadThumbnail = (upload: string, side = 256) => url("/v1/uploads/thumbnail", { upload, side });
export const file = (id: string) => url("/v1/image/file", { id });

export function uploadImage(image: File, signal?: AbortSignal) {
  const form = new FormData();
  form.set("image", image);
  return call("post", "/v1/uploads", { form, signal });
}

export function addImages(files: File[]) {
  const form = new FormData();
  for (const image of files) form.append("files", image);
  return call("post", "/v1/images", { form });
}

export const isFinal = (job: Job) => !["queued", "running"].includes(job.state);

/** Results, loaded page by page and cached, so that Back shows the previous results at once. */

import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { ApiError, call, type Hit, type IndexedImage, type SearchAnswer, wasAborted } from "@/lib/api";
import type { Request } from "@/lib/state";

/** The first page is small because each result loads a thumbnail. */
const FIRST_PAGE = 18;
const PAGE = 48;
const KEPT_LISTS = 20;
/** The listing of all images ends here; filters reach the others. */
const MAX_LISTED = 1000;
const MAX_HITS = 5000;
/** The best hits of a search, which a field puts in order. */
const MAX_SORTED = 200;

export type Item = IndexedImage & Partial<Pick<Hit, "score" | "scores" | "shares" | "others">>;

export interface List {
  items: Item[];
  /** Start of the next page. */
  offset: number;
  /** Null for a search, which ranks all images. */
  total: number | null;
  answer: SearchAnswer | null;
  ended: boolean;
  ready: boolean;
  error: ApiError | null;
}

const BLANK: List = {
  items: [], offset: 0, total: null, answer: null, ended: false, ready: false, error: null,
}; // prettier-ignore

class Store {
  private readonly lists = new Map<string, List>();
  private readonly busy = new Set<string>();
  private readonly listeners = new Set<() => void>();

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get = (key: string) => this.lists.get(key) ?? BLANK;

  clear() {
    this.lists.clear();
    this.emit();
  }

  async load(key: string, request: Request, signal: AbortSignal) {
    const list = this.get(key);
    if (list.ended || this.busy.has(key) || signal.aborted) return;
    this.busy.add(key);
    try {
      this.set(key, await nextPage(list, request, signal));
    } catch (error) {
      if (!wasAborted(error)) this.set(key, { ...list, error: ApiError.from(error) });
    } finally {
      this.busy.delete(key);
    }
  }

  private set(key: string, list: List) {
    this.lists.delete(key);
    this.lists.set(key, list);
    for (const oldest of [...this.lists.keys()].slice(0, -KEPT_LISTS)) this.lists.delete(oldest);
    this.emit();
  }

  private emit() {
    for (const listener of this.listeners) listener();
  }
}

async function nextPage(list: List, request: Request, signal: AbortSignal): Promise<List> {
  const { offset } = list;
  const size = offset ? PAGE : FIRST_PAGE;
  if (request.kind === "listing") {
    const query = { where: request.where, sort: request.sort, limit: Math.min(size, MAX_LISTED - offset), offset };
    const { images, total } = await call("get", "/v1/images", { query, signal });
    return appended(list, images, { total, ended: images.length < size, limit: Math.min(total, MAX_LISTED) });
  }
  const end = request.body.sort ? MAX_SORTED : MAX_HITS;
  const page = { limit: Math.min(size, end - offset), offset };
  const answer =
    request.kind === "search"
      ? await call("post", "/v1/search", { json: { ...request.body, ...page }, signal })
      : await call("post", "/v1/recommend", { json: { ...request.body, ...page }, signal });
  const whole = { ...list, answer: list.answer ?? answer };
  return appended(whole, answer.hits, { total: null, ended: answer.hits.length < page.limit, limit: end });
}

interface Page {
  total: number | null;
  ended: boolean;
  limit: number;
}

function appended(list: List, items: Item[], { total, ended, limit }: Page): List {
  const known = new Set(list.items.map((item) => item.id));
  const offset = list.offset + items.length;
  return {
    items: [...list.items, ...items.filter((item) => !known.has(item.id))],
    offset,
    total,
    answer: list.answer,
    ended: ended || offset >= limit,
    ready: true,
    error: null,
  };
}

const store = new Store();

/** Called after images were added or removed. */
export const clearResults = () => store.clear();

export interface Results {
  list: List;
  /** True while an earlier request's results are shown. */
  stale: boolean;
  more: () => void;
}

/** The results of a request. Until they arrive, those of the previous request. */
export function useResults(request: Request | null): Results {
  const key = request ? JSON.stringify(request) : "";
  const list = useSyncExternalStore(
    store.subscribe,
    () => store.get(key),
    () => BLANK,
  );
  const [last, setLast] = useState(list);
  const settled = list.ready || list.error !== null;
  if (settled && last !== list) setLast(list);
  const [control, setControl] = useState<AbortController | null>(null);

  const load = useCallback(
    (signal: AbortSignal) => {
      if (key) void store.load(key, JSON.parse(key) as Request, signal);
    },
    [key],
  );
  useEffect(() => {
    // The next request aborts this one.
    const control = new AbortController();
    // eslint-disable-next-line react-hooks/set-state-in-effect -- used by `more`
    setControl(control);
    if (!store.get(key).ready) load(control.signal);
    const unsubscribe = store.subscribe(() => {
      const now = store.get(key);
      if (!now.ready && !now.error) load(control.signal);
    });
    return () => {
      unsubscribe();
      control.abort();
    };
  }, [key, load]);

  const more = useCallback(() => {
    if (control) load(control.signal);
  }, [control, load]);
  return { list: settled ? list : last, stale: !settled && last.ready, more };
}

/** Results, loaded page by page and kept, so that Back shows at once what was there before. */

import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { type Answer, ask, type Hit, type Listing, type Picture, Problem, wasAborted } from "@/lib/api";
import type { Request } from "@/lib/state";

/** Few at first, as each brings a picture; then more. */
const FIRST = 18;
const PAGE = 48;
const KEPT = 20;
/** The listing of all images ends here: who wants more filters. */
const LISTED = 1000;
const FOUND = 5000;

export type Item = Picture & Partial<Pick<Hit, "score" | "scores" | "shares" | "variants">>;

export interface List {
  items: Item[];
  /** Where the next page starts. */
  offset: number;
  /** Null where nobody counts: a search ranks all images. */
  total: number | null;
  answer: Answer | null;
  ended: boolean;
  ready: boolean;
  problem: Problem | null;
}

const BLANK: List = {
  items: [], offset: 0, total: null, answer: null, ended: false, ready: false, problem: null,
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
    this.tell();
  }

  async load(key: string, request: Request, signal: AbortSignal) {
    const list = this.get(key);
    if (list.ended || this.busy.has(key) || signal.aborted) return;
    this.busy.add(key);
    try {
      this.set(key, await page(list, request, signal));
    } catch (error) {
      if (!wasAborted(error)) this.set(key, { ...list, problem: Problem.of(error) });
    } finally {
      this.busy.delete(key);
    }
  }

  private set(key: string, list: List) {
    this.lists.delete(key);
    this.lists.set(key, list);
    for (const oldest of [...this.lists.keys()].slice(0, -KEPT)) this.lists.delete(oldest);
    this.tell();
  }

  private tell() {
    for (const listener of this.listeners) listener();
  }
}

async function page(list: List, { path, body }: Request, signal: AbortSignal): Promise<List> {
  const { offset } = list;
  const size = offset ? PAGE : FIRST;
  if (body === null) {
    const rest = `limit=${Math.min(size, LISTED - offset)}&offset=${offset}`;
    const listing = await ask<Listing>(`${path}${path.includes("?") ? "&" : "?"}${rest}`, { signal });
    return next(list, listing.images, listing.total, null, size, Math.min(listing.total, LISTED));
  }
  const answer = await ask<Answer>(path, { json: { ...body, limit: size, offset }, signal });
  return next(list, answer.hits, null, list.answer ?? answer, size, FOUND);
}

function next(list: List, page: Item[], total: number | null, answer: Answer | null, size: number, most: number): List {
  const seen = new Set(list.items.map((item) => item.id));
  const offset = list.offset + page.length;
  return {
    items: [...list.items, ...page.filter((item) => !seen.has(item.id))],
    offset,
    total,
    answer,
    ended: page.length < size || offset >= most,
    ready: true,
    problem: null,
  };
}

const store = new Store();

/** After anything was added or removed. */
export const forgetResults = () => store.clear();

export interface Results {
  list: List;
  /** Whether what is shown is of an earlier request, until the answer comes. */
  stale: boolean;
  more: () => void;
  again: () => void;
}

/** The results of a request; while it is on its way, those of the one before. */
export function useResults(request: Request | null): Results {
  const key = request ? JSON.stringify(request) : "";
  const list = useSyncExternalStore(
    store.subscribe,
    () => store.get(key),
    () => BLANK,
  );
  const [last, setLast] = useState(list);
  const settled = list.ready || list.problem !== null;
  if (settled && last !== list) setLast(list);
  const [control, setControl] = useState<AbortController | null>(null);

  const load = useCallback(
    (signal: AbortSignal) => {
      if (key) void store.load(key, JSON.parse(key) as Request, signal);
    },
    [key],
  );
  useEffect(() => {
    // What is overtaken by the next request is given up.
    const control = new AbortController();
    // eslint-disable-next-line react-hooks/set-state-in-effect -- the one that `more` goes by
    setControl(control);
    if (!store.get(key).ready) load(control.signal);
    const unsubscribe = store.subscribe(() => {
      const now = store.get(key);
      if (!now.ready && !now.problem) load(control.signal);
    });
    return () => {
      unsubscribe();
      control.abort();
    };
  }, [key, load]);

  const more = useCallback(() => {
    if (control) load(control.signal);
  }, [control, load]);
  return { list: settled ? list : last, stale: !settled && last.ready, more, again: more };
}

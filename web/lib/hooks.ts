/** Hooks shared by the views: API documents, drafts of inputs, the address, media queries, jobs. */

import { useRouter } from "next/router";
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { type Answer, ApiError, call, isFinal, type Job, type PathsOf, type Query, type Stats, url, wasAborted } from "@/lib/api";
import { parseSearch, type Search, searchQuery } from "@/lib/state";

/** Milliseconds that a message stays and a change can be undone. */
export const UNDO_MS = 5000;

export interface Loaded<T> {
  data: T | undefined;
  error: ApiError | null;
  reload: () => void;
}

/** An answer of the API. The previous one stays until the next arrives. A null query loads nothing. */
export function useAnswer<P extends PathsOf<"get">>(path: P, query: Query<P, "get"> | null): Loaded<Answer<P, "get">> {
  const [state, setState] = useState<Omit<Loaded<Answer<P, "get">>, "reload">>({ data: undefined, error: null });
  const [version, setVersion] = useState(0);
  const key = query === null ? null : JSON.stringify(query ?? {});
  useEffect(() => {
    if (key === null) return;
    const control = new AbortController();
    call("get", path, { query: JSON.parse(key) as Query<P, "get">, signal: control.signal }).then(
      (data) => setState({ data, error: null }),
      (error: unknown) => {
        if (!wasAborted(error)) setState((old) => ({ ...old, error: ApiError.from(error) }));
      },
    );
    return () => control.abort();
  }, [path, key, version]);
  const reload = useCallback(() => setVersion((now) => now + 1), []);
  return { ...state, reload };
}

/** The value of an input while it changes. `commit` is called when it rests for `wait` milliseconds. */
export function useDraft<T>(value: T, commit: (next: T) => void, wait: number) {
  const [state, setState] = useState({ draft: value, outer: value, committed: value });
  const timer = useRef(0);
  if (!Object.is(value, state.outer)) {
    setState((old) => ({ ...old, outer: value, draft: value === old.committed ? old.draft : value }));
  }
  const settle = (draft: T) => {
    clearTimeout(timer.current);
    setState((old) => ({ ...old, committed: draft }));
    commit(draft);
  };
  const change = (draft: T) => {
    setState((old) => ({ ...old, draft }));
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => settle(draft), wait);
  };
  return { draft: state.draft, change, settle };
}

export type Update = (patch: Partial<Search>, gesture?: string) => void;

/**
 * The search in the address, and a function that changes it. Changes of one gesture (typing, dragging
 * a slider) share one history entry; every other change gets its own, so that Back undoes one step.
 */
export function useSearch(): { search: Search; ready: boolean; update: Update } {
  const router = useRouter();
  // Until the router is ready, the address is that of the exported page, without a query.
  const [query = ""] = router.isReady ? (/\?[^#]*/.exec(router.asPath) ?? []) : [];
  const search = useMemo(() => parseSearch(query), [query]);
  const latest = useRef({ search, gesture: "" });
  useEffect(() => {
    if (searchQuery(latest.current.search) !== searchQuery(search)) latest.current = { search, gesture: "" };
  }, [search]);
  const { push, replace } = router;
  const update = useCallback<Update>(
    (patch, gesture = "") => {
      const next = { ...latest.current.search, ...patch };
      const address = `/${searchQuery(next)}`;
      if (address === `/${searchQuery(latest.current.search)}`) return;
      const continues = gesture !== "" && gesture === latest.current.gesture;
      latest.current = { search: next, gesture };
      void (continues ? replace : push)(address, undefined, { shallow: true, scroll: false });
    },
    [push, replace],
  );
  return { search, ready: router.isReady, update };
}

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    useCallback(
      (listener: () => void) => {
        const media = window.matchMedia(query);
        media.addEventListener("change", listener);
        return () => media.removeEventListener("change", listener);
      },
      [query],
    ),
    () => window.matchMedia(query).matches,
    () => false,
  );
}

/** The current state of a job, from server-sent events. */
export function useJob(job: Job | null | undefined, onEnd?: (job: Job) => void): Job | null {
  const [current, setCurrent] = useState<Job | null>(null);
  const end = useRef(onEnd);
  useEffect(() => {
    end.current = onEnd;
  });
  const id = job?.job;
  const open = job ? !isFinal(job) : false;
  useEffect(() => {
    if (!id || !open) return;
    const events = new EventSource(url("/v1/jobs/events", { job: id }));
    events.addEventListener("job", (event) => {
      const next = JSON.parse((event as MessageEvent<string>).data) as Job;
      setCurrent(next);
      if (isFinal(next)) {
        events.close();
        end.current?.(next);
      }
    });
    return () => events.close();
  }, [id, open]);
  return current && current.job === id ? current : (job ?? null);
}

export interface Common {
  stats: Stats | undefined;
  error: ApiError | null;
  refresh: () => void;
  /** Shows a message for a moment, with an Undo button if `undo` is given. */
  notify: (text: string, undo?: () => void) => void;
}

export const CommonContext = createContext<Common>({
  stats: undefined,
  error: null,
  refresh: () => undefined,
  notify: () => undefined,
});

export const useCommon = () => useContext(CommonContext);

/** What the views share: fetching, drafts of what is typed, media queries, jobs as they go on. */

import { useRouter } from "next/router";
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { ask, at, isFinal, type Job, Problem, type Stats, wasAborted } from "@/lib/api";
import { read, type Search, write } from "@/lib/state";

export interface Asked<T> {
  data: T | undefined;
  problem: Problem | null;
  loading: boolean;
  again: () => void;
}

/** A document of the API; while the path changes the former one stays. Null asks for nothing. */
export function useAsked<T>(path: string | null): Asked<T> {
  const [state, setState] = useState<{ path: string | null; data?: T; problem: Problem | null }>({
    path: null,
    problem: null,
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === null) return;
    const control = new AbortController();
    ask<T>(path, { signal: control.signal }).then(
      (data) => setState({ path, data, problem: null }),
      (error: unknown) => {
        if (!wasAborted(error)) setState((old) => ({ ...old, path, problem: Problem.of(error) }));
      },
    );
    return () => control.abort();
  }, [path, turn]);
  const again = useCallback(() => setTurn((now) => now + 1), []);
  return { data: state.data, problem: state.problem, loading: path !== state.path, again };
}

/** What is being typed or dragged, told to `commit` when it rests. */
export function useDraft<T>(value: T, commit: (next: T) => void, wait: number) {
  const [state, setState] = useState({ draft: value, outer: value, mine: value });
  const timer = useRef(0);
  if (!Object.is(value, state.outer)) {
    setState((old) => ({ ...old, outer: value, draft: value === old.mine ? old.draft : value }));
  }
  const settle = (draft: T) => {
    clearTimeout(timer.current);
    setState((old) => ({ ...old, mine: draft }));
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
 * The search that the address holds, and how to change it. Changes of one gesture (typing, dragging
 * a slider) share one entry of the history, all others have their own, so that Back undoes a step.
 */
export function useSearch(): { search: Search; ready: boolean; update: Update } {
  const router = useRouter();
  // Until it is ready the address is that of the export, which has no search.
  const [query = ""] = router.isReady ? (/\?[^#]*/.exec(router.asPath) ?? []) : [];
  const search = useMemo(() => read(query), [query]);
  const latest = useRef({ search, gesture: "" });
  useEffect(() => {
    if (write(latest.current.search) !== write(search)) latest.current = { search, gesture: "" };
  }, [search]);
  const { push, replace } = router;
  const update = useCallback<Update>(
    (patch, gesture = "") => {
      const next = { ...latest.current.search, ...patch };
      const address = `/${write(next)}`;
      if (address === `/${write(latest.current.search)}`) return;
      const goesOn = gesture !== "" && gesture === latest.current.gesture;
      latest.current = { search: next, gesture };
      void (goesOn ? replace : push)(address, undefined, { shallow: true, scroll: false });
    },
    [push, replace],
  );
  return { search, ready: router.isReady, update };
}

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    useCallback(
      (told: () => void) => {
        const media = window.matchMedia(query);
        media.addEventListener("change", told);
        return () => media.removeEventListener("change", told);
      },
      [query],
    ),
    () => window.matchMedia(query).matches,
    () => false,
  );
}

/** The job as it goes on, by server-sent events. */
export function useJob(job: Job | null | undefined, ended?: (job: Job) => void): Job | null {
  const [now, setNow] = useState<Job | null>(null);
  const tell = useRef(ended);
  useEffect(() => {
    tell.current = ended;
  });
  const id = job?.job;
  const open = job ? !isFinal(job) : false;
  useEffect(() => {
    if (!id || !open) return;
    const events = new EventSource(at("/v1/jobs/events", { job: id }));
    events.addEventListener("job", (event) => {
      const told = JSON.parse((event as MessageEvent<string>).data) as Job;
      setNow(told);
      if (isFinal(told)) {
        events.close();
        tell.current?.(told);
      }
    });
    return () => events.close();
  }, [id, open]);
  return now && now.job === id ? now : (job ?? null);
}

export interface Common {
  stats: Stats | undefined;
  problem: Problem | null;
  refresh: () => void;
  /** Says something for a moment, with a way back where there is one. */
  say: (text: string, undo?: () => void) => void;
}

export const CommonContext = createContext<Common>({
  stats: undefined,
  problem: null,
  refresh: () => undefined,
  say: () => undefined,
});

export const useCommon = () => useContext(CommonContext);

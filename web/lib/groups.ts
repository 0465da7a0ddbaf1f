/** Groups of duplicates: loading, changing and deciding. */

import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, call, type Group, type Groups } from "@/lib/api";
import { clearCounts } from "@/lib/counts";
import { clearResults } from "@/lib/results";

const PAGE = 20;

interface Loaded {
  groups: Group[];
  total: number;
  answer: Groups | null;
  error: ApiError | null;
}

export function useGroups() {
  const [state, setState] = useState<Loaded>({ groups: [], total: 0, answer: null, error: null });
  const busy = useRef(false);
  /** Loads the page at `offset` and appends it; 0 starts over. */
  const load = useCallback(async (offset: number) => {
    if (busy.current) return;
    busy.current = true;
    try {
      const answer = await call("get", "/v1/duplicates", { query: { offset, limit: PAGE } });
      setState((old) => {
        const previous = offset ? old.groups : [];
        const known = new Set(previous.map((group) => group.keeper));
        const groups = [...previous, ...answer.groups.filter((group) => !known.has(group.keeper))];
        return { groups, total: answer.total, answer, error: null };
      });
    } catch (error) {
      setState((old) => ({ ...old, error: ApiError.from(error) }));
    } finally {
      busy.current = false;
    }
  }, []);
  useEffect(() => {
    void load(0);
  }, [load]);
  const change = useCallback((edit: (groups: Group[]) => Group[]) => {
    setState((old) => {
      const groups = edit(old.groups);
      return { ...old, groups, total: old.total + groups.length - old.groups.length };
    });
  }, []);
  return { ...state, load, change };
}

export type Decision = "not_duplicates" | "keep_all" | null;

export const decide = (ids: string[], decision: Decision) =>
  call("post", "/v1/duplicates/decide", { json: { ids, decision } });

export async function remove(ids: string[]) {
  await call("post", "/v1/images/delete", { json: { ids } });
  clearResults();
  clearCounts();
}

/** Ids of the copies that nothing is lost with: not those that hold more than the keeper, nor protected ones. */
export function removable({ keeper, members }: Group): string[] {
  return members
    .filter(({ id, verdict }) => id !== keeper && verdict !== "similar")
    .filter((member) => !member.holds_more.length && !member.protected)
    .map(({ id }) => id);
}

/** The group without some of its members; null if fewer than two are left. */
export function without(group: Group, ids: string[]): Group | null {
  const members = group.members.filter((member) => !ids.includes(member.id));
  return members.length > 1 ? { ...group, members } : null;
}

/** The group with another keeper, which moves to the front. */
export function withKeeper(group: Group, id: string): Group {
  const keeper = group.members.filter((member) => member.id === id);
  const others = group.members.filter((member) => member.id !== id);
  return { ...group, keeper: id, reason: "chosen by you", members: [...keeper, ...others] };
}

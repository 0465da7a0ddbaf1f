/** The groups of duplicates as they are looked through: loaded, chosen from, decided on. */

import { useCallback, useEffect, useRef, useState } from "react";
import { ask, at, type Group, type Groups, Problem } from "@/lib/api";
import { forgetCounts } from "@/lib/counts";
import { forgetResults } from "@/lib/results";

const PAGE = 20;

/** Time to take a removal back. */
export const GRACE = 5000;

interface Loaded {
  groups: Group[];
  total: number;
  answer: Groups | null;
  problem: Problem | null;
}

export function useGroups() {
  const [state, setState] = useState<Loaded>({ groups: [], total: 0, answer: null, problem: null });
  const busy = useRef(false);
  /** From the start, or what follows what is there. */
  const load = useCallback(async (offset: number) => {
    if (busy.current) return;
    busy.current = true;
    try {
      const answer = await ask<Groups>(at("/v1/duplicates", { offset, limit: PAGE }));
      setState((old) => {
        const before = offset ? old.groups : [];
        const known = new Set(before.map((group) => group.keeper));
        const groups = [...before, ...answer.groups.filter((group) => !known.has(group.keeper))];
        return { groups, total: answer.total, answer, problem: null };
      });
    } catch (error) {
      setState((old) => ({ ...old, problem: Problem.of(error) }));
    } finally {
      busy.current = false;
    }
  }, []);
  useEffect(() => {
    void load(0);
  }, [load]);
  const change = useCallback((make: (groups: Group[]) => Group[]) => {
    setState((old) => {
      const groups = make(old.groups);
      return { ...old, groups, total: old.total + groups.length - old.groups.length };
    });
  }, []);
  return { ...state, load, change };
}

export type Decision = "not_duplicates" | "keep_all" | null;

export const decide = (ids: string[], decision: Decision) =>
  ask("/v1/duplicates/decide", { json: { ids, decision } });

export async function remove(ids: string[]) {
  await ask("/v1/images/delete", { json: { ids } });
  forgetResults();
  forgetCounts();
}

/** The group without some of its members; none where nothing is left to compare. */
export function without(group: Group, ids: string[]): Group | null {
  const members = group.members.filter((member) => !ids.includes(member.id));
  return members.length > 1 ? { ...group, members } : null;
}

/** The group with another keeper, which comes first. */
export function withKeeper(group: Group, id: string): Group {
  const chosen = group.members.filter((member) => member.id === id);
  const others = group.members.filter((member) => member.id !== id);
  return { ...group, keeper: id, reason: "chosen by you", members: [...chosen, ...others] };
}

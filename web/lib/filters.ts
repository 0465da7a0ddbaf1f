/**
 * Filters as lists of conditions that must all hold.
 *
 * The address holds the filter as text. The server reads and writes that text (POST /v1/where); the
 * page knows no grammar. The controls show conditions on one field, as values or as a range. All
 * other conditions keep their text.
 */

import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, call, type Condition } from "@/lib/api";
import { type Update, useCommon } from "@/lib/hooks";

export type Scalar = string | number | boolean;
export type Bound = string | number;

export type FieldFilter =
  | { kind: "values"; values: Scalar[] }
  /** `below`: `high` itself is excluded. */
  | { kind: "range"; low?: Bound; high?: Bound; below?: boolean };

/** A condition; one without text has not been through the server yet. */
export type Draft = Pick<Condition, "filter"> & Partial<Condition>;

/** Conditions as the controls show them: the filter of each field, and the rest. */
export interface Shown {
  fields: Record<string, FieldFilter>;
  rest: Draft[];
}

function fieldFilter({ filter }: Draft): [string, FieldFilter] | null {
  const { key, match, range } = filter as {
    key?: unknown;
    match?: { value?: Scalar; any?: Scalar[] };
    range?: { gt?: Bound; gte?: Bound; lt?: Bound; lte?: Bound };
  };
  if (typeof key !== "string") return null;
  const values = match?.any ?? (match?.value === undefined ? null : [match.value]);
  if (values) return [key, { kind: "values", values }];
  if (!range || range.gt !== undefined) return null;
  const { gte: low, lte, lt } = range;
  return [key, { kind: "range", low, high: lte ?? lt, below: lte === undefined && lt !== undefined }];
}

export function shown(conditions: Draft[]): Shown {
  const fields: Record<string, FieldFilter> = {};
  const rest: Draft[] = [];
  for (const condition of conditions) {
    const [name, filter] = fieldFilter(condition) ?? [];
    if (name !== undefined && filter && !(name in fields)) fields[name] = filter;
    else rest.push(condition);
  }
  return { fields, rest };
}

const isShownFor = (condition: Draft, name: string, { rest }: Shown) =>
  !rest.includes(condition) && fieldFilter(condition)?.[0] === name;

/** The text of all conditions but those shown for a field; null while the server has not read some. */
export function whereWithout(conditions: Draft[], name: string): string | null {
  const all = shown(conditions);
  const others = conditions.filter((condition) => !isShownFor(condition, name, all));
  if (others.some(({ where }) => where === undefined)) return null;
  return others.map(({ where }) => where).join(" and ");
}

function replaced(conditions: Draft[], name: string, filter: FieldFilter | null): Draft[] {
  const all = shown(conditions);
  const first = conditions.findIndex((condition) => isShownFor(condition, name, all));
  const at = first < 0 ? conditions.length : first;
  const keeps = (condition: Draft) => !isShownFor(condition, name, all);
  return [
    ...conditions.slice(0, at).filter(keeps),
    ...(filter ? [{ filter: conditionOf(name, filter) }] : []),
    ...conditions.slice(at).filter(keeps),
  ];
}

function conditionOf(key: string, filter: FieldFilter) {
  if (filter.kind === "values") return { key, match: { any: filter.values } };
  return { key, range: { gte: filter.low, [filter.below ? "lt" : "lte"]: filter.high } };
}

const NONE: Draft[] = [];
const KEPT = 100;
const readings = new Map<string, Promise<Draft[]>>();

function remember(where: string, reading: Promise<Draft[]>) {
  readings.set(where, reading);
  for (const oldest of [...readings.keys()].slice(0, -KEPT)) readings.delete(oldest);
}

/** The conditions of a text. One that the server refuses is a single condition, kept as it is. */
function read(where: string): Promise<Draft[]> {
  if (!where.trim()) return Promise.resolve(NONE);
  const known = readings.get(where);
  if (known) return known;
  const reading = call("post", "/v1/where", { json: { conditions: [where] } }).then(
    (answer): Draft[] => answer.conditions,
    () => [{ where, filter: {} }],
  );
  remember(where, reading);
  return reading;
}

async function write(conditions: Draft[]) {
  const answer = await call("post", "/v1/where", {
    json: { conditions: conditions.map(({ where, filter }) => where ?? filter) },
  });
  remember(answer.where, Promise.resolve(answer.conditions));
  return answer;
}

/** The conditions of the address, null until they are read, and a function that changes the filter of one field. */
export function useConditions(where: string, update: Update) {
  const { notify } = useCommon();
  const [conditions, setConditions] = useState<Draft[] | null>(null);
  /** Conditions to build the next change on, shown before the server has answered. */
  const latest = useRef(NONE);
  const change = useRef(0);
  const pending = useRef(false);
  const show = useCallback((next: Draft[]) => {
    latest.current = next;
    setConditions(next);
  }, []);
  useEffect(() => {
    let outdated = false;
    void read(where).then((next) => {
      if (!outdated && !pending.current) show(next);
    });
    return () => {
      outdated = true;
    };
  }, [where, show]);
  const set = (name: string, filter: FieldFilter | null) => {
    const turn = ++change.current;
    pending.current = true;
    show(replaced(latest.current, name, filter));
    write(latest.current).then(
      (answer) => {
        if (turn !== change.current) return;
        pending.current = false;
        show(answer.conditions);
        update({ where: answer.where }, `filter ${name}`);
      },
      async (error: unknown) => {
        if (turn !== change.current) return;
        pending.current = false;
        notify(ApiError.from(error).message);
        show(await read(where));
      },
    );
  };
  return { conditions, set };
}

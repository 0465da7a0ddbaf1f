/** Counts in the filters: the values or the ranges of a field, among the images that match all other filters. */

import { useEffect, useState } from "react";
import { call, type Facet, type FieldType, type Histogram, type Stats } from "@/lib/api";
import { type Draft, whereWithout } from "@/lib/filters";

/** An integer field with more distinct values than this is shown as a range. */
const MAX_LISTED = 12;
const KEPT = 200;

export interface FieldCounts {
  name: string;
  type: FieldType;
  /** Of all images. It fixes what is shown, and in which order. */
  all: Counts;
  /** Of the images that match the other filters. */
  matching: Counts;
}

export type Counts =
  | { kind: "values"; values: Facet[] }
  | { kind: "range"; histogram: Histogram };

export interface FilterField {
  name: string;
  type: FieldType;
  isRange: boolean;
}

const isRange = (type: FieldType, values: number | null) =>
  type === "float" || type === "datetime" || (type === "integer" && (values ?? MAX_LISTED + 1) > MAX_LISTED);

/** The user's fields, except long texts and those with a different value on most images, and the colors. */
export function filterFields(stats: Stats): FilterField[] {
  const fields = Object.entries(stats.fields)
    .filter(([, { type }]) => type !== "text")
    .filter(([, { type, values }]) => isRange(type, values) || (values ?? 0) <= Math.max(50, stats.images / 2))
    .map(([name, { type, values }]) => ({ name, type, isRange: isRange(type, values) }));
  return [...fields, { name: "image.colors", type: "keywords", isRange: false }];
}

/** Fields of the image file, hidden until they are opened. */
export const FILE_FIELDS: FilterField[] = [
  { name: "image.format", type: "keyword", isRange: false },
  { name: "image.width", type: "integer", isRange: true },
  { name: "image.height", type: "integer", isRange: true },
  { name: "image.bytes", type: "integer", isRange: true },
  { name: "image.indexed_at", type: "datetime", isRange: true },
];

const cache = new Map<string, Promise<Counts>>();

export const clearCounts = () => cache.clear();

async function load({ name: field, isRange }: FilterField, where: string): Promise<Counts> {
  if (isRange) {
    return { kind: "range", histogram: await call("get", "/v1/histogram", { query: { field, where, bins: 24 } }) };
  }
  const { values } = await call("get", "/v1/facets", { query: { field, where, limit: 100 } });
  return { kind: "values", values };
}

function count(field: FilterField, where: string): Promise<Counts> {
  const key = JSON.stringify([field, where]);
  const known = cache.get(key);
  if (known) return known;
  const counts = load(field, where);
  cache.set(key, counts);
  counts.catch(() => cache.delete(key));
  for (const oldest of [...cache.keys()].slice(0, -KEPT)) cache.delete(oldest);
  return counts;
}

/** The counts of all fields at once, so that the layout does not shift while they load. */
export function useCounts(fields: FilterField[], conditions: Draft[] | null, version: unknown): FieldCounts[] | null {
  const [counts, setCounts] = useState<FieldCounts[] | null>(null);
  const wheres = fields.map(({ name }) => conditions && whereWithout(conditions, name));
  const key = JSON.stringify([fields, wheres]);
  useEffect(() => {
    let outdated = false;
    const [fields, wheres] = JSON.parse(key) as [FilterField[], (string | null)[]];
    if (wheres.includes(null)) return;
    const loading = fields.map(async (field, i): Promise<FieldCounts> => {
      const all = await count(field, "");
      // Half-typed text is an error; the counts of all images stay until it is complete.
      const matching = await count(field, wheres[i] ?? "").catch(() => all);
      return { name: field.name, type: field.type, all, matching };
    });
    void Promise.all(loading).then(
      (next) => {
        if (!outdated) setCounts(next);
      },
      () => undefined,
    );
    return () => {
      outdated = true;
    };
  }, [key, version]);
  return counts;
}

/** What filters count: the values of a field and its ranges, among what all other filters pass. */

import { useEffect, useState } from "react";
import { ask, at, type FacetValue, type FieldType, type Histogram, type Stats } from "@/lib/api";
import { compile, type Filters } from "@/lib/where";

/** More whole numbers than these are a range, not a list. */
const LISTED = 12;
const KEPT = 200;

export interface FieldCounts {
  name: string;
  type: FieldType;
  /** Of all images: what is shown, in an order that stays. */
  all: Counted;
  /** Of those that the other filters pass. */
  now: Counted;
}

export type Counted =
  | { kind: "values"; values: FacetValue[] }
  | { kind: "range"; histogram: Histogram };

export interface FilterField {
  name: string;
  type: FieldType;
  isRange: boolean;
}

const isRange = (type: FieldType, values: number | null) =>
  type === "float" || type === "datetime" || (type === "integer" && (values ?? LISTED + 1) > LISTED);

/** What can be filtered by: the user's fields but those that tell every image apart, and colors. */
export function filterFields(stats: Stats): FilterField[] {
  const own = Object.entries(stats.fields)
    .filter(([, { type, values }]) => isRange(type, values) || (values ?? 0) <= Math.max(50, stats.images / 2))
    .map(([name, { type, values }]) => ({ name, type, isRange: isRange(type, values) }));
  return [...own, { name: "image.colors", type: "keywords", isRange: false }];
}

/** The pictures' own, which most do not need. */
export const PICTURE_FIELDS: FilterField[] = [
  { name: "image.format", type: "keyword", isRange: false },
  { name: "image.width", type: "integer", isRange: true },
  { name: "image.height", type: "integer", isRange: true },
  { name: "image.bytes", type: "integer", isRange: true },
  { name: "image.indexed_at", type: "datetime", isRange: true },
];

const kept = new Map<string, Promise<Counted>>();

export const forgetCounts = () => kept.clear();

function count({ name, isRange }: FilterField, where: string): Promise<Counted> {
  const path = isRange
    ? at("/v1/histogram", { field: name, where, bins: 24 })
    : at("/v1/facets", { field: name, where, limit: 100 });
  const known = kept.get(path);
  if (known) return known;
  const counted = isRange
    ? ask<Histogram>(path).then((histogram): Counted => ({ kind: "range", histogram }))
    : ask<{ values: FacetValue[] }>(path).then(({ values }): Counted => ({ kind: "values", values }));
  kept.set(path, counted);
  counted.catch(() => kept.delete(path));
  for (const oldest of [...kept.keys()].slice(0, -KEPT)) kept.delete(oldest);
  return counted;
}

/** The counts of fields, all at once, so that nothing moves while they come. */
export function useCounts(fields: FilterField[], filters: Filters, turn: unknown): FieldCounts[] | null {
  const [counts, setCounts] = useState<FieldCounts[] | null>(null);
  const key = JSON.stringify([fields, filters]);
  useEffect(() => {
    let overtaken = false;
    const [fields, filters] = JSON.parse(key) as [FilterField[], Filters];
    const counted = fields.map(async (field): Promise<FieldCounts> => {
      const all = await count(field, "");
      // An expert's text may be half written: then the counts of all images stay.
      const now = await count(field, compile(filters, field.name)).catch(() => all);
      return { name: field.name, type: field.type, all, now };
    });
    void Promise.all(counted).then(
      (next) => {
        if (!overtaken) setCounts(next);
      },
      () => undefined,
    );
    return () => {
      overtaken = true;
    };
  }, [key, turn]);
  return counts;
}

/** Values as people read them. */

import type { Payload, Value } from "@/lib/api";

const NUMBER = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });

export const number = (value: number) => NUMBER.format(value);

export const percent = (share: number) => `${Math.round(share * 100)}\u00a0%`;

export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = count < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value.toFixed(power && value < 10 ? 1 : 0)} ${units[power] ?? ""}`;
}

export function day(value: string): string {
  return value.replace(/T00:00:00(\.0+)?Z$/, "").replace(/T(\d\d:\d\d).*$/, " $1");
}

export const plural = (count: number, one: string, many = `${one}s`) =>
  `${number(count)} ${count === 1 ? one : many}`;

const ASPECTS: Record<string, string> = { semantic: "Meaning", color: "Color", texture: "Texture" };

export const aspect = (name: string) => ASPECTS[name] ?? sentence(name);

/** `in_stock` as "In stock". */
export function sentence(name: string): string {
  const plain = name.replace(/^image\./, "").replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

export function value(of: Value | undefined): string {
  if (of === null || of === undefined) return "none";
  if (typeof of === "boolean") return of ? "yes" : "no";
  if (typeof of === "number") return number(of);
  if (Array.isArray(of)) return of.join(", ");
  return /^\d{4}-\d\d-\d\dT/.test(of) ? day(of) : of;
}

/** The user's own fields of an image that have a value. */
export function fields(payload: Payload): [string, Value][] {
  return Object.entries(payload).filter(
    ([name, of]) => name !== "image" && of !== null && of !== undefined && of !== "",
  ) as [string, Value][];
}

const OPAQUE = /^[0-9a-f-]{20,}$/i;

/** A short name: the user's `name` or `title`, else the end of the id, else what it is told by. */
export function caption(id: string, payload: Payload): string {
  for (const field of ["name", "title"]) {
    if (typeof payload[field] === "string") return payload[field];
  }
  const told = fields(payload).find(([, of]) => typeof of === "string" && !/^\d{4}-/.test(of));
  if (!OPAQUE.test(tail(id))) return tail(id);
  return told ? sentence(String(told[1])) : `${tail(id).slice(0, 8)}…`;
}

/** The user's fields as one line, the short and telling ones first. */
export function details(id: string, payload: Payload): string {
  const name = caption(id, payload).toLowerCase();
  return fields(payload)
    .filter(([field]) => !["name", "title", "width", "height"].includes(field))
    .map(([field, of]) => detail(field, of))
    .filter((text) => text && text.toLowerCase() !== name)
    .sort((one, other) => one.length - other.length)
    .join(" · ");
}

function detail(field: string, of: Value): string {
  const plain = field.replaceAll("_", " ");
  if (typeof of === "boolean") return of ? plain : "";
  if (typeof of === "number") return `${plain} ${number(of)}`;
  return value(of);
}


/** The last part of an address. */
export const tail = (uri: string) => uri.slice(uri.lastIndexOf("/") + 1);

export function ago(moment: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(moment)) / 1000);
  if (seconds < 90) return "just now";
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} hours ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

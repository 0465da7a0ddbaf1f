/** Values as text. */

import type { Payload } from "@/lib/api";

/** A value of a payload field. */
export type Value = string | number | boolean | string[] | null;

const NUMBER = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

export const number = (value: number) => NUMBER.format(value);

export const percent = (share: number) => `${Math.round(share * 100)}%`;

export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = count < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value.toFixed(power && value < 10 ? 1 : 0)} ${units[power] ?? ""}`;
}

/** A date-time of the API without seconds, or without a time at midnight. */
export function moment(value: string): string {
  return value.replace(/T00:00:00(\.0+)?Z$/, "").replace(/T(\d\d:\d\d).*$/, " $1");
}

export const plural = (count: number, one: string, many = `${one}s`) =>
  `${number(count)} ${count === 1 ? one : many}`;

const ASPECTS: Record<string, string> = { semantic: "Meaning", color: "Color", texture: "Texture" };

/** `semantic:dinov2`, the aspect of a further model, as "Meaning (dinov2)". */
export const aspect = (name: string) =>
  ASPECTS[name] ?? sentence(name.replace(/^semantic:(.+)$/, "Meaning ($1)"));

/** `in_stock` as "In stock". */
export function sentence(name: string): string {
  const plain = name.replace(/^image\./, "").replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

export function valueText(value: Value | undefined): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return value.join(", ");
  return /^\d{4}-\d\d-\d\dT/.test(value) ? moment(value) : value;
}

/** The user's fields of an image that have a value. */
export function fields(payload: Payload): [string, Value][] {
  return Object.entries(payload).filter(
    ([name, value]) => name !== "image" && value !== null && value !== undefined && value !== "",
  ) as [string, Value][];
}

const OPAQUE = /^[0-9a-f-]{20,}$/i;

/** A short name: the field `name` or `title`, else the end of the id, else the first text field. */
export function caption(id: string, payload: Payload): string {
  for (const field of ["name", "title"]) {
    if (typeof payload[field] === "string") return payload[field];
  }
  const text = fields(payload).find(([, value]) => typeof value === "string" && !/^\d{4}-/.test(value));
  if (!OPAQUE.test(fileName(id))) return fileName(id);
  return text ? sentence(String(text[1])) : `${fileName(id).slice(0, 8)}…`;
}

/** The user's fields as one line, short ones first. */
export function details(id: string, payload: Payload): string {
  const name = caption(id, payload).toLowerCase();
  return fields(payload)
    .filter(([field]) => !["name", "title", "width", "height"].includes(field))
    .map(([field, value]) => detail(field, value))
    .filter((text) => text && text.toLowerCase() !== name)
    .sort((one, other) => one.length - other.length)
    .join(" · ");
}

function detail(field: string, value: Value): string {
  const plain = field.replaceAll("_", " ");
  if (typeof value === "boolean") return value ? plain : "";
  if (typeof value === "number") return `${plain} ${number(value)}`;
  return valueText(value);
}

/** The last part of a URI. */
export const fileName = (uri: string) => uri.slice(uri.lastIndexOf("/") + 1);

export function ago(time: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 90) return "just now";
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} hours ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

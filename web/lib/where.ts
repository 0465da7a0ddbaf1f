/**
 * Filters and the text of the `where` language, each made of the other.
 *
 * The address holds one text. What the filters can show of it are conditions joined by `and`, one
 * or two of a field; the rest stands as it is in `extra`, so that nothing an expert writes is lost.
 */

export type Scalar = string | number | boolean;

export type Filter =
  | { kind: "values"; values: Scalar[] }
  | { kind: "range"; low?: string | number; high?: string | number; closed?: boolean };

export interface Filters {
  fields: Record<string, Filter>;
  extra: string;
}

interface Token {
  kind: "word" | "text" | "field" | "sign";
  text: string;
}

const SIGN = /^(==|!=|<>|<=|>=|[()<>=,])/;
const WORD = /^[^\s"'`()<>=!,]+/;

function tokens(where: string): Token[] | null {
  const found: Token[] = [];
  let rest = where.trimStart();
  while (rest) {
    const quote = rest.startsWith("`") ? /^`((?:[^`]|``)*)`/ : /^(["'])((?:\\.|(?!\1).)*)\1/s;
    const quoted = quote.exec(rest);
    const match = quoted ?? SIGN.exec(rest) ?? WORD.exec(rest);
    if (!match) return null;
    if (quoted && rest.startsWith("`")) {
      found.push({ kind: "field", text: (quoted[1] ?? "").replaceAll("``", "`") });
    } else if (quoted) {
      found.push({ kind: "text", text: (quoted[2] ?? "").replace(/\\(["'\\])/g, "$1") });
    } else {
      found.push({ kind: SIGN.test(rest) ? "sign" : "word", text: match[0] });
    }
    rest = rest.slice(match[0].length).trimStart();
  }
  return found;
}

const isWord = (token: Token | undefined, word: string) =>
  token?.kind === "word" && token.text.toLowerCase() === word;

/** The parts between the `and` at the top, or null where there is an `or` beside them. */
function conjunction(all: Token[]): Token[][] | null {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of all) {
    if (token.kind === "sign" && token.text === "(") depth++;
    if (token.kind === "sign" && token.text === ")") depth--;
    if (depth === 0 && isWord(token, "or")) return null;
    if (depth === 0 && isWord(token, "and")) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return depth === 0 && parts.every((part) => part.length) ? parts : null;
}

const KEYWORDS = new Set(["and", "or", "not", "in", "has", "is", "null"]);

function fieldOf(token: Token | undefined): string | null {
  if (token?.kind === "field") return token.text;
  return token?.kind === "word" && !KEYWORDS.has(token.text.toLowerCase()) ? token.text : null;
}

function valueOf(token: Token | undefined): Scalar | null {
  if (token?.kind === "text") return token.text;
  if (token?.kind !== "word") return null;
  if (/^(true|false)$/i.test(token.text)) return token.text.toLowerCase() === "true";
  const number = Number(token.text);
  return Number.isNaN(number) ? token.text : number;
}

function condition(part: Token[]): [string, Filter] | null {
  const field = fieldOf(part[0]);
  if (field === null) return null;
  if (part.length === 1) return [field, { kind: "values", values: [true] }];
  const value = valueOf(part[2]);
  if (part.length === 3 && value !== null) {
    if (isWord(part[1], "has") || part[1]?.text === "=" || part[1]?.text === "==") {
      return [field, { kind: "values", values: [value] }];
    }
    if (typeof value === "boolean") return null;
    switch (part[1]?.text) {
      case ">=": return [field, { kind: "range", low: value }];
      case "<": return [field, { kind: "range", high: value }];
      case "<=": return [field, { kind: "range", high: value, closed: true }];
    }
    return null;
  }
  if (isWord(part[1], "in") && part[2]?.text === "(" && part.at(-1)?.text === ")") {
    const inner = part.slice(3, -1);
    const values = inner.filter((_, i) => i % 2 === 0).map(valueOf);
    const commas = inner.filter((_, i) => i % 2 === 1).every((token) => token.text === ",");
    if (commas && inner.length % 2 === 1 && values.every((one) => one !== null)) {
      return [field, { kind: "values", values }];
    }
  }
  return null;
}

/** What the filters can show of a text, and the rest. */
export function parse(where: string): Filters {
  const all = tokens(where);
  const parts = all && conjunction(all);
  if (!where.trim()) return { fields: {}, extra: "" };
  if (!parts) return { fields: {}, extra: where.trim() };
  const fields: Record<string, Filter> = {};
  const extra: string[] = [];
  for (const part of parts) {
    const read = condition(part);
    const earlier = read && fields[read[0]];
    if (!read) extra.push(part.map(write).join(" ").replaceAll("( ", "(").replaceAll(" )", ")"));
    else if (!earlier) fields[read[0]] = read[1];
    else if (earlier.kind === "range" && read[1].kind === "range" && complements(earlier, read[1])) {
      fields[read[0]] = { ...earlier, ...read[1] };
    } else extra.push(part.map(write).join(" "));
  }
  return { fields, extra: extra.join(" and ") };
}

function complements(one: { low?: unknown; high?: unknown }, other: typeof one): boolean {
  return (one.low === undefined) !== (other.low === undefined);
}

const PLAIN = /^[^\s"'`()<>=!,]+$/;
const DATE = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?$/;

function write(token: Token): string {
  if (token.kind === "text") return quote(token.text);
  return token.kind === "field" ? name(token.text) : token.text;
}

function quote(text: string): string {
  return `"${text.replace(/(["\\])/g, "\\$1")}"`;
}

function name(field: string): string {
  const plain = PLAIN.test(field) && !KEYWORDS.has(field.toLowerCase());
  return plain ? field : `\`${field.replaceAll("`", "``")}\``;
}

function edge(value: string | number): string {
  return typeof value === "number" || DATE.test(value) ? String(value) : quote(value);
}

function written(field: string, filter: Filter): string[] {
  if (filter.kind === "range") {
    return [
      ...(filter.low === undefined ? [] : [`${name(field)} >= ${edge(filter.low)}`]),
      ...(filter.high === undefined
        ? []
        : [`${name(field)} ${filter.closed ? "<=" : "<"} ${edge(filter.high)}`]),
    ];
  }
  const values = filter.values.map((one) => (typeof one === "string" ? quote(one) : String(one)));
  if (!values.length) return [];
  return [values.length === 1 ? `${name(field)} = ${values[0] ?? ""}` : `${name(field)} in (${values.join(", ")})`];
}

/** The text of these filters; of all but one field where counts shall not depend on it. */
export function compile({ fields, extra }: Filters, without?: string): string {
  const conditions = Object.entries(fields)
    .filter(([field]) => field !== without)
    .flatMap(([field, filter]) => written(field, filter));
  if (!extra) return conditions.join(" and ");
  const all = tokens(extra);
  const lone = !conditions.length || (all && conjunction(all));
  return [...conditions, lone ? extra : `(${extra})`].join(" and ");
}

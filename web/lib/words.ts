/** Words that the index's model knows, to complete a text while it is typed. */

import { useEffect, useState } from "react";
import { call } from "@/lib/api";

const LEAST = 2;

/** Texts that complete the last word of a draft; none where the model takes any text. */
export function useCompletions(draft: string): string[] {
  const [completions, setCompletions] = useState<string[]>([]);
  useEffect(() => {
    const [, before = "", last = ""] = /^(.*?)(\S*)$/s.exec(draft) ?? [];
    let current = true;
    const complete = async () => {
      const words = last.length < LEAST ? [] : await known(last);
      if (current) setCompletions(words.map((word) => before + word).filter((text) => text !== draft));
    };
    complete().catch(() => current && setCompletions([]));
    return () => {
      current = false;
    };
  }, [draft]);
  return completions;
}

async function known(prefix: string): Promise<string[]> {
  const start = prefix.toLowerCase();
  const { words } = await call("get", "/v1/words", { query: { prefix: start, limit: 12 } });
  const names = words.map(({ name, synonyms }) => [name, ...synonyms].find((one) => one.startsWith(start)));
  return names.filter((name) => name !== undefined);
}

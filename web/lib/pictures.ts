/** Pictures that come from outside: dropped, pasted, chosen, photographed. */

import { useCallback, useEffect, useRef, useState } from "react";
import { Problem, sendUpload, wasAborted } from "@/lib/api";

/** As many query pictures as one search takes. */
export const MOST = 16;

const pictures = (data: DataTransfer | null) =>
  [...(data?.files ?? [])].filter((file) => file.type === "" || file.type.startsWith("image/"));

/** Whether files are held over the window; those dropped or pasted anywhere go to `take`. */
export function useArrivals(take: (files: File[]) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(take);
  useEffect(() => {
    latest.current = take;
  });
  useEffect(() => {
    let depth = 0;
    const holds = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (holds(event)) setOver(++depth > 0);
    };
    const leave = (event: DragEvent) => {
      if (holds(event)) setOver(--depth > 0);
    };
    const hold = (event: DragEvent) => {
      if (holds(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      depth = 0;
      setOver(false);
      if (!holds(event)) return;
      event.preventDefault();
      const files = pictures(event.dataTransfer);
      if (files.length) latest.current(files);
    };
    const paste = (event: ClipboardEvent) => {
      const files = pictures(event.clipboardData);
      if (!files.length) return;
      event.preventDefault();
      latest.current(files);
    };
    const told = { dragenter: enter, dragleave: leave, dragover: hold, drop, paste };
    const listeners = Object.entries(told) as [string, EventListener][];
    for (const [name, listener] of listeners) window.addEventListener(name, listener);
    return () => {
      for (const [name, listener] of listeners) window.removeEventListener(name, listener);
    };
  }, []);
  return over;
}

/** Sends query pictures; their tokens go to `done`. A later call gives up an earlier one. */
export function useUploads(done: (tokens: string[]) => void) {
  const [waiting, setWaiting] = useState(0);
  const [problem, setProblem] = useState<Problem | null>(null);
  const control = useRef<AbortController>(undefined);
  const latest = useRef(done);
  useEffect(() => {
    latest.current = done;
  });
  const send = useCallback(async (files: File[]) => {
    control.current?.abort();
    const own = (control.current = new AbortController());
    setProblem(null);
    setWaiting(files.length);
    try {
      const sent = await Promise.all(files.map((file) => sendUpload(file, own.signal)));
      latest.current(sent.map((one) => one.upload));
    } catch (error) {
      if (wasAborted(error)) return;
      setProblem(Problem.of(error));
    }
    setWaiting(0);
  }, []);
  return { send, waiting, problem, dismiss: useCallback(() => setProblem(null), []) };
}

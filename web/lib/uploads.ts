/** Image files that the user drops, pastes or chooses, and the upload of query images. */

import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, uploadImage, wasAborted } from "@/lib/api";

/** The most query images of one search. */
export const MAX_IMAGES = 16;

const imageFiles = (data: DataTransfer | null) =>
  [...(data?.files ?? [])].filter((file) => file.type === "" || file.type.startsWith("image/"));

/** Passes files that are dropped or pasted anywhere to `onFiles`. True while files are dragged over the window. */
export function useFileDrop(onFiles: (files: File[]) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(onFiles);
  useEffect(() => {
    latest.current = onFiles;
  });
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (hasFiles(event)) setOver(++depth > 0);
    };
    const leave = (event: DragEvent) => {
      if (hasFiles(event)) setOver(--depth > 0);
    };
    const hold = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      depth = 0;
      setOver(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      const files = imageFiles(event.dataTransfer);
      if (files.length) latest.current(files);
    };
    const paste = (event: ClipboardEvent) => {
      const files = imageFiles(event.clipboardData);
      if (!files.length) return;
      event.preventDefault();
      latest.current(files);
    };
    const handlers = { dragenter: enter, dragleave: leave, dragover: hold, drop, paste };
    const listeners = Object.entries(handlers) as [string, EventListener][];
    for (const [name, listener] of listeners) window.addEventListener(name, listener);
    return () => {
      for (const [name, listener] of listeners) window.removeEventListener(name, listener);
    };
  }, []);
  return over;
}

/** Uploads query images and passes their tokens to `onDone`. A later call aborts an earlier one. */
export function useUploads(onDone: (tokens: string[]) => void) {
  const [waiting, setWaiting] = useState(0);
  const [error, setError] = useState<ApiError | null>(null);
  const control = useRef<AbortController>(undefined);
  const latest = useRef(onDone);
  useEffect(() => {
    latest.current = onDone;
  });
  const send = useCallback(async (files: File[]) => {
    control.current?.abort();
    const { signal } = (control.current = new AbortController());
    setError(null);
    setWaiting(files.length);
    try {
      const answers = await Promise.all(files.map((file) => uploadImage(file, signal)));
      latest.current(answers.map((answer) => answer.upload));
    } catch (error) {
      if (wasAborted(error)) return;
      setError(ApiError.from(error));
    }
    setWaiting(0);
  }, []);
  return { send, waiting, error, dismiss: useCallback(() => setError(null), []) };
}

/** Small controls shared by all views. */

import { type ReactNode, useEffect, useRef } from "react";
import { Icon, type IconName } from "@/components/Icon";
import type { ApiError } from "@/lib/api";

export function IconButton({
  icon,
  label,
  pressed,
  disabled,
  onClick,
}: {
  icon: IconName;
  label: string;
  pressed?: boolean;
  disabled?: boolean;
  onClick: () => void;
}) {
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A toggle button in a group of choices. */
export function Chip({ on, onClick, children }: { on: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button type="button" className="chip" aria-pressed={on} onClick={onClick}>
      {children}
    </button>
  );
}

/** An error in the server's words, with optional advice and a retry button. */
export function ErrorMessage({
  error,
  retry,
  children,
}: {
  error: ApiError;
  retry?: () => void;
  children?: ReactNode;
}) {
  return (
    <div className="error" role="alert">
      <p>{error.message}</p>
      {children}
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A one-line error that can be dismissed. */
export function Notice({ error, dismiss }: { error: ApiError; dismiss: () => void }) {
  return (
    <div className="notice" role="alert">
      {error.message}
      <IconButton icon="close" label="Dismiss" onClick={dismiss} />
    </div>
  );
}

export function Progress({ done, total, label }: { done: number; total: number | null; label: string }) {
  return <progress aria-label={label} value={total ? done : undefined} max={total ?? undefined} />;
}

/** A button that opens the system's file dialog, or the camera. */
export function FileButton({
  className,
  label,
  capture = false,
  choose,
}: {
  className: string;
  label: string;
  capture?: boolean;
  choose: (files: File[]) => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" className={className} aria-label={label} onClick={() => input.current?.click()}>
        <Icon name={capture ? "camera" : className.includes("tile-add") ? "plus" : "image"} />
        <span>{label}</span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        accept="image/*"
        multiple={!capture}
        {...(capture ? { capture: "environment" } : {})}
        onChange={(event) => {
          const files = [...(event.target.files ?? [])];
          event.target.value = "";
          if (files.length) choose(files);
        }}
      />
    </>
  );
}

/** A modal dialog, closed by its button, by Escape, or by a click outside. */
export function Modal({
  title,
  onClose,
  className = "",
  children,
}: {
  title: string;
  onClose: () => void;
  className?: string;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const previous = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (previous instanceof HTMLElement && previous.isConnected) previous.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`modal ${className}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div className="modal-frame">
        <header className="modal-head">
          <h2>{title}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

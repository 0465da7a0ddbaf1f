/** Small parts that all views are made of. */

import { type ReactNode, useEffect, useRef } from "react";
import { Icon, type IconName } from "@/components/Icon";
import type { Problem } from "@/lib/api";

export function IconButton({
  icon,
  label,
  pressed,
  onClick,
  className = "",
}: {
  icon: IconName;
  label: string;
  pressed?: boolean;
  onClick: () => void;
  className?: string;
}) {
  return (
    <button
      type="button"
      className={`icon-button ${className}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A part of a choice that is on or off. */
export function Chip({ on, onClick, children }: { on: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button type="button" className="chip" aria-pressed={on} onClick={onClick}>
      {children}
    </button>
  );
}

/** What went wrong, in the server's words, with what to do about it. */
export function Trouble({
  problem,
  again,
  children,
}: {
  problem: Problem;
  again?: () => void;
  children?: ReactNode;
}) {
  return (
    <div className="trouble" role="alert">
      <p>{problem.message}</p>
      {children}
      {again && (
        <button type="button" className="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Progress({ done, total, label }: { done: number; total: number | null; label: string }) {
  return <progress aria-label={label} value={total ? done : undefined} max={total ?? undefined} />;
}

/** A modal dialog, closed by its button, Escape and a click beside it. */
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
    const shown = dialog.current;
    const before = document.activeElement;
    shown?.showModal();
    return () => {
      shown?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
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

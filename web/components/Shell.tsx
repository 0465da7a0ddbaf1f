/** The frame around every view: header, messages, and the dialog for the API key. */

import Head from "next/head";
import Link from "next/link";
import { useRouter } from "next/router";
import { type ReactNode, type SubmitEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Modal } from "@/components/Controls";
import { Icon, Logo } from "@/components/Icon";
import { ApiError, authorization, call } from "@/lib/api";
import { plural } from "@/lib/format";
import { type Common, CommonContext, UNDO_MS, useAnswer, useMedia } from "@/lib/hooks";
import { clearResults } from "@/lib/results";

const VIEWS = [
  { path: "/", name: "Search" },
  { path: "/duplicates", name: "Duplicates" },
  { path: "/library", name: "Library" },
];

interface Message {
  text: string;
  undo?: () => void;
}

export function Shell({ children }: { children: ReactNode }) {
  const { pathname } = useRouter();
  const { data: stats, error, reload } = useAnswer("/v1/stats", undefined);
  const [message, setMessage] = useState<Message | null>(null);
  const [locked, setLocked] = useState(false);
  const timer = useRef(0);

  useEffect(() => {
    const lock = () => setLocked(true);
    authorization.addEventListener("unauthorized", lock);
    return () => authorization.removeEventListener("unauthorized", lock);
  }, []);

  const notify = useCallback((text: string, undo?: () => void) => {
    clearTimeout(timer.current);
    setMessage({ text, undo });
    timer.current = window.setTimeout(() => setMessage(null), UNDO_MS);
  }, []);
  const common = useMemo<Common>(
    () => ({ stats, error, refresh: reload, notify }),
    [stats, error, reload, notify],
  );
  const view = VIEWS.find(({ path }) => path === pathname);
  return (
    <CommonContext value={common}>
      <Head>
        <title>{`${view?.name ?? "Not found"} · lookalike`}</title>
      </Head>
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          // A fragment in the address would add a step to the history.
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to content
      </a>
      <header className="top">
        <Link href="/" prefetch={false} className="brand" aria-label="lookalike, start page">
          <Logo />
          <span>lookalike</span>
        </Link>
        <nav aria-label="Views">
          {VIEWS.map(({ path, name }) => (
            <Link
              key={path}
              href={path}
              prefetch={false}
              aria-current={view?.path === path ? "page" : undefined}
            >
              {name}
            </Link>
          ))}
        </nav>
        <span className="count">{stats && plural(stats.images, "image")}</span>
        <ThemeButton />
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <div className="message" role="status" data-open={message !== null}>
        {message && (
          <>
            <span>{message.text}</span>
            {message.undo && (
              <button
                type="button"
                onClick={() => {
                  message.undo?.();
                  setMessage(null);
                }}
              >
                Undo
              </button>
            )}
          </>
        )}
      </div>
      {locked && (
        <KeyDialog
          onSuccess={() => {
            setLocked(false);
            clearResults();
            window.location.reload();
          }}
          close={() => setLocked(false)}
        />
      )}
    </CommonContext>
  );
}

function ThemeButton() {
  const system = useMedia("(prefers-color-scheme: dark)");
  const [chosen, setChosen] = useState<string | null>(null);
  useEffect(() => {
    // eslint-disable-next-line react-hooks/set-state-in-effect -- only known in the browser
    setChosen(document.documentElement.dataset.theme ?? null);
  }, []);
  const dark = chosen ? chosen === "dark" : system;
  const toggle = () => {
    const next = dark ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Without storage, the choice lasts until the page is closed.
    }
    setChosen(next);
  };
  const label = dark ? "Light theme" : "Dark theme";
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={toggle}>
      <Icon name={dark ? "sun" : "moon"} />
    </button>
  );
}

/** Exchanges the API key for a session cookie that scripts cannot read. */
function KeyDialog({ onSuccess, close }: { onSuccess: () => void; close: () => void }) {
  const [error, setError] = useState("");
  const [key, setKey] = useState("");
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const headers = { Authorization: `Bearer ${key.trim()}` };
    call("post", "/v1/session", { headers }).then(onSuccess, (error: unknown) =>
      setError(ApiError.from(error).message),
    );
  };
  return (
    <Modal title="API key required" onClose={close} className="narrow">
      <form className="stack" onSubmit={send}>
        <label htmlFor="key">Key</label>
        <input
          id="key"
          type="password"
          autoComplete="current-password"
          required
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        <p className="soft" role="alert">
          {error || "Ask the operator of this service for the key. This browser keeps it until you close it."}
        </p>
        <button type="submit" className="button primary">
          Continue
        </button>
      </form>
    </Modal>
  );
}

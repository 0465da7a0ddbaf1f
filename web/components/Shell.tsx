/** The frame around every view: header, messages, and the question for a key. */

import Head from "next/head";
import Link from "next/link";
import { useRouter } from "next/router";
import { type ReactNode, type SubmitEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Modal } from "@/components/Bits";
import { Icon, Mark } from "@/components/Icon";
import { ask, Problem, type Stats, unauthorized } from "@/lib/api";
import { type Common, CommonContext, useAsked, useMedia } from "@/lib/hooks";
import { forgetResults } from "@/lib/results";
import { plural } from "@/lib/words";

const VIEWS = [
  { path: "/", name: "Search" },
  { path: "/duplicates", name: "Duplicates" },
  { path: "/library", name: "Library" },
];

/** How long a message stays, and with it the way back. */
export const GRACE = 5000;

interface Message {
  text: string;
  undo?: () => void;
}

export function Shell({ children }: { children: ReactNode }) {
  const { pathname } = useRouter();
  const { data: stats, problem, again } = useAsked<Stats>("/v1/stats");
  const [message, setMessage] = useState<Message | null>(null);
  const [locked, setLocked] = useState(false);
  const timer = useRef(0);

  useEffect(() => {
    const lock = () => setLocked(true);
    unauthorized.addEventListener("ask", lock);
    return () => unauthorized.removeEventListener("ask", lock);
  }, []);

  const say = useCallback((text: string, undo?: () => void) => {
    clearTimeout(timer.current);
    setMessage({ text, undo });
    timer.current = window.setTimeout(() => setMessage(null), GRACE);
  }, []);
  const common = useMemo<Common>(
    () => ({ stats, problem, refresh: again, say }),
    [stats, problem, again, say],
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
          // Without a mark in the address, which Back would come by.
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header className="top">
        <Link href="/" prefetch={false} className="brand" aria-label="lookalike, start page">
          <Mark />
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
        <KeyQuestion
          opened={() => {
            setLocked(false);
            forgetResults();
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
    // eslint-disable-next-line react-hooks/set-state-in-effect -- known in the browser only
    setChosen(document.documentElement.dataset.theme ?? null);
  }, []);
  const dark = chosen ? chosen === "dark" : system;
  const toggle = () => {
    const next = dark ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    setChosen(next);
  };
  const label = dark ? "Light colors" : "Dark colors";
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={toggle}>
      <Icon name={dark ? "sun" : "moon"} />
    </button>
  );
}

/** Asks for the key of the service, which becomes a cookie that scripts cannot read. */
function KeyQuestion({ opened, close }: { opened: () => void; close: () => void }) {
  const [problem, setProblem] = useState("");
  const [key, setKey] = useState("");
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const headers = { Authorization: `Bearer ${key.trim()}` };
    ask("/v1/session", { method: "POST", headers }).then(opened, (error: unknown) =>
      setProblem(Problem.of(error).message),
    );
  };
  return (
    <Modal title="This service needs a key" onClose={close} className="narrow">
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
          {problem || "Whoever runs this service has it. It stays in this browser until you close it."}
        </p>
        <button type="submit" className="button primary">
          Continue
        </button>
      </form>
    </Modal>
  );
}

/** Duplicates: groups of copies side by side, looked through by keys. */

import { useCallback, useEffect, useRef, useState } from "react";
import { Chip, IconButton, Modal, Progress, Trouble } from "@/components/Bits";
import { GroupCard } from "@/components/GroupCard";
import { ask, at, type Group, isFinal, type Job, Problem } from "@/lib/api";
import { decide, type Decision, GRACE, remove, useGroups, without, withKeeper } from "@/lib/groups";
import { useCommon, useJob } from "@/lib/hooks";
import { ago, number, plural, sentence } from "@/lib/words";

const POLICIES: Record<string, string> = {
  largest: "Largest",
  best: "Most detail",
  oldest: "Oldest",
  first: "First by path",
};

const KEYS: [string, string][] = [
  ["j or ↓", "next group"],
  ["k or ↑", "group before"],
  ["1 … 9", "choose which one stays"],
  ["a", "keep all of them"],
  ["n", "they are no duplicates"],
  ["x", "remove the copies from the index"],
  ["u", "take the last one back"],
  ["d", "show what differs"],
  ["?", "these keys"],
];

interface Leaving {
  keeper: string;
  ids: string[];
  timer: number;
}

export default function DuplicatesPage() {
  const { stats, say, refresh } = useCommon();
  const { groups, total, answer, problem, load, change } = useGroups();
  const [started, setStarted] = useState<Job | null>(null);
  const [failed, setFailed] = useState<Problem | null>(null);
  const [active, setActive] = useState("");
  const [differing, setDiffering] = useState(false);
  const [help, setHelp] = useState(false);
  const [leaving, setLeaving] = useState<Leaving[]>([]);
  const [decided, setDecided] = useState<string[][]>([]);
  const cards = useRef(new Map<string, HTMLElement>());
  const write = stats?.write ?? false;

  const job = useJob(started ?? answer?.job, () => void load(0));
  const running = job !== null && !isFinal(job);
  const found = job?.done ?? 0;
  useEffect(() => {
    // What was found so far, while nobody has begun to look further down.
    if (running && groups.length < 20) void load(0);
  }, [running, found, groups.length, load]);

  const start = (request: Record<string, unknown>) => {
    setFailed(null);
    ask<Job>("/v1/jobs", { json: { kind: "duplicates", ...request } }).then(
      (job) => {
        setStarted(job);
        change(() => []);
      },
      (error: unknown) => setFailed(Problem.of(error)),
    );
  };
  const trouble = (error: unknown) => setFailed(Problem.of(error));

  const goTo = (group: Group | undefined) => {
    if (!group) return;
    setActive(group.keeper);
    const card = cards.current.get(group.keeper);
    card?.focus({ preventScroll: true });
    card?.scrollIntoView({ block: "nearest", behavior: "auto" });
  };
  const place = groups.findIndex((group) => group.keeper === active);
  const drop = (group: Group, ids: string[]) => {
    const rest = without(group, ids);
    if (!rest && group.keeper === active) {
      const at = groups.indexOf(group);
      goTo(groups[at + 1] ?? groups[at - 1]);
    }
    change((all) =>
      all.flatMap((one) => (one.keeper === group.keeper ? (rest ? [rest] : []) : [one])),
    );
  };
  const settle = (group: Group, ids: string[], decision: Decision, words: string) => {
    decide(ids, decision).then(() => {
      drop(group, ids.length === group.members.length ? ids : ids.filter((id) => id !== group.keeper));
      setDecided((before) => [...before, ids]);
      say(words, () => takeBack(ids));
    }, trouble);
  };
  const takeBack = (ids: string[]) => {
    decide(ids, null).then(() => {
      setDecided((before) => before.filter((one) => one !== ids));
      void load(0);
    }, trouble);
  };
  const removeNow = useCallback(
    (gone: Leaving, group: Group) => {
      remove(gone.ids).then(
        () => {
          const rest = without(group, gone.ids);
          change((all) =>
            all.flatMap((one) => (one.keeper === gone.keeper ? (rest ? [rest] : []) : [one])),
          );
          refresh();
        },
        (error: unknown) => setFailed(Problem.of(error)),
      );
      setLeaving((all) => all.filter((one) => one.timer !== gone.timer));
    },
    [change, refresh],
  );
  const removeSoon = (group: Group, ids: string[]) => {
    const gone: Leaving = { keeper: group.keeper, ids, timer: 0 };
    gone.timer = window.setTimeout(() => removeNow(gone, group), GRACE);
    setLeaving((all) => [...all, gone]);
    goTo(groups[groups.indexOf(group) + 1]);
  };
  const undoRemoval = (keeper?: string) => {
    const gone = leaving.findLast((one) => keeper === undefined || one.keeper === keeper);
    if (!gone) return false;
    clearTimeout(gone.timer);
    setLeaving((all) => all.filter((one) => one.timer !== gone.timer));
    return true;
  };

  const actionsOf = (group: Group) => ({
    keep: (id: string) => {
      change((all) => all.map((one) => (one.keeper === group.keeper ? withKeeper(group, id) : one)));
      setActive(id);
    },
    keepAll: () =>
      settle(group, group.members.map(({ id }) => id), "keep_all", "All of them are kept."),
    notDuplicates: (ids: string[]) =>
      settle(group, ids, "not_duplicates", "They are not shown as duplicates any more."),
    remove: (ids: string[]) => removeSoon(group, ids),
    undo: () => void undoRemoval(group.keeper),
  });

  const press = (event: KeyboardEvent) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
    if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
    const group = groups[place];
    const copies = group?.members.filter(({ id, verdict }) => id !== group.keeper && verdict !== "similar");
    const busy = leaving.some((one) => one.keeper === active);
    const keys: Record<string, () => void> = {
      j: () => goTo(groups[place + 1]),
      ArrowDown: () => goTo(groups[place + 1]),
      k: () => goTo(groups[place - 1]),
      ArrowUp: () => goTo(groups[place - 1]),
      d: () => setDiffering(!differing),
      "?": () => setHelp(true),
      u: () => {
        const last = decided.at(-1);
        if (!undoRemoval() && last) takeBack(last);
      },
    };
    if (group && write && !busy) {
      const actions = actionsOf(group);
      keys.a = actions.keepAll;
      keys.n = () => actions.notDuplicates(group.members.map(({ id }) => id));
      if (copies?.length) keys.x = () => actions.remove(copies.map(({ id }) => id));
      const chosen = /^[1-9]$/.test(event.key) ? group.members[Number(event.key) - 1] : undefined;
      if (chosen && chosen.id !== group.keeper) keys[event.key] = () => actions.keep(chosen.id);
    }
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const latest = useRef(press);
  useEffect(() => {
    latest.current = press;
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => latest.current(event);
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);

  return (
    <div className="duplicates">
      <header className="page-head">
        <div>
          <h1>Duplicates</h1>
          <p className="soft">Copies of one picture, found by laying them over one another. No file is touched.</p>
        </div>
        <button type="button" className="button small keys-button" onClick={() => setHelp(true)}>
          Keys <kbd>?</kbd>
        </button>
      </header>
      {write && <Start key={answer?.job?.job} last={answer?.job?.request ?? {}} busy={running} start={start} />}
      {failed && (
        <div className="notice" role="alert">
          {failed.message}
          <IconButton icon="close" label="Dismiss" onClick={() => setFailed(null)} />
        </div>
      )}
      {job && <JobLine job={job} total={total} images={answer?.images ?? 0} />}
      {!stats ? null : problem ? (
        <Trouble problem={problem} again={() => void load(0)} />
      ) : (
        <div className="groups" data-differing={differing}>
          {groups.map((group, i) => (
            <GroupCard
              key={group.members.map(({ id }) => id).sort()[0]}
              ref={(card) => {
                if (card) cards.current.set(group.keeper, card);
                return () => void cards.current.delete(group.keeper);
              }}
              group={group}
              number={i + 1}
              write={write}
              active={group.keeper === active}
              differing={differing && group.keeper === active}
              leaving={leaving.find((one) => one.keeper === group.keeper)?.ids ?? []}
              actions={actionsOf(group)}
              onFocus={() => setActive(group.keeper)}
            />
          ))}
          {!answer && <div className="group skeleton" aria-hidden="true" />}
        </div>
      )}
      {answer && groups.length < total && (
        <div className="grid-end">
          <button type="button" className="button" onClick={() => void load(groups.length)}>
            More groups
          </button>
        </div>
      )}
      {answer && !groups.length && !running && (
        <div className="empty">
          <h2>{job ? "No duplicates are left" : "Nobody has looked for duplicates yet"}</h2>
          <p>
            {job
              ? "What was decided on stays decided; look again after adding images."
              : "Looking changes nothing: what becomes of the copies is yours to say."}
          </p>
        </div>
      )}
      {help && (
        <Modal title="Keys" onClose={() => setHelp(false)} className="narrow">
          <dl className="keys">
            {KEYS.map(([key, what]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </Modal>
      )}
    </div>
  );
}

interface StartProps {
  last: Record<string, unknown>;
  busy: boolean;
  start: (request: Record<string, unknown>) => void;
}

function Start({ last, busy, start }: StartProps) {
  const [keep, setKeep] = useState(typeof last.keep === "string" ? last.keep : "largest");
  const [where, setWhere] = useState(typeof last.where === "string" ? last.where : "");
  const [similar, setSimilar] = useState(last.similar === true);
  return (
    <form
      className="start panel"
      onSubmit={(event) => {
        event.preventDefault();
        start({ keep, similar, ...(where.trim() ? { where } : {}) });
      }}
    >
      <fieldset className="chips">
        <legend>Keep the</legend>
        {Object.entries(POLICIES).map(([name, label]) => (
          <Chip key={name} on={keep === name} onClick={() => setKeep(name)}>
            {label}
          </Chip>
        ))}
      </fieldset>
      <label className="start-where">
        <span>Only where</span>
        <input
          value={where}
          spellCheck={false}
          placeholder="all images"
          onChange={(event) => setWhere(event.target.value)}
        />
      </label>
      <label className="check">
        <input type="checkbox" checked={similar} onChange={(event) => setSimilar(event.target.checked)} />
        <span>Also similar ones</span>
      </label>
      <button type="submit" className="button primary" disabled={busy}>
        Look for duplicates
      </button>
    </form>
  );
}

function JobLine({ job, total, images }: { job: Job; total: number; images: number }) {
  const cancel = () => void ask(at("/v1/jobs/one", { job: job.job }), { method: "DELETE" });
  if (isFinal(job)) {
    const words =
      job.state === "done"
        ? `${plural(total, "group")} among ${plural(images, "image")}, looked for ${ago(job.finished_at ?? job.created_at)}`
        : job.state === "failed"
          ? (job.problem?.detail ?? "The last search failed.")
          : "The last search was canceled; these are the groups from before.";
    return (
      <p className={`job-line ${job.state === "failed" ? "bad" : "soft"}`} role="status">
        {words}
      </p>
    );
  }
  return (
    <div className="job-line running" role="status">
      <span>{job.state === "queued" ? "Waiting" : sentence(job.stage || "looking")}</span>
      <Progress done={job.done} total={job.total} label="Progress of the search for duplicates" />
      <span className="soft">{job.total ? `${number(job.done)} of ${number(job.total)}` : ""}</span>
      <button type="button" className="button small" onClick={cancel}>
        Cancel
      </button>
    </div>
  );
}

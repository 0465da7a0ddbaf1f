/** Duplicates: groups of copies side by side, reviewed with the keyboard. */

import { useCallback, useEffect, useRef, useState } from "react";
import { Chip, ErrorMessage, Modal, Notice, Progress } from "@/components/Controls";
import { GroupCard } from "@/components/GroupCard";
import { ApiError, type Body, call, type Group, isFinal, type Job } from "@/lib/api";
import { ago, number, plural, sentence } from "@/lib/format";
import { decide, type Decision, removable, remove, useGroups, without, withKeeper } from "@/lib/groups";
import { UNDO_MS, useCommon, useJob } from "@/lib/hooks";

type ScanRequest = Extract<Body<"/v1/jobs", "post">, { kind: "duplicates" }>;
type Policy = NonNullable<ScanRequest["keep"]>;

const POLICIES: Record<Policy, string> = {
  largest: "Largest",
  best: "Most detail",
  oldest: "Oldest",
  first: "First by path",
};

const SHORTCUTS: [string, string][] = [
  ["j or ↓", "next group"],
  ["k or ↑", "previous group"],
  ["1 … 9", "choose the image to keep"],
  ["a", "keep all"],
  ["n", "mark as not duplicates"],
  ["x", "remove the copies that hold no more from the index"],
  ["u", "undo"],
  ["d", "show differences"],
  ["?", "show these shortcuts"],
];

/** A removal that can still be undone. */
interface Removal {
  keeper: string;
  ids: string[];
  timer: number;
}

export default function DuplicatesPage() {
  const { stats, notify, refresh } = useCommon();
  const { groups, total, answer, error, load, change } = useGroups();
  const [started, setStarted] = useState<Job | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [active, setActive] = useState("");
  const [showDifferences, setShowDifferences] = useState(false);
  const [help, setHelp] = useState(false);
  const [removals, setRemovals] = useState<Removal[]>([]);
  const [decided, setDecided] = useState<string[][]>([]);
  const cards = useRef(new Map<string, HTMLElement>());
  const write = stats?.write ?? false;

  const job = useJob(started ?? answer?.job, () => void load(0));
  const running = job !== null && !isFinal(job);
  const progress = job?.done ?? 0;
  useEffect(() => {
    // Groups found so far, until further pages are loaded.
    if (running && groups.length < 20) void load(0);
  }, [running, progress, groups.length, load]);

  const start = (request: ScanRequest) => {
    setFailure(null);
    call("post", "/v1/jobs", { json: request }).then(
      (job) => {
        setStarted(job);
        change(() => []);
      },
      (error: unknown) => setFailure(ApiError.from(error)),
    );
  };
  const fail = (error: unknown) => setFailure(ApiError.from(error));

  const goTo = (group: Group | undefined) => {
    if (!group) return;
    setActive(group.keeper);
    const card = cards.current.get(group.keeper);
    card?.focus({ preventScroll: true });
    card?.scrollIntoView({ block: "nearest", behavior: "auto" });
  };
  const position = groups.findIndex((group) => group.keeper === active);
  const drop = (group: Group, ids: string[]) => {
    const rest = without(group, ids);
    if (!rest && group.keeper === active) {
      goTo(groups[position + 1] ?? groups[position - 1]);
    }
    change((all) =>
      all.flatMap((other) => (other.keeper === group.keeper ? (rest ? [rest] : []) : [other])),
    );
  };
  const settle = (group: Group, ids: string[], decision: Decision, message: string) => {
    decide(ids, decision).then(() => {
      drop(group, ids.length === group.members.length ? ids : ids.filter((id) => id !== group.keeper));
      setDecided((before) => [...before, ids]);
      notify(message, () => takeBackDecision(ids));
    }, fail);
  };
  const takeBackDecision = (ids: string[]) => {
    decide(ids, null).then(() => {
      setDecided((before) => before.filter((other) => other !== ids));
      void load(0);
    }, fail);
  };
  const removeNow = useCallback(
    (removal: Removal, group: Group) => {
      remove(removal.ids).then(
        () => {
          const rest = without(group, removal.ids);
          change((all) =>
            all.flatMap((other) => (other.keeper === removal.keeper ? (rest ? [rest] : []) : [other])),
          );
          refresh();
        },
        (error: unknown) => setFailure(ApiError.from(error)),
      );
      setRemovals((all) => all.filter((other) => other.timer !== removal.timer));
    },
    [change, refresh],
  );
  const removeSoon = (group: Group, ids: string[]) => {
    const removal: Removal = { keeper: group.keeper, ids, timer: 0 };
    removal.timer = window.setTimeout(() => removeNow(removal, group), UNDO_MS);
    setRemovals((all) => [...all, removal]);
    goTo(groups[groups.indexOf(group) + 1]);
  };
  const undoRemoval = (keeper?: string) => {
    const removal = removals.findLast((other) => keeper === undefined || other.keeper === keeper);
    if (!removal) return false;
    clearTimeout(removal.timer);
    setRemovals((all) => all.filter((other) => other.timer !== removal.timer));
    return true;
  };

  const actionsOf = (group: Group) => ({
    keep: (id: string) => {
      change((all) => all.map((other) => (other.keeper === group.keeper ? withKeeper(group, id) : other)));
      setActive(id);
    },
    keepAll: () =>
      settle(group, group.members.map(({ id }) => id), "keep_all", "Kept all."),
    notDuplicates: (ids: string[]) =>
      settle(group, ids, "not_duplicates", "Marked as not duplicates."),
    remove: (ids: string[]) => removeSoon(group, ids),
    undo: () => void undoRemoval(group.keeper),
  });

  const press = (event: KeyboardEvent) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
    if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
    const group = groups[position];
    const copies = group ? removable(group) : [];
    const busy = removals.some(({ keeper }) => keeper === active);
    const keys: Record<string, () => void> = {
      j: () => goTo(groups[position + 1]),
      ArrowDown: () => goTo(groups[position + 1]),
      k: () => goTo(groups[position - 1]),
      ArrowUp: () => goTo(groups[position - 1]),
      d: () => setShowDifferences(!showDifferences),
      "?": () => setHelp(true),
      u: () => {
        const last = decided.at(-1);
        if (!undoRemoval() && last) takeBackDecision(last);
      },
    };
    if (group && write && !busy) {
      const actions = actionsOf(group);
      keys.a = actions.keepAll;
      keys.n = () => actions.notDuplicates(group.members.map(({ id }) => id));
      if (copies.length) keys.x = () => actions.remove(copies);
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
          <p className="soft">
            Copies of one image, confirmed by aligning them. Removal takes a copy out of the index; indexed
            folders stay as they are.
          </p>
        </div>
        <button type="button" className="button small shortcuts-button" onClick={() => setHelp(true)}>
          Shortcuts <kbd>?</kbd>
        </button>
      </header>
      {write && <ScanForm key={answer?.job?.job} last={answer?.job?.request ?? {}} busy={running} start={start} />}
      {failure && <Notice error={failure} dismiss={() => setFailure(null)} />}
      {job && <JobLine job={job} total={total} images={answer?.images ?? 0} />}
      {!stats ? null : error ? (
        <ErrorMessage error={error} retry={() => void load(0)} />
      ) : (
        <div className="groups">
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
              showDifferences={showDifferences && group.keeper === active}
              removing={removals.find(({ keeper }) => keeper === group.keeper)?.ids ?? []}
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
            Load more
          </button>
        </div>
      )}
      {answer && !groups.length && !running && (
        <div className="empty">
          <h2>{job ? "No duplicates left" : "Not scanned yet"}</h2>
          <p>
            {job
              ? "Your decisions are saved. Scan again after adding images."
              : "A scan changes nothing. You decide what happens to each copy."}
          </p>
        </div>
      )}
      {help && (
        <Modal title="Keyboard shortcuts" onClose={() => setHelp(false)} className="narrow">
          <dl className="shortcuts">
            {SHORTCUTS.map(([key, action]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{action}</dd>
              </div>
            ))}
          </dl>
        </Modal>
      )}
    </div>
  );
}

interface ScanFormProps {
  /** The request of the last scan. */
  last: Record<string, unknown>;
  busy: boolean;
  start: (request: ScanRequest) => void;
}

function ScanForm({ last, busy, start }: ScanFormProps) {
  const [keep, setKeep] = useState<Policy>((last.keep as Policy | undefined) ?? "largest");
  const [where, setWhere] = useState(typeof last.where === "string" ? last.where : "");
  const [similar, setSimilar] = useState(last.similar === true);
  return (
    <form
      className="scan-form panel"
      onSubmit={(event) => {
        event.preventDefault();
        start({ kind: "duplicates", keep, similar, ...(where.trim() ? { where } : {}) });
      }}
    >
      <fieldset className="chips">
        <legend>Keep</legend>
        {(Object.entries(POLICIES) as [Policy, string][]).map(([name, label]) => (
          <Chip key={name} on={keep === name} onClick={() => setKeep(name)}>
            {label}
          </Chip>
        ))}
      </fieldset>
      <label className="scan-filter">
        <span>Filter</span>
        <input
          value={where}
          spellCheck={false}
          placeholder="all images"
          onChange={(event) => setWhere(event.target.value)}
        />
      </label>
      <label className="check">
        <input type="checkbox" checked={similar} onChange={(event) => setSimilar(event.target.checked)} />
        <span>Include similar images</span>
      </label>
      <button type="submit" className="button primary" disabled={busy}>
        Find duplicates
      </button>
    </form>
  );
}

function JobLine({ job, total, images }: { job: Job; total: number; images: number }) {
  const cancel = () => void call("delete", "/v1/jobs/one", { query: { job: job.job } });
  if (isFinal(job)) {
    const summary =
      job.state === "done"
        ? `${plural(total, "group")} in ${plural(images, "image")}, scanned ${ago(job.finished_at ?? job.created_at)}`
        : job.state === "failed"
          ? (job.problem?.detail ?? "The last scan failed.")
          : "The last scan was canceled. These groups are from the scan before it.";
    return (
      <p className={`job-line ${job.state === "failed" ? "bad" : "soft"}`} role="status">
        {summary}
      </p>
    );
  }
  return (
    <div className="job-line running" role="status">
      <span>{job.state === "queued" ? "Waiting" : sentence(job.stage || "scanning")}</span>
      <Progress done={job.done} total={job.total} label="Scan progress" />
      <span className="soft">{job.total ? `${number(job.done)} of ${number(job.total)}` : ""}</span>
      <button type="button" className="button small" onClick={cancel}>
        Cancel
      </button>
    </div>
  );
}

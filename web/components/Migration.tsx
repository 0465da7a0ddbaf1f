/** The replacement of a model by another: progress, the gates, and what can be done next. */

import { useState } from "react";
import { Chip, Modal, Progress } from "@/components/Controls";
import { Icon } from "@/components/Icon";
import { ApiError, call, type Gate, type Job, type Migration, url } from "@/lib/api";
import { aspect, number, plural, sentence } from "@/lib/format";
import { useCommon } from "@/lib/hooks";

const ENDS = ["finish-migration", "cancel-migration"];

type Missing = "keep" | "drop" | null;
type Action = "roll-back" | "finish" | "cancel";

interface Props {
  migration: Migration;
  /** The unfinished jobs. */
  jobs: Job[];
  write: boolean;
  /** Called when another model serves, or a job was started. */
  changed: () => void;
}

export function MigrationPanel({ migration, jobs, write, changed }: Props) {
  const { phase, images, lacking } = migration;
  const filling = jobs.some((job) => job.kind === "migrate");
  const ending = jobs.some((job) => ENDS.includes(job.kind));
  return (
    <section className="panel migration" aria-label="New model">
      <header className="panel-head">
        <h2>New model</h2>
        <span className="state">{ending ? "Ending" : sentence(phase)}</span>
      </header>
      <dl className="models">
        <dt>Replaces</dt>
        <dd className="break">{migration.old}</dd>
        <dt>By</dt>
        <dd className="break">{migration.new}</dd>
        <dt>For</dt>
        <dd>{aspect(migration.aspect)}</dd>
      </dl>
      {phase === "filling" && <Progress done={images - lacking} total={images} label="Images described" />}
      {phase !== "ending" && (
        <p className="soft" role="status">
          {lacking
            ? `${number(images - lacking)} of ${plural(images, "image")} described, ${number(lacking)} without the new vector`
            : `${plural(images, "image")} described`}
        </p>
      )}
      <p>{explanation(migration, filling, ending)}</p>
      {write && !ending && <Actions migration={migration} filling={filling} changed={changed} />}
    </section>
  );
}

function explanation({ phase }: Migration, filling: boolean, ending: boolean): string {
  if (ending) return "Vectors that are no longer needed are being removed.";
  switch (phase) {
    case "filling":
      return filling
        ? "The old model serves until the new one has described the images."
        : "No job of this service describes images: start it again, unless it runs elsewhere.";
    case "ready":
      return "The old model serves. Compare both before the new one takes over.";
    case "cut over":
      return "The new model serves. Until you finish, the old one can come back.";
    case "ending":
      return "Removing vectors was interrupted.";
  }
}

const CONFIRM: Record<Action | "drop", { title: string; text: string; button: string } | null> = {
  "roll-back": null,
  finish: {
    title: "Remove the old model?",
    text: "The vectors of the old model are removed. There is no way back.",
    button: "Remove",
  },
  cancel: {
    title: "Give up the new model?",
    text: "The vectors of the new model are removed. To try again, all images must be described again.",
    button: "Give up",
  },
  drop: {
    title: "Remove images from the index?",
    text: "If the gates pass, images without the new vector are removed from the index. Files stay.",
    button: "Cut over",
  },
};

function Actions({ migration, filling, changed }: { migration: Migration; filling: boolean; changed: () => void }) {
  const { phase, lacking } = migration;
  const { notify } = useCommon();
  const [busy, setBusy] = useState("");
  const [gates, setGates] = useState<Gate[]>([]);
  const [missing, setMissing] = useState<Missing>(null);
  const [asking, setAsking] = useState<Action | "drop" | null>(null);
  const run = (label: string, work: Promise<void>) => {
    setBusy(label);
    setAsking(null);
    void work.catch((error: unknown) => notify(ApiError.from(error).message)).finally(() => setBusy(""));
  };
  const act = (action: Action, otherwise?: Action) => {
    const send = (path: Action) => call("post", `/v1/migration/${path}`);
    const sent: Promise<unknown> = send(action).catch((error: unknown) => {
      if (otherwise) return send(otherwise);
      throw error;
    });
    run(
      "Working…",
      sent.then(() => {
        setGates([]);
        changed();
      }),
    );
  };
  const cutOver = (dry: boolean) => {
    const sent = call("post", "/v1/migration/cut-over", { json: { dry_run: dry, missing } }).then((answer) => {
      setGates(answer.done ? [] : answer.gates);
      if (answer.done) {
        notify("The new model serves.");
        changed();
      } else if (!dry) notify("The gates refuse the new model.");
    });
    run("Comparing…", sent);
  };
  const question = asking && CONFIRM[asking];
  return (
    <>
      {phase === "ready" && lacking > 0 && (
        <fieldset className="chips">
          <legend>Images without the new vector</legend>
          <Chip on={missing === null} onClick={() => setMissing(null)}>
            At most 0.1%
          </Chip>
          <Chip on={missing === "keep"} onClick={() => setMissing("keep")}>
            Keep
          </Chip>
          <Chip on={missing === "drop"} onClick={() => setMissing("drop")}>
            Remove
          </Chip>
        </fieldset>
      )}
      {gates.length > 0 && <Gates gates={gates} />}
      <div className="actions">
        {phase === "ready" && (
          <>
            <button
              type="button"
              className="button primary small"
              disabled={busy !== ""}
              onClick={() => (missing === "drop" ? setAsking("drop") : cutOver(false))}
            >
              Cut over
            </button>
            <button type="button" className="button small" disabled={busy !== ""} onClick={() => cutOver(true)}>
              Check gates
            </button>
          </>
        )}
        {phase === "cut over" && (
          <>
            <button type="button" className="button small" disabled={busy !== ""} onClick={() => act("roll-back")}>
              Roll back
            </button>
            <button type="button" className="button small" disabled={busy !== ""} onClick={() => setAsking("finish")}>
              Finish
            </button>
          </>
        )}
        {phase === "ending" && (
          <button type="button" className="button small" disabled={busy !== ""} onClick={() => act("finish", "cancel")}>
            {/* The service refuses the one that was not begun. */}
            Go on
          </button>
        )}
        {(phase === "ready" || phase === "filling") && (
          <button type="button" className="button small" disabled={busy !== ""} onClick={() => setAsking("cancel")}>
            {filling && phase === "filling" ? "Cancel" : "Give up"}
          </button>
        )}
        {(phase === "ready" || phase === "cut over") && (
          <a href={url("/v1/migration/report.html", {})} target="_blank" rel="noreferrer">
            Report
          </a>
        )}
        <span className="soft" role="status">
          {busy}
        </span>
      </div>
      {asking && question && (
        <Modal title={question.title} onClose={() => setAsking(null)} className="narrow">
          <div className="stack">
            <p>{question.text}</p>
            <button
              type="button"
              className="button primary"
              onClick={() => (asking === "drop" ? cutOver(false) : act(asking))}
            >
              {question.button}
            </button>
          </div>
        </Modal>
      )}
    </>
  );
}

function Gates({ gates }: { gates: Gate[] }) {
  return (
    <ul className="gates">
      {gates.map((gate) => (
        <li key={gate.name} data-passed={gate.passed}>
          <Icon name={gate.passed ? "check" : "close"} />
          <span>
            <b>{sentence(gate.name)}</b>
            <span className="hidden">{gate.passed ? " passed. " : " failed. "}</span> {gate.sentence}
          </span>
        </li>
      ))}
    </ul>
  );
}

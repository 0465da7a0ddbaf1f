/** Library: statistics of the index, adding images, and jobs. */

import { type SubmitEvent, useEffect, useState } from "react";
import { Chip, ErrorMessage, FileButton, IconButton, Progress } from "@/components/Controls";
import { Icon } from "@/components/Icon";
import { MigrationPanel } from "@/components/Migration";
import { addImages, ApiError, type Body, call, type FileNote, isFinal, type Job, type Migration, type MigrationReport, type Reject, type Stats } from "@/lib/api";
import { clearCounts } from "@/lib/counts";
import { ago, aspect, bytes, fileName, number, plural, sentence } from "@/lib/format";
import { useAnswer, useCommon, useJob } from "@/lib/hooks";
import { clearResults } from "@/lib/results";
import { useFileDrop } from "@/lib/uploads";

/** Milliseconds between two looks at a migration that is under way, perhaps in another process. */
const MIGRATION_POLL_MS = 4000;

export default function LibraryPage() {
  const { stats, error, refresh } = useCommon();
  const jobs = useAnswer("/v1/jobs", undefined);
  const migration = useAnswer("/v1/migration", undefined);
  const open = jobs.data?.jobs.filter((job) => !isFinal(job)) ?? [];
  const underWay = Boolean(migration.data) || open.some(({ kind }) => kind === "migrate");
  const [reloadJobs, reloadMigration] = [jobs.reload, migration.reload];
  useEffect(() => {
    if (!underWay) return;
    const timer = window.setInterval(() => {
      reloadJobs();
      reloadMigration();
    }, MIGRATION_POLL_MS);
    return () => clearInterval(timer);
  }, [underWay, reloadJobs, reloadMigration]);
  const changed = () => {
    clearResults();
    clearCounts();
    refresh();
    jobs.reload();
    migration.reload();
  };
  if (error) return <ErrorMessage error={error} retry={refresh} />;
  return (
    <div className="library">
      <header className="page-head">
        <div>
          <h1>Library</h1>
          <p className="soft">
            {stats ? `${sentence(stats.engine.replaceAll("-", " "))}, lookalike ${stats.version}` : "\u00a0"}
          </p>
        </div>
      </header>
      <Figures stats={stats} />
      {/* Shown all at once, so that the layout does not shift. */}
      <div className="library-columns" hidden={!stats}>
        <div className="stack">
          {stats?.write && <AddImages done={changed} />}
          {stats?.write && stats.roots && <IngestForm started={jobs.reload} />}
          <section className="panel">
            <header className="panel-head">
              <h2>Jobs</h2>
              {stats?.write && <OptimizeButton started={jobs.reload} />}
            </header>
            {jobs.error && <ErrorMessage error={jobs.error} retry={jobs.reload} />}
            {jobs.data?.jobs.length === 0 && <p className="soft">No jobs yet.</p>}
            <ul className="jobs">
              {jobs.data?.jobs.map((job) => (
                <JobRow key={job.job} job={job} write={stats?.write ?? false} ended={changed} />
              ))}
            </ul>
          </section>
        </div>
        <div className="stack">
          {migration.data && (
            <MigrationPanel
              migration={migration.data}
              jobs={open}
              write={stats?.write ?? false}
              changed={changed}
            />
          )}
          {stats && <Models stats={stats} migration={migration.data} />}
          {stats && <Fields stats={stats} />}
        </div>
      </div>
    </div>
  );
}

function Figures({ stats }: { stats: Stats | undefined }) {
  const figures: [string, string, string][] = stats
    ? [
        ["Images", number(stats.images), stats.building ? "building the search graph" : "all searchable"],
        ["On disk", stats.bytes_on_disk == null ? "\u2013" : bytes(stats.bytes_on_disk),
          stats.bytes_on_disk == null ? "not told by the server" : "without thumbnails"],
        ["Thumbnails", bytes(stats.thumbnails), "disk cache"],
        ["Memory", bytes(stats.memory), "all processes"],
      ]
    : ["Images", "On disk", "Thumbnails", "Memory"].map((name) => [name, "\u2007", "\u00a0"]);
  return (
    <dl className="figures">
      {figures.map(([name, figure, note]) => (
        <div key={name} className="panel">
          <dt>{name}</dt>
          <dd>
            <b>{figure}</b>
            <span className="soft">{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** What a vector is for. During a migration, one of its two models serves no aspect. */
function purpose(vector: Stats["vectors"][string], migration: Migration | null | undefined): string {
  if (vector.aspect) return aspect(vector.aspect);
  if (vector.model === migration?.new) return `${aspect(migration.aspect)}, next`;
  if (vector.model === migration?.old) return `${aspect(migration.aspect)}, before`;
  return "Duplicates";
}

function Models({ stats, migration }: { stats: Stats; migration: Migration | null | undefined }) {
  return (
    <section className="panel">
      <h2>Models</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Aspect</th>
            <th scope="col">Model</th>
            <th scope="col" className="right">
              Dimensions
            </th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(stats.vectors).map(([name, vector]) => (
            <tr key={name}>
              <td>{purpose(vector, migration)}</td>
              <td className="break">{vector.model}</td>
              <td className="right">{number(vector.size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="soft">
        {stats.supports_text ? "Text search is available." : "Text search needs an index created with --model clip."}
      </p>
    </section>
  );
}

function Fields({ stats }: { stats: Stats }) {
  const fields = Object.entries(stats.fields);
  return (
    <section className="panel">
      <h2>Fields</h2>
      {fields.length ? (
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Type</th>
              <th scope="col" className="right">
                Values
              </th>
            </tr>
          </thead>
          <tbody>
            {fields.map(([name, { type, values }]) => (
              <tr key={name}>
                <td className="break">{name}</td>
                <td>{type}</td>
                <td className="right">{values === null ? "range" : number(values)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p className="soft">No fields. Index with --metadata to filter by your own.</p>
      )}
    </section>
  );
}

/** Files per request. A larger batch would only make the progress bar coarser. */
const BATCH = 4;

interface AddState {
  done: number;
  total: number;
  added: number;
  known: number;
  rejects: Reject[];
  notes: FileNote[];
  error: ApiError | null;
}

function AddImages({ done }: { done: () => void }) {
  const [state, setState] = useState<AddState | null>(null);
  const busy = state !== null && state.done < state.total && !state.error;
  const send = async (files: File[]) => {
    if (busy) return;
    let next: AddState = { done: 0, total: files.length, added: 0, known: 0, rejects: [], notes: [], error: null };
    setState(next);
    for (let first = 0; first < files.length; first += BATCH) {
      const batch = files.slice(first, first + BATCH);
      try {
        const report = await addImages(batch);
        next = {
          ...next,
          done: next.done + batch.length,
          added: next.added + report.added,
          known: next.known + report.updated + report.unchanged + report.moved,
          rejects: [...next.rejects, ...report.rejects],
          notes: [...next.notes, ...report.notes],
        };
      } catch (error) {
        const failure = ApiError.from(error);
        const single = batch.length === 1 ? batch[0] : undefined;
        // If every file of a request is rejected, the answer is an error. For one file that is its reject.
        if (single && failure.status >= 413 && failure.status <= 422) {
          const reject = { uri: single.name, reason: failure.error, detail: failure.message };
          next = { ...next, done: next.done + 1, rejects: [...next.rejects, reject] };
        } else next = { ...next, error: failure };
      }
      setState(next);
      if (next.error) break;
    }
    done();
  };
  const over = useFileDrop((files) => void send(files));
  return (
    <section className="panel add" data-over={over} aria-label="Add images">
      <div className="add-zone">
        <FileButton className="button primary" label="Add images" choose={(files) => void send(files)} />
        <p className="soft">or drop them anywhere on this page. They are searchable immediately.</p>
      </div>
      {state && (
        <div className="add-state" role="status">
          {busy && <Progress done={state.done} total={state.total} label="Upload progress" />}
          <p>
            {busy ? `${state.done} of ${state.total} sent` : `${plural(state.added, "image")} added`}
            {state.known > 0 && `, ${number(state.known)} already indexed`}
            {state.rejects.length > 0 && `, ${number(state.rejects.length)} rejected`}
          </p>
          {state.error && <p className="bad">{state.error.message}</p>}
          <Files kind="reject" files={state.rejects} />
          <Files kind="note" files={state.notes} />
        </div>
      )}
    </section>
  );
}

/** Files with the reasons why they were rejected, or what is wrong with them although they were used. */
function Files({ kind, files }: { kind: "reject" | "note"; files: (FileNote & { reason?: string })[] }) {
  if (!files.length) return null;
  return (
    <details className={`files ${kind}s`} open={files.length <= 5}>
      <summary>{plural(files.length, kind)}</summary>
      <ul>
        {files.map(({ uri, reason, detail }, i) => (
          <li key={`${i} ${uri}`}>
            <b title={uri}>{fileName(uri)}</b> {reason && <code>{reason}</code>}
            <p className="soft">{detail}</p>
          </li>
        ))}
      </ul>
    </details>
  );
}

type IngestRequest = Extract<Body<"/v1/jobs", "post">, { kind: "ingest" }>;
type Copies = NonNullable<IngestRequest["copies"]>;

const COPIES: Record<Copies, string> = { keep: "Keep", skip: "Skip", link: "Link" };

function IngestForm({ started }: { started: () => void }) {
  const [path, setPath] = useState("");
  const [metadata, setMetadata] = useState("");
  const [prune, setPrune] = useState(false);
  const [copies, setCopies] = useState<Copies>("keep");
  const [error, setError] = useState("");
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const json = { kind: "ingest" as const, path, prune, copies, ...(metadata.trim() ? { metadata } : {}) };
    call("post", "/v1/jobs", { json }).then(
      () => {
        setError("");
        started();
      },
      (error: unknown) => setError(ApiError.from(error).message),
    );
  };
  return (
    <form className="panel ingest" onSubmit={send}>
      <h2>Index a folder on the server</h2>
      <label>
        <span>Folder</span>
        <input required value={path} spellCheck={false} onChange={(event) => setPath(event.target.value)} />
      </label>
      <label>
        <span>Metadata file (optional)</span>
        <input
          value={metadata}
          spellCheck={false}
          placeholder="catalog.csv, .jsonl or .parquet"
          onChange={(event) => setMetadata(event.target.value)}
        />
      </label>
      <fieldset className="chips">
        <legend>Copies of indexed images</legend>
        {(Object.entries(COPIES) as [Copies, string][]).map(([name, label]) => (
          <Chip key={name} on={copies === name} onClick={() => setCopies(name)}>
            {label}
          </Chip>
        ))}
      </fieldset>
      <label className="check">
        <input type="checkbox" checked={prune} onChange={(event) => setPrune(event.target.checked)} />
        <span>Remove images that are no longer in the folder</span>
      </label>
      {error && (
        <p className="bad" role="alert">
          {error}
        </p>
      )}
      <button type="submit" className="button">
        Start
      </button>
    </form>
  );
}

function OptimizeButton({ started }: { started: () => void }) {
  const { notify } = useCommon();
  const start = () => {
    call("post", "/v1/jobs", { json: { kind: "optimize" } }).then(started, (error: unknown) =>
      notify(ApiError.from(error).message),
    );
  };
  return (
    <button type="button" className="button small" onClick={start}>
      Build search graph
    </button>
  );
}

const KINDS: Record<Job["kind"], string> = {
  ingest: "Index a folder",
  watch: "Watch folders",
  duplicates: "Find duplicates",
  migrate: "Describe by a new model",
  "finish-migration": "Remove the old model",
  "cancel-migration": "Remove the new model",
  optimize: "Build search graph",
};

const CANCELABLE: Job["kind"][] = ["ingest", "watch", "duplicates", "migrate"];

/** Counts of a report that are shown where they are not zero. */
const REPORTED = ["moved", "removed", "skipped", "rejected"] as const;

function JobRow({ job: listed, write, ended }: { job: Job; write: boolean; ended: () => void }) {
  const job = useJob(listed, ended) ?? listed;
  const { notify } = useCommon();
  const open = !isFinal(job);
  const cancel = () => {
    call("delete", "/v1/jobs/one", { query: { job: job.job } }).catch((error: unknown) =>
      notify(ApiError.from(error).message),
    );
  };
  const report = job.report && "added" in job.report ? job.report : null;
  const migrated = job.kind === "migrate" ? (job.report as MigrationReport | null) : null;
  const { path, paths, model } = job.request;
  const subject = [path, paths, model].flat().filter((part) => typeof part === "string");
  return (
    <li className="job" data-state={job.state}>
      <div className="job-head">
        <b>{KINDS[job.kind]}</b>
        {subject.length > 0 && <span className="soft break">{subject.join(", ")}</span>}
        <span className="spacer" />
        <span className="state">
          {job.state === "done" && <Icon name="check" />}
          {sentence(job.state)}
        </span>
        {open && write && CANCELABLE.includes(job.kind) && (
          <IconButton icon="close" label={`Cancel: ${KINDS[job.kind]}`} onClick={cancel} />
        )}
      </div>
      {open && (
        <div className="job-progress" role="status">
          <Progress done={job.done} total={job.total} label={KINDS[job.kind]} />
          <span className="soft">
            {job.stage} {job.total ? `${number(job.done)} of ${number(job.total)}` : ""}
          </span>
        </div>
      )}
      {job.problem && <p className="bad">{job.problem.detail}</p>}
      {report && (
        <p className="soft">
          {number(report.added)} added, {number(report.updated)} updated, {number(report.unchanged)} unchanged
          {REPORTED.map((name) => report[name] > 0 && `, ${number(report[name])} ${name}`)}
        </p>
      )}
      {report && report.cleared > 0 && (
        <p className="soft">{plural(report.cleared, "value")} cleared, as the metadata no longer has them</p>
      )}
      {report && report.outdated > 0 && (
        <p className="bad">
          {plural(report.outdated, "value")} could not be read, and the index keeps older ones
        </p>
      )}
      {report?.prune_refused && <p className="bad">{report.prune_refused}</p>}
      {migrated && (
        <p className="soft">
          {plural(migrated.filled, "image")} described
          {migrated.missed > 0 && `, ${number(migrated.missed)} could not be`}
        </p>
      )}
      {!open && <p className="soft">{ago(job.finished_at ?? job.created_at)}</p>}
      {report && <Files kind="reject" files={report.rejects} />}
      {report && <Files kind="note" files={report.notes} />}
      {migrated && <Files kind="note" files={migrated.problems.map(({ id, detail }) => ({ uri: id, detail }))} />}
    </li>
  );
}

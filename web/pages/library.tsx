/** The library: what the index holds, what it takes, what goes on in it, and adding to it. */

import { type SubmitEvent, useState } from "react";
import { Chip, IconButton, Progress, Trouble } from "@/components/Bits";
import { Icon } from "@/components/Icon";
import { Chooser } from "@/components/QueryBar";
import { addImages, ask, at, isFinal, type Job, Problem, type Reject, type Stats } from "@/lib/api";
import { forgetCounts } from "@/lib/counts";
import { useAsked, useCommon, useJob } from "@/lib/hooks";
import { useArrivals } from "@/lib/pictures";
import { forgetResults } from "@/lib/results";
import { ago, aspect, bytes, number, plural, sentence, tail } from "@/lib/words";

export default function LibraryPage() {
  const { stats, problem, refresh } = useCommon();
  const jobs = useAsked<{ jobs: Job[] }>("/v1/jobs");
  const changed = () => {
    forgetResults();
    forgetCounts();
    refresh();
    jobs.again();
  };
  if (problem) return <Trouble problem={problem} again={refresh} />;
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
      {/* All at once: what came later would move the rest. */}
      <div className="library-columns" hidden={!stats}>
        <div className="stack">
          {stats?.write && <AddImages done={changed} />}
          {stats?.write && stats.roots && <IngestForm started={jobs.again} />}
          <section className="panel">
            <header className="panel-head">
              <h2>Jobs</h2>
              {stats?.write && <OptimizeButton started={jobs.again} />}
            </header>
            {jobs.problem && <Trouble problem={jobs.problem} again={jobs.again} />}
            {jobs.data?.jobs.length === 0 && <p className="soft">Nothing has run yet.</p>}
            <ul className="jobs">
              {jobs.data?.jobs.map((job) => (
                <JobRow key={job.job} job={job} write={stats?.write ?? false} ended={changed} />
              ))}
            </ul>
          </section>
        </div>
        <div className="stack">
          {stats && <Models stats={stats} />}
          {stats && <Fields stats={stats} />}
        </div>
      </div>
    </div>
  );
}

function Figures({ stats }: { stats: Stats | undefined }) {
  const told: [string, string, string][] = stats
    ? [
        ["Images", number(stats.images), stats.building ? "the search graph is being built" : "all can be searched"],
        ["On disk", bytes(stats.bytes_on_disk), "the index itself"],
        ["Thumbnails", bytes(stats.thumbnails), "kept beside it"],
        ["Memory", bytes(stats.memory), "all processes"],
      ]
    : ["Images", "On disk", "Thumbnails", "Memory"].map((name) => [name, "\u2007", "\u00a0"]);
  return (
    <dl className="figures">
      {told.map(([name, figure, note]) => (
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

function Models({ stats }: { stats: Stats }) {
  return (
    <section className="panel">
      <h2>Models</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Counts as</th>
            <th scope="col">Model</th>
            <th scope="col" className="right">
              Dimensions
            </th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(stats.vectors).map(([name, { size, model, aspect: of }]) => (
            <tr key={name}>
              <td>{of ? aspect(of) : "Copies"}</td>
              <td className="break">{model}</td>
              <td className="right">{number(size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="soft">
        {stats.text ? "Images can be searched by words." : "This model knows no words: an index made with --model clip does."}
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
        <p className="soft">None: index with --metadata to filter by your own.</p>
      )}
    </section>
  );
}

/** Files a request; more of them would only make the progress coarser. */
const TOGETHER = 4;

interface Adding {
  done: number;
  total: number;
  added: number;
  known: number;
  rejects: Reject[];
  problem: Problem | null;
}

function AddImages({ done }: { done: () => void }) {
  const [state, setState] = useState<Adding | null>(null);
  const busy = state !== null && state.done < state.total && !state.problem;
  const send = async (files: File[]) => {
    if (busy) return;
    let now: Adding = { done: 0, total: files.length, added: 0, known: 0, rejects: [], problem: null };
    setState(now);
    for (let first = 0; first < files.length; first += TOGETHER) {
      const some = files.slice(first, first + TOGETHER);
      try {
        const report = await addImages(some);
        now = {
          ...now,
          done: now.done + some.length,
          added: now.added + report.added,
          known: now.known + report.updated + report.unchanged,
          rejects: [...now.rejects, ...report.rejects],
        };
      } catch (error) {
        const problem = Problem.of(error);
        const alone = some.length === 1 ? some[0] : undefined;
        // All files of a request were rejected: then the answer is a problem, and is one of them.
        now = alone && problem.status >= 413 && problem.status <= 422
          ? { ...now, done: now.done + 1, rejects: [...now.rejects, { uri: alone.name, reason: problem.error, detail: problem.message }] }
          : { ...now, problem };
      }
      setState(now);
      if (now.problem) break;
    }
    done();
  };
  const over = useArrivals((files) => void send(files));
  return (
    <section className="panel add" data-over={over} aria-label="Add images">
      <div className="add-zone">
        <Chooser className="button primary" label="Add images" choose={(files) => void send(files)} />
        <p className="soft">or drop them anywhere on this page. They can be searched at once.</p>
      </div>
      {state && (
        <div className="add-state" role="status">
          {busy && <Progress done={state.done} total={state.total} label="Progress of adding images" />}
          <p>
            {busy ? `${state.done} of ${state.total} sent` : `${plural(state.added, "image")} added`}
            {state.known > 0 && `, ${number(state.known)} known already`}
            {state.rejects.length > 0 && `, ${number(state.rejects.length)} rejected`}
          </p>
          {state.problem && <p className="bad">{state.problem.message}</p>}
          <Rejects rejects={state.rejects} />
        </div>
      )}
    </section>
  );
}

function Rejects({ rejects }: { rejects: Reject[] }) {
  if (!rejects.length) return null;
  return (
    <details className="rejects" open={rejects.length <= 5}>
      <summary>{plural(rejects.length, "reject")}</summary>
      <ul>
        {rejects.map(({ uri, reason, detail }, i) => (
          <li key={`${i} ${uri}`}>
            <b title={uri}>{tail(uri)}</b> <code>{reason}</code>
            <p className="soft">{detail}</p>
          </li>
        ))}
      </ul>
    </details>
  );
}

const COPIES: Record<string, string> = { keep: "Keep", skip: "Leave out", link: "Link" };

function IngestForm({ started }: { started: () => void }) {
  const [path, setPath] = useState("");
  const [metadata, setMetadata] = useState("");
  const [prune, setPrune] = useState(false);
  const [copies, setCopies] = useState("keep");
  const [problem, setProblem] = useState("");
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const json = { kind: "ingest", path, prune, copies, ...(metadata.trim() ? { metadata } : {}) };
    ask<Job>("/v1/jobs", { json }).then(
      () => {
        setProblem("");
        started();
      },
      (error: unknown) => setProblem(Problem.of(error).message),
    );
  };
  return (
    <form className="panel ingest" onSubmit={send}>
      <h2>Index a folder of the server</h2>
      <label>
        <span>Folder</span>
        <input required value={path} spellCheck={false} onChange={(event) => setPath(event.target.value)} />
      </label>
      <label>
        <span>Metadata, if there is any</span>
        <input
          value={metadata}
          spellCheck={false}
          placeholder="catalog.csv, .jsonl or .parquet"
          onChange={(event) => setMetadata(event.target.value)}
        />
      </label>
      <fieldset className="chips">
        <legend>Copies of what is there</legend>
        {Object.entries(COPIES).map(([name, label]) => (
          <Chip key={name} on={copies === name} onClick={() => setCopies(name)}>
            {label}
          </Chip>
        ))}
      </fieldset>
      <label className="check">
        <input type="checkbox" checked={prune} onChange={(event) => setPrune(event.target.checked)} />
        <span>Remove from the index what the folder no longer holds</span>
      </label>
      {problem && (
        <p className="bad" role="alert">
          {problem}
        </p>
      )}
      <button type="submit" className="button">
        Start
      </button>
    </form>
  );
}

function OptimizeButton({ started }: { started: () => void }) {
  const { say } = useCommon();
  const start = () => {
    ask<Job>("/v1/jobs", { json: { kind: "optimize" } }).then(started, (error: unknown) =>
      say(Problem.of(error).message),
    );
  };
  return (
    <button type="button" className="button small" onClick={start}>
      Build the search graph
    </button>
  );
}

const KINDS: Record<Job["kind"], string> = {
  ingest: "Index a folder",
  duplicates: "Look for duplicates",
  optimize: "Build the search graph",
};

function JobRow({ job: given, write, ended }: { job: Job; write: boolean; ended: () => void }) {
  const job = useJob(given, ended) ?? given;
  const { say } = useCommon();
  const open = !isFinal(job);
  const cancel = () => {
    ask(at("/v1/jobs/one", { job: job.job }), { method: "DELETE" }).catch((error: unknown) =>
      say(Problem.of(error).message),
    );
  };
  const { report } = job;
  const path = typeof job.request.path === "string" ? job.request.path : "";
  return (
    <li className="job" data-state={job.state}>
      <div className="job-head">
        <b>{KINDS[job.kind]}</b>
        {path && <span className="soft break">{path}</span>}
        <span className="spring" />
        <span className="state">
          {job.state === "done" && <Icon name="check" />}
          {sentence(job.state)}
        </span>
        {open && write && job.kind !== "optimize" && (
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
      {report && job.kind === "ingest" && (
        <p className="soft">
          {number(report.added)} added, {number(report.updated)} updated, {number(report.unchanged)} unchanged
          {report.rejected > 0 && `, ${number(report.rejected)} rejected`}
        </p>
      )}
      {!open && <p className="soft">{ago(job.finished_at ?? job.created_at)}</p>}
      {report && job.kind === "ingest" && <Rejects rejects={report.rejects} />}
    </li>
  );
}

/** Search: by images, text and colors. Without a query, a listing of all images. */

import Head from "next/head";
import { useCallback, useMemo, useState } from "react";
import { ErrorMessage, Modal, Notice } from "@/components/Controls";
import { Details } from "@/components/Details";
import { ExamplesBar } from "@/components/Examples";
import { Filters } from "@/components/Filters";
import { type Actions, Grid } from "@/components/Grid";
import { Icon } from "@/components/Icon";
import { Options } from "@/components/Options";
import { QueryBar } from "@/components/QueryBar";
import { Weights } from "@/components/Weights";
import type { SearchAnswer, Stats } from "@/lib/api";
import { parseColor } from "@/lib/colors";
import { number, plural, sentence } from "@/lib/format";
import { type Update, useCommon, useMedia, useSearch } from "@/lib/hooks";
import { type List, useResults } from "@/lib/results";
import { canExclude, EMPTY, imageCount, isQuery, isRefined, NEAR_IDENTICAL, parseSort, requestOf, type Search } from "@/lib/state";
import { MAX_IMAGES, useFileDrop, useUploads } from "@/lib/uploads";

const NARROW = "(max-width: 899px)";

/** Clears the query of a search, but keeps its filters, weights and options. */
const NO_QUERY: Partial<Search> = {
  uploads: [], ids: [], text: "", negative_text: "", colors: [], crop: "", likes: [], dislikes: [],
  strategy: "", shown: "",
}; // prettier-ignore

/** The default weights of an image query, shown until the first answer. */
const DEFAULT_WEIGHTS = { semantic: 1 };

type Examples = Pick<Search, "likes" | "dislikes">;

export default function SearchPage() {
  const { stats, error, refresh } = useCommon();
  const { search, ready, update } = useSearch();
  const [adding, setAdding] = useState(false);
  const [panel, setPanel] = useState(false);
  /** The details were opened from this page, so that Back closes them. */
  const [opened, setOpened] = useState(false);
  const [history, setHistory] = useState<Examples[]>([]);
  const narrow = useMedia(NARROW);
  const request = useMemo(
    () => (stats && ready ? requestOf({ ...search, shown: "" }, stats) : null),
    [stats, ready, search],
  );
  const results = useResults(request);
  const { list } = results;

  const uploads = useUploads((tokens) => {
    if (adding) update({ uploads: [...new Set([...search.uploads, ...tokens])].slice(-MAX_IMAGES) });
    else update({ ...NO_QUERY, text: search.text, negative_text: search.negative_text, colors: search.colors, uploads: tokens });
  });
  const send = (files: File[], add: boolean) => {
    setAdding(add);
    void uploads.send(files.slice(0, MAX_IMAGES));
    window.scrollTo({ top: 0 });
  };
  const over = useFileDrop((files) => send(files, false));

  const { likes, dislikes, shown } = search;
  const toggleExample = useCallback(
    (id: string, to: "likes" | "dislikes") => {
      const from = to === "likes" ? "dislikes" : "likes";
      const now = { likes, dislikes };
      setHistory((past) => [...past, now]);
      const on = now[to].includes(id);
      update({
        [to]: on ? now[to].filter((other) => other !== id) : [...now[to], id],
        [from]: now[from].filter((other) => other !== id),
      });
    },
    [likes, dislikes, update],
  );
  const actions = useMemo<Actions>(
    () => ({
      open: (id) => {
        setOpened(true);
        update({ shown: id }, "details");
      },
      similar: (id) => {
        update({ ...NO_QUERY, ids: [id] });
        window.scrollTo({ top: 0 });
      },
      like: (id) => toggleExample(id, "likes"),
      dislike: (id) => toggleExample(id, "dislikes"),
    }),
    [update, toggleExample],
  );
  const undo = () => {
    const previous = history.at(-1);
    setHistory(history.slice(0, -1));
    if (previous) update(previous);
    else if (dislikes.length) update({ dislikes: dislikes.slice(0, -1) });
    else update({ likes: likes.slice(0, -1) });
  };
  const active = [search.where, search.sort, search.collapse, search.relevant, search.diversity].filter(Boolean).length;
  return (
    <div className="search" data-ready={ready && (stats ?? error) != null}>
      <Head>
        <title>{`${isQuery(search) ? heading(search) : "Search"} · lookalike`}</title>
      </Head>
      <div className="search-head">
        <h1>Find images that look alike</h1>
        <QueryBar search={search} update={update} supportsText={stats?.supports_text} waiting={uploads.waiting} send={send} />
        {uploads.error && <Notice error={uploads.error} dismiss={uploads.dismiss} />}
      </div>
      <div className="search-body">
        {!narrow && (
          <aside className="side" aria-label="Weights, options and filters">
            {stats ? <Side {...{ search, update, stats, list }} /> : <div className="filters-waiting" />}
          </aside>
        )}
        <section className="results" aria-label="Results">
          <header className="results-head">
            <h2 title={isQuery(search) ? heading(search) : undefined}>{isQuery(search) ? heading(search) : search.where ? "Results" : "All images"}</h2>
            <p className="soft" aria-live="polite">
              {!error && !list.error && <Summary list={list} sort={search.sort} />}
            </p>
            <span className="spacer" />
            {isQuery(search) && (
              <button type="button" className="button small new-search" onClick={() => update({ ...EMPTY, where: search.where })}>
                New search
              </button>
            )}
            <button type="button" className="button small side-button" onClick={() => setPanel(true)}>
              <Icon name="filter" />
              Filters{active ? ` · ${active}` : ""}
            </button>
          </header>
          {error ? (
            <ErrorMessage error={error} retry={refresh} />
          ) : list.error && !list.ready ? (
            <ErrorMessage error={list.error} retry={list.error.uploadExpired ? undefined : results.more}>
              {list.error.uploadExpired && <p>The query image has expired. Drop it here again.</p>}
            </ErrorMessage>
          ) : list.ready && !list.items.length ? (
            <Empty search={search} update={update} emptyIndex={stats?.images === 0} />
          ) : (
            <Grid {...{ results, likes, dislikes, actions }} />
          )}
        </section>
      </div>
      {isRefined(search) && <ExamplesBar search={search} update={update} undo={undo} />}
      {panel && narrow && stats && (
        <Modal title="Filters" onClose={() => setPanel(false)} className="sheet">
          <Side {...{ search, update, stats, list }} />
          <button type="button" className="button primary sheet-done" onClick={() => setPanel(false)}>
            {list.total === null ? "Show results" : `Show ${plural(list.total, "image")}`}
          </button>
        </Modal>
      )}
      {shown && (
        <Details
          id={shown}
          items={list.items}
          liked={likes.includes(shown)}
          disliked={dislikes.includes(shown)}
          actions={{
            ...actions,
            // Going back keeps the history free of a second entry for the same search.
            close: () => {
              if (opened) window.history.back();
              else update({ shown: "" });
              setOpened(false);
            },
            color: (hex) => update({ ...NO_QUERY, colors: [hex] }),
          }}
        />
      )}
      {over && (
        <div className="drop-anywhere" aria-hidden="true">
          <p>
            <Icon name="image" />
            Drop to search
          </p>
        </div>
      )}
    </div>
  );
}

interface SideProps {
  search: Search;
  update: Update;
  stats: Stats;
  list: List;
}

function Side({ search, update, stats, list }: SideProps) {
  return (
    <>
      <Weights search={search} update={update} stats={stats} used={list.answer?.weights ?? DEFAULT_WEIGHTS} />
      <Options search={search} update={update} stats={stats} />
      <Filters where={search.where} update={update} stats={stats} />
    </>
  );
}

/** The query as a heading. */
function heading(search: Search): string {
  const parts: string[] = [];
  const images = imageCount(search);
  if (images > 1) parts.push(`similar to ${images} images`);
  else if (images) parts.push(search.crop ? "similar to the cropped image" : "similar to the image");
  if (search.text.trim()) parts.push(`“${search.text.trim()}”`);
  if (search.colors.length) {
    parts.push(`in ${search.colors.map((text) => parseColor(text).color).join(" and ")}`);
  }
  if (search.likes.length) parts.push(plural(search.likes.length, "like"));
  if (search.dislikes.length) parts.push(plural(search.dislikes.length, "dislike"));
  if (search.negative_text.trim() && (canExclude(search) || isRefined(search))) {
    parts.push(`less like “${search.negative_text.trim()}”`);
  }
  if (search.where.trim()) parts.push("filtered");
  if (search.collapse && search.collapse !== NEAR_IDENTICAL) {
    parts.push(`one of each ${sentence(search.collapse).toLowerCase()}`);
  }
  const text = parts.join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function Summary({ list: { ready, total, answer }, sort }: { list: List; sort: string }) {
  if (!ready) return null;
  const { field, descending } = parseSort(sort);
  const order = field && `by ${sentence(field).toLowerCase()} ${descending ? "↓" : "↑"}`;
  if (total !== null) return [plural(total, "image"), order].filter(Boolean).join(" · ");
  if (!answer) return null;
  return (
    <>
      {order || "nearest first"} · {number(Math.max(1, Math.round(answer.took_ms)))} ms · <Completeness answer={answer} />
    </>
  );
}

/** Exact only if it is proved that no other image belongs among the results. */
function Completeness({ answer: { complete, explanation } }: { answer: SearchAnswer }) {
  const reason = typeof explanation.reason === "string" ? explanation.reason : undefined;
  const text = complete === null ? "approximate" : complete ? "exact" : "may miss results";
  return <span title={reason}>{text}</span>;
}

function Empty({ search, update, emptyIndex }: { search: Search; update: Update; emptyIndex: boolean }) {
  if (emptyIndex) {
    return (
      <div className="empty">
        <h3>No images yet</h3>
        <p>Add some in the Library, or run <code>lookalike index</code> with a folder.</p>
      </div>
    );
  }
  return (
    <div className="empty">
      <h3>No results</h3>
      <p>{search.where ? "No image matches the filters." : "No image is closer than chance."}</p>
      {search.where && (
        <button type="button" className="button" onClick={() => update({ where: "" })}>
          Clear the filters
        </button>
      )}
      {search.relevant && (
        <button type="button" className="button" onClick={() => update({ relevant: false })}>
          Show less relevant results
        </button>
      )}
    </div>
  );
}

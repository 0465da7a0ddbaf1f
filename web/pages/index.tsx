/** Search: by pictures, words and colors; before any of them, everything there is. */

import Head from "next/head";
import { useCallback, useMemo, useState } from "react";
import { IconButton, Modal, Trouble } from "@/components/Bits";
import { Details } from "@/components/Details";
import { Examples } from "@/components/Examples";
import { Filters } from "@/components/Filters";
import { type Actions, Grid } from "@/components/Grid";
import { Icon } from "@/components/Icon";
import { QueryBar } from "@/components/QueryBar";
import { Options, Weights } from "@/components/Weights";
import type { Stats } from "@/lib/api";
import { readColor } from "@/lib/colors";
import { type Update, useCommon, useMedia, useSearch } from "@/lib/hooks";
import { MOST, useArrivals, useUploads } from "@/lib/pictures";
import { type List, useResults } from "@/lib/results";
import { EMPTY, isQuery, isRefined, pictures, requestOf, type Search } from "@/lib/state";
import { number, plural } from "@/lib/words";

const NARROW = "(max-width: 899px)";

/** Searching by something else starts anew, under the same filters, weights and options. */
const ANEW: Partial<Search> = {
  uploads: [], ids: [], text: "", negative_text: "", colors: [], crop: "", likes: [], dislikes: [],
  strategy: "", shown: "",
}; // prettier-ignore

/** What counts of a picture when nobody says. */
const AUTO = { semantic: 1 };

type Trail = Pick<Search, "likes" | "dislikes">[];

export default function SearchPage() {
  const { stats, problem: unknown, refresh } = useCommon();
  const { search, ready, update } = useSearch();
  const [adding, setAdding] = useState(false);
  const [panel, setPanel] = useState(false);
  const [opened, setOpened] = useState(false);
  const [trail, setTrail] = useState<Trail>([]);
  const narrow = useMedia(NARROW);
  const request = useMemo(
    () => (stats && ready ? requestOf({ ...search, shown: "" }, stats) : null),
    [stats, ready, search],
  );
  const results = useResults(request);
  const { list } = results;

  const uploads = useUploads((tokens) => {
    if (adding) update({ uploads: [...new Set([...search.uploads, ...tokens])].slice(-MOST) });
    else update({ ...ANEW, text: search.text, negative_text: search.negative_text, colors: search.colors, uploads: tokens });
  });
  const send = (files: File[], toThese: boolean) => {
    setAdding(toThese);
    void uploads.send(files.slice(0, MOST));
    window.scrollTo({ top: 0 });
  };
  const over = useArrivals((files) => send(files, false));

  const { likes, dislikes, shown } = search;
  const example = useCallback(
    (id: string, to: "likes" | "dislikes") => {
      const from = to === "likes" ? "dislikes" : "likes";
      const now = { likes, dislikes };
      setTrail((before) => [...before, now]);
      const on = now[to].includes(id);
      update({
        [to]: on ? now[to].filter((one) => one !== id) : [...now[to], id],
        [from]: now[from].filter((one) => one !== id),
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
        update({ ...ANEW, ids: [id] });
        window.scrollTo({ top: 0 });
      },
      like: (id) => example(id, "likes"),
      dislike: (id) => example(id, "dislikes"),
    }),
    [update, example],
  );
  const undo = () => {
    const before = trail.at(-1);
    setTrail(trail.slice(0, -1));
    if (before) update(before);
    else if (dislikes.length) update({ dislikes: dislikes.slice(0, -1) });
    else update({ likes: likes.slice(0, -1) });
  };
  const active = [search.where, search.collapse, search.relevant, search.diversity].filter(Boolean).length;
  return (
    <div className="search" data-ready={ready && (stats ?? unknown) != null}>
      <Head>
        <title>{`${isQuery(search) ? heading(search) : "Search"} · lookalike`}</title>
      </Head>
      <div className="search-head">
        <h1>Find images that look alike</h1>
        <QueryBar search={search} update={update} words={stats?.text} waiting={uploads.waiting} send={send} />
        {uploads.problem && (
          <div className="notice" role="alert">
            {uploads.problem.message}
            <IconButton icon="close" label="Dismiss" onClick={uploads.dismiss} />
          </div>
        )}
      </div>
      <div className="search-body">
        {!narrow && (
          <aside className="side" aria-label="Weights, options and filters">
            {stats ? <Side {...{ search, update, stats, list }} /> : <div className="filters-waiting" />}
          </aside>
        )}
        <section className="found" aria-label="Results">
          <header className="found-head">
            <h2>{isQuery(search) ? heading(search) : search.where ? "What passes" : "All images"}</h2>
            <p className="soft" aria-live="polite">
              {unknown || list.problem ? "" : told(list)}
            </p>
            <span className="spring" />
            {isQuery(search) && (
              <button type="button" className="button small anew" onClick={() => update({ ...EMPTY, where: search.where })}>
                Start anew
              </button>
            )}
            <button type="button" className="button small side-button" onClick={() => setPanel(true)}>
              <Icon name="filter" />
              Filters{active ? ` · ${active}` : ""}
            </button>
          </header>
          {unknown ? (
            <Trouble problem={unknown} again={refresh} />
          ) : list.problem && !list.ready ? (
            <Trouble problem={list.problem} again={list.problem.forgotten ? undefined : results.again}>
              {list.problem.forgotten && <p>The picture of this search is no longer kept: drop it here again.</p>}
            </Trouble>
          ) : list.ready && !list.items.length ? (
            <Empty search={search} update={update} none={stats?.images === 0} />
          ) : (
            <Grid {...{ results, likes, dislikes, actions }} />
          )}
        </section>
      </div>
      {isRefined(search) && <Examples search={search} update={update} undo={undo} />}
      {panel && narrow && stats && (
        <Modal title="Filters" onClose={() => setPanel(false)} className="sheet">
          <Side {...{ search, update, stats, list }} />
          <button type="button" className="button primary sheet-done" onClick={() => setPanel(false)}>
            {list.total === null ? "Show the results" : `Show ${plural(list.total, "image")}`}
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
            // Back, where this page opened them: so Back does not open them again.
            close: () => {
              if (opened) window.history.back();
              else update({ shown: "" });
              setOpened(false);
            },
            color: (hex) => update({ ...ANEW, colors: [hex] }),
          }}
        />
      )}
      {over && (
        <div className="drop-anywhere" aria-hidden="true">
          <p>
            <Icon name="picture" />
            Drop it to search by it
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
      <Weights search={search} update={update} stats={stats} used={list.answer?.weights ?? AUTO} />
      <Options search={search} update={update} />
      <Filters where={search.where} update={update} stats={stats} />
    </>
  );
}

/** What is asked for, in words. */
function heading(search: Search): string {
  const parts: string[] = [];
  const shown = pictures(search);
  if (shown) parts.push(shown === 1 ? (search.crop ? "like a part of the picture" : "like the picture") : `like ${shown} pictures`);
  if (search.text.trim()) parts.push(`“${search.text.trim()}”`);
  if (search.colors.length) parts.push(`in ${search.colors.map((one) => readColor(one).color).join(" and ")}`);
  if (isRefined(search)) parts.push("refined");
  const text = parts.join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function told({ ready, total, answer }: List): string {
  if (!ready) return "";
  if (total !== null) return plural(total, "image");
  if (!answer) return "";
  const proved = answer.complete ? "" : " · a better one may have been missed";
  return `nearest first · ${number(Math.max(1, Math.round(answer.took_ms)))} ms${proved}`;
}

function Empty({ search, update, none }: { search: Search; update: Update; none: boolean }) {
  if (none) {
    return (
      <div className="empty">
        <h3>There are no images yet</h3>
        <p>Add some under Library, or run <code>lookalike index</code> with a folder.</p>
      </div>
    );
  }
  return (
    <div className="empty">
      <h3>No image passes</h3>
      <p>
        {search.where ? "The filters leave nothing." : "Nothing is closer than chance would bring it."}
      </p>
      {search.where && (
        <button type="button" className="button" onClick={() => update({ where: "" })}>
          Clear the filters
        </button>
      )}
      {search.relevant && (
        <button type="button" className="button" onClick={() => update({ relevant: false })}>
          Show what is less close too
        </button>
      )}
    </div>
  );
}

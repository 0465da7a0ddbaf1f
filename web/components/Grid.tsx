/** Results as a grid that loads more while scrolling. */

import { memo, useEffect, useRef, useState } from "react";
import { ErrorMessage, IconButton } from "@/components/Controls";
import { Icon } from "@/components/Icon";
import { thumbnail } from "@/lib/api";
import { aspect, caption, details, number, percent, plural } from "@/lib/format";
import type { Item, Results } from "@/lib/results";

export interface Actions {
  open: (id: string) => void;
  similar: (id: string) => void;
  like: (id: string) => void;
  dislike: (id: string) => void;
}

interface Props {
  results: Results;
  likes: string[];
  dislikes: string[];
  actions: Actions;
}

export function Grid({ results: { list, stale, more }, likes, dislikes, actions }: Props) {
  const end = useRef<HTMLDivElement>(null);
  const waiting = !list.ready;
  const { error, ended } = list;
  const count = list.items.length;
  useEffect(() => {
    const mark = end.current;
    if (!mark || ended || error) return;
    // Starts loading 600 pixels before the end is visible.
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) more();
      },
      { rootMargin: "600px" },
    );
    observer.observe(mark);
    return () => observer.disconnect();
  }, [more, ended, error, count]);
  return (
    <>
      <ul className="grid" aria-busy={waiting || stale} data-stale={stale}>
        {list.items.map((item) => (
          <Card
            key={item.id}
            item={item}
            liked={likes.includes(item.id)}
            disliked={dislikes.includes(item.id)}
            actions={actions}
          />
        ))}
        {waiting && Array.from({ length: 18 }, (_, i) => <Skeleton key={`waiting ${i}`} />)}
      </ul>
      {list.ready && !error && (
        // A new element after each page: one that moved would count as a layout shift.
        <div key={count} className="grid-end" ref={end}>
          {ended ? (
            count > 0 && <p className="soft">{plural(count, "image")} shown. End of results.</p>
          ) : (
            <button type="button" className="button" onClick={more}>
              Load more
            </button>
          )}
        </div>
      )}
      {list.ready && error && <ErrorMessage error={error} retry={more} />}
    </>
  );
}

function Skeleton() {
  return (
    <li className="card skeleton" aria-hidden="true">
      <div className="ground" />
      <div className="card-text">
        <b />
        <p />
      </div>
    </li>
  );
}

interface CardProps {
  item: Item;
  liked: boolean;
  disliked: boolean;
  actions: Actions;
}

const Card = memo(function Card({ item, liked, disliked, actions }: CardProps) {
  const { id, payload } = item;
  const [explained, setExplained] = useState(false);
  const [missing, setMissing] = useState(false);
  const name = caption(id, payload);
  const { width, height, colors } = payload.image;
  return (
    <li className="card" data-id={id} data-open={explained}>
      <div className="ground">
        <button type="button" className="card-image" onClick={() => actions.open(id)}>
          {missing ? (
            <span className="missing">
              {name}
              <br />
              File not found
            </span>
          ) : (
            <img
              src={thumbnail(id, 256)}
              srcSet={`${thumbnail(id, 256)} 1x, ${thumbnail(id, 512)} 2x`}
              alt={`${name}: details`}
              width={width}
              height={height}
              loading="lazy"
              decoding="async"
              onError={() => setMissing(true)}
            />
          )}
        </button>
        {item.others !== undefined && item.others > 0 && (
          <span className="variants" title={`${plural(item.others, "other image")} hidden`}>
            +{number(item.others)}
          </span>
        )}
        {explained && <ScoreBreakdown item={item} />}
        <div className="card-actions" role="group" aria-label={`Actions for ${name}`}>
          <button type="button" className="similar" onClick={() => actions.similar(id)}>
            <Icon name="similar" />
            Similar
          </button>
          <IconButton icon="like" label="More like this" pressed={liked} onClick={() => actions.like(id)} />
          <IconButton
            icon="dislike"
            label="Less like this"
            pressed={disliked}
            onClick={() => actions.dislike(id)}
          />
          {item.shares && (
            <IconButton
              icon="chart"
              label="Score breakdown"
              pressed={explained}
              onClick={() => setExplained(!explained)}
            />
          )}
        </div>
      </div>
      <div className="strip" aria-hidden="true">
        {colors.map((color) => (
          <i key={color.hex} style={{ background: color.hex, flexGrow: color.share }} />
        ))}
      </div>
      <div className="card-text">
        <b title={id}>{name}</b>
        {item.score !== undefined && (
          <span className="score" title="Score; 1 is a perfect match">
            {item.score.toFixed(2)}
          </span>
        )}
        <p>{details(id, payload)}</p>
      </div>
    </li>
  );
});

/** The share of the score from each aspect, and the similarity in it. */
export function ScoreBreakdown({ item }: { item: Item }) {
  const { shares = {}, scores = {} } = item;
  return (
    <dl className="breakdown" aria-label="Score breakdown">
      {Object.entries(shares).map(([name, share]) => (
        <div key={name}>
          <dt>{aspect(name)}</dt>
          <dd className="bar">
            <i style={{ width: `${share * 100}%` }} />
          </dd>
          <dd>{percent(share)}</dd>
          <dd className="soft" title="Similarity">
            {(scores[name] ?? 0).toFixed(2)}
          </dd>
        </div>
      ))}
    </dl>
  );
}

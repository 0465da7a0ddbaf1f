/** Results as a grid that loads on as one scrolls. */

import { memo, useEffect, useRef, useState } from "react";
import { IconButton, Trouble } from "@/components/Bits";
import { Icon } from "@/components/Icon";
import { thumbnail } from "@/lib/api";
import type { Item, Results } from "@/lib/results";
import { aspect, caption, details, percent, plural } from "@/lib/words";

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
  const { problem, ended } = list;
  const count = list.items.length;
  useEffect(() => {
    const mark = end.current;
    if (!mark || ended || problem) return;
    // Early enough that the next page is there when the eye is.
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) more();
      },
      { rootMargin: "600px" },
    );
    observer.observe(mark);
    return () => observer.disconnect();
  }, [more, ended, problem, count]);
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
      {list.ready && !problem && (
        // Another element after each page: what was pushed away has not moved, but gone.
        <div key={count} className="grid-end" ref={end}>
          {ended ? (
            count > 0 && <p className="soft">{plural(count, "image")} shown, that is all.</p>
          ) : (
            <button type="button" className="button" onClick={more}>
              More
            </button>
          )}
        </div>
      )}
      {list.ready && problem && <Trouble problem={problem} again={more} />}
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
  const [why, setWhy] = useState(false);
  const [gone, setGone] = useState(false);
  const name = caption(id, payload);
  const { width, height, colors = [] } = payload.image;
  return (
    <li className="card" data-id={id} data-open={why}>
      <div className="ground">
        <button type="button" className="card-picture" onClick={() => actions.open(id)}>
          {gone ? (
            <span className="gone">
              {name}
              <br />
              The picture’s file is gone
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
              onError={() => setGone(true)}
            />
          )}
        </button>
        {item.variants && item.variants.length > 0 && (
          <span className="variants" title={`${plural(item.variants.length, "variant")} not shown`}>
            +{item.variants.length}
          </span>
        )}
        {why && <Why item={item} />}
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
            <IconButton icon="why" label="Why it was found" pressed={why} onClick={() => setWhy(!why)} />
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
          <span className="score" title="Score: 1 is the same">
            {item.score.toFixed(2)}
          </span>
        )}
        <p>{details(id, payload)}</p>
      </div>
    </li>
  );
});

/** What each aspect brought to a hit. */
export function Why({ item }: { item: Item }) {
  const { shares = {}, scores = {} } = item;
  return (
    <dl className="why" aria-label="Why it was found">
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

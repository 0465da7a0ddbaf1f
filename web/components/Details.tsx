/** Dialog with a large image and everything known about it. */

import { type KeyboardEvent, useState } from "react";
import { ErrorMessage, IconButton, Modal } from "@/components/Controls";
import { type Actions, ScoreBreakdown } from "@/components/Grid";
import { Icon } from "@/components/Icon";
import { file, thumbnail } from "@/lib/api";
import { bytes, caption, fields, moment, percent, sentence, valueText } from "@/lib/format";
import { useAnswer } from "@/lib/hooks";
import type { Item } from "@/lib/results";

interface Props {
  id: string;
  /** The results, for stepping to the previous and the next one. */
  items: Item[];
  liked: boolean;
  disliked: boolean;
  actions: Actions & { color: (hex: string) => void; close: () => void };
}

export function Details({ id, items, liked, disliked, actions }: Props) {
  const position = items.findIndex((item) => item.id === id);
  const listed = items[position];
  // A shared address may name an image that is not among the results.
  const answer = useAnswer("/v1/image", listed ? null : { id });
  const item: Item | undefined = listed ?? (answer.data?.id === id ? answer.data : undefined);
  const [previous, next] = position < 0 ? [] : [items[position - 1], items[position + 1]];
  const press = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLInputElement) return;
    const target = event.key === "ArrowLeft" ? previous : event.key === "ArrowRight" ? next : undefined;
    if (target) actions.open(target.id);
  };
  return (
    <Modal title={item ? caption(id, item.payload) : "Details"} onClose={actions.close} className="details">
      {item ? (
        <div className="details-body" onKeyDown={press}>
          <FullImage key={id} item={item} />
          <div className="details-side">
            <div className="details-actions">
              <button type="button" className="button primary" onClick={() => actions.similar(id)}>
                <Icon name="similar" />
                Find similar
              </button>
              <button type="button" className="button" aria-pressed={liked} onClick={() => actions.like(id)}>
                <Icon name="like" />
                Like
              </button>
              <button
                type="button"
                className="button"
                aria-pressed={disliked}
                onClick={() => actions.dislike(id)}
              >
                <Icon name="dislike" />
                Dislike
              </button>
              <a className="button" href={file(id)} target="_blank" rel="noreferrer">
                <Icon name="open" />
                Open
              </a>
            </div>
            {item.shares && (
              <section>
                <h3>Score breakdown</h3>
                <ScoreBreakdown item={item} />
              </section>
            )}
            <Properties item={item} searchColor={actions.color} />
          </div>
          <nav className="details-steps" aria-label="Results">
            <IconButton
              icon="left"
              label="Previous"
              disabled={!previous}
              onClick={() => previous && actions.open(previous.id)}
            />
            <IconButton icon="right" label="Next" disabled={!next} onClick={() => next && actions.open(next.id)} />
          </nav>
        </div>
      ) : answer.error ? (
        <ErrorMessage error={answer.error} />
      ) : (
        <div className="details-body waiting" aria-busy="true" />
      )}
    </Modal>
  );
}

/** The thumbnail at first, the full image once it has loaded. */
function FullImage({ item }: { item: Item }) {
  const [loaded, setLoaded] = useState(false);
  const { width, height } = item.payload.image;
  const name = caption(item.id, item.payload);
  return (
    <div className="full-image ground">
      <img src={loaded ? file(item.id) : thumbnail(item.id)} alt={name} width={width} height={height} />
      {!loaded && <img className="preload" src={file(item.id)} alt="" onLoad={() => setLoaded(true)} />}
    </div>
  );
}

function Properties({ item, searchColor }: { item: Item; searchColor: (hex: string) => void }) {
  const { image } = item.payload;
  const rows: [string, string][] = [
    ...fields(item.payload).map(([name, value]): [string, string] => [sentence(name), valueText(value)]),
    ["Size", `${image.width} × ${image.height}, ${bytes(image.bytes)}, ${image.format}`],
    ...(image.taken_at ? [["Taken", moment(image.taken_at)] as [string, string]] : []),
    ["Indexed", moment(image.indexed_at)],
    ["ID", item.id],
    ["Path", image.uri],
  ];
  return (
    <>
      {image.colors.length > 0 && (
        <section>
          <h3>Colors</h3>
          <ul className="image-colors">
            {image.colors.map(({ hex, name, share }) => (
              <li key={hex}>
                <button
                  type="button"
                  className="chip color-chip"
                  title={`Search for ${hex}`}
                  onClick={() => searchColor(hex)}
                >
                  <i className="dot" style={{ background: hex }} />
                  {name} <span className="soft">{percent(share)}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h3>Properties</h3>
        <dl className="properties">
          {rows.map(([name, text]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      </section>
    </>
  );
}

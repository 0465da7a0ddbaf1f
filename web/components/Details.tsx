/** Everything known of one image, with its picture large. */

import { type KeyboardEvent, useState } from "react";
import { Modal, Trouble } from "@/components/Bits";
import { type Actions, Why } from "@/components/Grid";
import { Icon } from "@/components/Icon";
import { at, file, type Picture, thumbnail } from "@/lib/api";
import { useAsked } from "@/lib/hooks";
import type { Item } from "@/lib/results";
import { bytes, caption, day, fields, percent, sentence, value } from "@/lib/words";

interface Props {
  id: string;
  /** The results it stands among, to go on to the next. */
  items: Item[];
  liked: boolean;
  disliked: boolean;
  actions: Actions & { color: (hex: string) => void; close: () => void };
}

export function Details({ id, items, liked, disliked, actions }: Props) {
  const place = items.findIndex((item) => item.id === id);
  const known = items[place];
  // A shared address may name an image that is not among the results.
  const asked = useAsked<Picture>(known ? null : at("/v1/image", { id }));
  const item: Item | undefined = known ?? (asked.data?.id === id ? asked.data : undefined);
  const [before, after] = place < 0 ? [] : [items[place - 1], items[place + 1]];
  const press = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLInputElement) return;
    const goal = event.key === "ArrowLeft" ? before : event.key === "ArrowRight" ? after : undefined;
    if (goal) actions.open(goal.id);
  };
  return (
    <Modal title={item ? caption(id, item.payload) : "Details"} onClose={actions.close} className="details">
      {item ? (
        <div className="details-body" onKeyDown={press}>
          <Large key={id} item={item} />
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
                <h3>Why it was found</h3>
                <Why item={item} />
              </section>
            )}
            <Facts item={item} color={actions.color} />
          </div>
          <nav className="details-steps" aria-label="Results">
            <button
              type="button"
              className="icon-button"
              aria-label="The one before"
              disabled={!before}
              onClick={() => before && actions.open(before.id)}
            >
              <Icon name="left" />
            </button>
            <button
              type="button"
              className="icon-button"
              aria-label="The next one"
              disabled={!after}
              onClick={() => after && actions.open(after.id)}
            >
              <Icon name="right" />
            </button>
          </nav>
        </div>
      ) : asked.problem ? (
        <Trouble problem={asked.problem} />
      ) : (
        <div className="details-body waiting" aria-busy="true" />
      )}
    </Modal>
  );
}

/** The thumbnail at once, the picture itself when it has come. */
function Large({ item }: { item: Item }) {
  const [ready, setReady] = useState(false);
  const { width, height } = item.payload.image;
  const name = caption(item.id, item.payload);
  return (
    <div className="large ground">
      <img src={ready ? file(item.id) : thumbnail(item.id)} alt={name} width={width} height={height} />
      {!ready && <img className="preload" src={file(item.id)} alt="" onLoad={() => setReady(true)} />}
    </div>
  );
}

function Facts({ item, color }: { item: Item; color: (hex: string) => void }) {
  const { image } = item.payload;
  const told: [string, string][] = [
    ...fields(item.payload).map(([name, of]): [string, string] => [sentence(name), value(of)]),
    ["Size", `${image.width} × ${image.height}, ${bytes(image.bytes)}, ${image.format}`],
    ...(image.taken_at ? [["Taken", day(image.taken_at)] as [string, string]] : []),
    ["Indexed", day(image.indexed_at)],
    ["Id", item.id],
    ["Path", image.uri],
  ];
  return (
    <>
      {image.colors && image.colors.length > 0 && (
        <section>
          <h3>Colors</h3>
          <ul className="found-colors">
            {image.colors.map(({ hex, name, share }) => (
              <li key={hex}>
                <button
                  type="button"
                  className="chip color-chip"
                  title={`Search by ${hex}`}
                  onClick={() => color(hex)}
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
        <h3>Facts</h3>
        <dl className="facts">
          {told.map(([name, text]) => (
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

/** What is searched by: pictures, words, colors, and any mix of them. */

import { useRef, useState } from "react";
import { ColorPicker } from "@/components/ColorPicker";
import { CropDialog } from "@/components/CropDialog";
import { Icon } from "@/components/Icon";
import { thumbnail, uploadThumbnail } from "@/lib/api";
import { readColor, shade } from "@/lib/colors";
import { type Update, useDraft, useMedia } from "@/lib/hooks";
import { pictures, type Search } from "@/lib/state";

interface Props {
  search: Search;
  update: Update;
  words: boolean | undefined;
  waiting: number;
  send: (files: File[], adding: boolean) => void;
}

export function QueryBar({ search, update, words, waiting, send }: Props) {
  const [cropping, setCropping] = useState(false);
  const alone = pictures(search) === 1;
  const tiles = [
    ...search.uploads.map((token) => ({
      of: token,
      name: "Your picture",
      source: uploadThumbnail(token),
      large: uploadThumbnail(token, 1024),
      remove: () => update({ uploads: search.uploads.filter((one) => one !== token), crop: "" }),
    })),
    ...search.ids.map((id) => ({
      of: id,
      name: id,
      source: thumbnail(id),
      large: thumbnail(id, 1024),
      remove: () => update({ ids: search.ids.filter((one) => one !== id), crop: "" }),
    })),
  ];
  const first = tiles[0];
  return (
    <section className="query" aria-label="What to search by">
      <div className="query-pictures">
        {tiles.map(({ of, name, source, remove }) => (
          <Tile
            key={of}
            name={name}
            source={source}
            remove={remove}
            crop={alone ? search.crop : ""}
            select={alone ? () => setCropping(true) : undefined}
          />
        ))}
        {Array.from({ length: waiting }, (_, i) => (
          <span key={i} className="tile tile-waiting" role="status" aria-label="Sending the picture" />
        ))}
        <Chooser
          className={tiles.length + waiting ? "tile tile-add" : "tile tile-drop"}
          label={tiles.length ? "Add a picture" : "Choose a picture"}
          choose={(files) => send(files, true)}
        />
      </div>
      <Words search={search} update={update} words={words} />
      <div className="query-tools">
        <Chooser className="button photograph" label="Photograph" capture choose={(files) => send(files, false)} />
        <ColorPicker colors={search.colors} change={(colors) => update({ colors }, "colors")} />
      </div>
      {search.colors.length > 0 && (
        <ul className="query-colors" aria-label="Colors">
          {search.colors.map((one) => (
            <li key={one}>
              <button
                type="button"
                className="chip color-chip"
                aria-label={`Remove ${readColor(one).color}`}
                onClick={() => update({ colors: search.colors.filter((other) => other !== one) })}
              >
                <i className="dot" style={{ background: shade(readColor(one).color) }} />
                {readColor(one).color}
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {cropping && first && (
        <CropDialog
          source={first.large}
          crop={search.crop}
          apply={(crop) => {
            update({ crop });
            setCropping(false);
          }}
          close={() => setCropping(false)}
        />
      )}
    </section>
  );
}

interface TileProps {
  name: string;
  source: string;
  crop: string;
  select?: () => void;
  remove: () => void;
}

function Tile({ name, source, crop, select, remove }: TileProps) {
  const [gone, setGone] = useState(false);
  const [x = 0, y = 0, width = 1, height = 1] = crop ? crop.split(",").map(Number) : [];
  const part = {
    left: `${x * 100}%`,
    top: `${y * 100}%`,
    width: `${width * 100}%`,
    height: `${height * 100}%`,
  };
  const picture = gone ? (
    <span className="tile-gone">No longer kept</span>
  ) : (
    <>
      <img src={source} alt={select ? "" : name} onError={() => setGone(true)} />
      {crop && <span className="part" style={part} />}
    </>
  );
  return (
    <span className="tile tile-picture">
      {select && !gone ? (
        <button type="button" className="tile-select" title="Select a part" onClick={select}>
          <span className="tile-frame">{picture}</span>
          <span className="tile-crop">
            <Icon name="crop" />
          </span>
          <span className="hidden">Select a part of {name}</span>
        </button>
      ) : (
        <span className="tile-frame">{picture}</span>
      )}
      <button type="button" className="tile-remove" aria-label={`Remove ${name}`} onClick={remove}>
        <Icon name="close" />
      </button>
    </span>
  );
}

/** A button that opens the system's choice of files, or its camera. */
export function Chooser({
  className,
  label,
  capture = false,
  choose,
}: {
  className: string;
  label: string;
  capture?: boolean;
  choose: (files: File[]) => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" className={className} aria-label={label} onClick={() => input.current?.click()}>
        <Icon name={capture ? "camera" : className.includes("tile-add") ? "plus" : "picture"} />
        <span>{label}</span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        accept="image/*"
        multiple={!capture}
        {...(capture ? { capture: "environment" } : {})}
        onChange={(event) => {
          const files = [...(event.target.files ?? [])];
          event.target.value = "";
          if (files.length) choose(files);
        }}
      />
    </>
  );
}

function Words({ search, update, words }: Pick<Props, "search" | "update" | "words">) {
  const text = useDraft(search.text, (next) => update({ text: next }, "text"), 300);
  const touch = useMedia("(pointer: coarse)");
  const negative = useDraft(search.negative_text, (next) => update({ negative_text: next }, "negative_text"), 300);
  if (words === false) {
    return (
      <p className="query-words no-words">
        <b>Drop, paste or choose a picture.</b> This index’s model knows no words: one made with{" "}
        <code>--model clip</code> does.
      </p>
    );
  }
  return (
    <form
      className="query-words"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        text.settle(text.draft);
      }}
    >
      <input
        type="search"
        aria-label="Words"
        placeholder={
          pictures(search) ? "and in words…" : touch ? "Describe it in words" : "Describe it, or drop a picture anywhere"
        }
        enterKeyHint="search"
        value={text.draft}
        onChange={(event) => text.change(event.target.value)}
      />
      {(text.draft || search.negative_text) && (
        <input
          className="minus"
          type="search"
          aria-label="Words that it should not be like"
          placeholder="less like…"
          value={negative.draft}
          onChange={(event) => negative.change(event.target.value)}
        />
      )}
    </form>
  );
}

/** The query: images, text, colors, or any mix of them. */

import { useId, useState } from "react";
import { ColorPicker } from "@/components/ColorPicker";
import { FileButton } from "@/components/Controls";
import { CropDialog } from "@/components/CropDialog";
import { Icon } from "@/components/Icon";
import { thumbnail, uploadThumbnail } from "@/lib/api";
import { parseColor, shade } from "@/lib/colors";
import { type Update, useDraft, useMedia } from "@/lib/hooks";
import { imageCount, type Search } from "@/lib/state";
import { useCompletions } from "@/lib/words";

interface Props {
  search: Search;
  update: Update;
  /** False if the model does not support text; undefined while unknown. */
  supportsText: boolean | undefined;
  waiting: number;
  send: (files: File[], adding: boolean) => void;
}

export function QueryBar({ search, update, supportsText, waiting, send }: Props) {
  const [cropping, setCropping] = useState(false);
  const single = imageCount(search) === 1;
  const tiles = [
    ...search.uploads.map((token) => ({
      key: token,
      name: "your image",
      source: uploadThumbnail(token),
      large: uploadThumbnail(token, 1024),
      remove: () => update({ uploads: search.uploads.filter((other) => other !== token), crop: "" }),
    })),
    ...search.ids.map((id) => ({
      key: id,
      name: id,
      source: thumbnail(id),
      large: thumbnail(id, 1024),
      remove: () => update({ ids: search.ids.filter((other) => other !== id), crop: "" }),
    })),
  ];
  const first = tiles[0];
  return (
    <section className="query" aria-label="Query">
      <div className="query-images">
        {tiles.map(({ key, name, source, remove }) => (
          <Tile
            key={key}
            name={name}
            source={source}
            remove={remove}
            crop={single ? search.crop : ""}
            openCrop={single ? () => setCropping(true) : undefined}
          />
        ))}
        {Array.from({ length: waiting }, (_, i) => (
          <span key={i} className="tile tile-waiting" role="status" aria-label="Uploading" />
        ))}
        <FileButton
          className={tiles.length + waiting ? "tile tile-add" : "tile tile-drop"}
          label={tiles.length ? "Add an image" : "Choose an image"}
          choose={(files) => send(files, true)}
        />
      </div>
      <TextInputs search={search} update={update} supportsText={supportsText} />
      <div className="query-tools">
        <FileButton className="button camera-button" label="Take a photo" capture choose={(files) => send(files, false)} />
        <ColorPicker colors={search.colors} change={(colors) => update({ colors }, "colors")} />
      </div>
      {search.colors.length > 0 && (
        <ul className="query-colors" aria-label="Colors">
          {search.colors.map((text) => (
            <li key={text}>
              <button
                type="button"
                className="chip color-chip"
                aria-label={`Remove ${parseColor(text).color}`}
                onClick={() => update({ colors: search.colors.filter((other) => other !== text) })}
              >
                <i className="dot" style={{ background: shade(parseColor(text).color) }} />
                {parseColor(text).color}
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
  openCrop?: () => void;
  remove: () => void;
}

function Tile({ name, source, crop, openCrop, remove }: TileProps) {
  const [expired, setExpired] = useState(false);
  const [x = 0, y = 0, width = 1, height = 1] = crop ? crop.split(",").map(Number) : [];
  const region = {
    left: `${x * 100}%`,
    top: `${y * 100}%`,
    width: `${width * 100}%`,
    height: `${height * 100}%`,
  };
  const content = expired ? (
    <span className="tile-expired">Expired</span>
  ) : (
    <>
      <img src={source} alt={openCrop ? "" : name} onError={() => setExpired(true)} />
      {crop && <span className="region" style={region} />}
    </>
  );
  return (
    <span className="tile tile-image">
      {openCrop && !expired ? (
        <button type="button" className="tile-select" title="Crop" onClick={openCrop}>
          <span className="tile-frame">{content}</span>
          <span className="tile-crop">
            <Icon name="crop" />
          </span>
          <span className="hidden">Crop {name}</span>
        </button>
      ) : (
        <span className="tile-frame">{content}</span>
      )}
      <button type="button" className="tile-remove" aria-label={`Remove ${name}`} onClick={remove}>
        <Icon name="close" />
      </button>
    </span>
  );
}

function TextInputs({ search, update, supportsText }: Pick<Props, "search" | "update" | "supportsText">) {
  const text = useDraft(search.text, (next) => update({ text: next }, "text"), 300);
  const touch = useMedia("(pointer: coarse)");
  const negative = useDraft(search.negative_text, (next) => update({ negative_text: next }, "negative_text"), 300);
  const completions = useCompletions(text.draft);
  const list = useId();
  if (supportsText === false) {
    return (
      <p className="query-text no-text">
        <b>Drop, paste or choose an image.</b> Text search needs an index created with{" "}
        <code>--model clip</code>.
      </p>
    );
  }
  const placeholder = touch ? "Describe an image" : "Describe an image, or drop one anywhere";
  return (
    <form
      className="query-text"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        text.settle(text.draft);
      }}
    >
      <input
        type="search"
        aria-label="Text"
        placeholder={imageCount(search) ? "Add a description" : placeholder}
        enterKeyHint="search"
        list={completions.length ? list : undefined}
        value={text.draft}
        onChange={(event) => text.change(event.target.value)}
      />
      <datalist id={list}>
        {completions.map((completion) => (
          <option key={completion} value={completion} />
        ))}
      </datalist>
      {(text.draft || search.negative_text) && (
        <input
          className="negative"
          type="search"
          aria-label="Negative text"
          placeholder="less like…"
          value={negative.draft}
          onChange={(event) => negative.change(event.target.value)}
        />
      )}
    </form>
  );
}

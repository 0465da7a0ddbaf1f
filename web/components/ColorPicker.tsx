/** Picks the colors to search by, and how much of each. */

import { useEffect, useId, useRef, useState } from "react";
import { Icon } from "@/components/Icon";
import { BASIC, readColor, shade, writeColor } from "@/lib/colors";
import { useDraft } from "@/lib/hooks";
import { percent } from "@/lib/words";

const MOST = 8;

export function ColorPicker({ colors, change }: { colors: string[]; change: (colors: string[]) => void }) {
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useId();
  useEffect(() => {
    if (!open) return;
    const away = (event: PointerEvent) => {
      if (!frame.current?.contains(event.target as Node)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("keydown", escape);
    };
  }, [open]);
  return (
    <div className="picker" ref={frame}>
      <button
        type="button"
        className="button"
        aria-expanded={open}
        aria-controls={panel}
        ref={button}
        onClick={() => setOpen(!open)}
      >
        <Icon name="palette" />
        Colors
      </button>
      {open && (
        <div className="picker-panel" id={panel} role="group" aria-label="Colors to search by">
          <Choice colors={colors} change={change} />
        </div>
      )}
    </div>
  );
}

function Choice({ colors, change }: { colors: string[]; change: (colors: string[]) => void }) {
  const wanted = colors.map(readColor);
  const [custom, setCustom] = useState("#3d5a80");
  const full = colors.length >= MOST;
  const toggle = (color: string) => {
    const rest = colors.filter((one) => readColor(one).color !== color);
    change(rest.length < colors.length ? rest : [...colors, color]);
  };
  return (
    <>
      <div className="swatches">
        {Object.entries(BASIC).map(([name, hex]) => {
          const on = wanted.some(({ color }) => color === name);
          return (
            <button
              key={name}
              type="button"
              className="swatch"
              aria-label={name}
              title={name}
              aria-pressed={on}
              disabled={full && !on}
              style={{ background: hex }}
              onClick={() => toggle(name)}
            />
          );
        })}
      </div>
      <div className="custom-color">
        <label>
          <input
            type="color"
            value={custom}
            onChange={(event) => setCustom(event.target.value)}
          />
          <span>A shade of your own</span>
        </label>
        <button
          type="button"
          className="button small"
          disabled={full || wanted.some(({ color }) => color === custom)}
          onClick={() => toggle(custom)}
        >
          Add
        </button>
      </div>
      {wanted.length > 0 && (
        <ul className="shares">
          {wanted.map(({ color, share }, i) => (
            <Share
              key={color}
              color={color}
              share={share}
              alone={wanted.length === 1}
              even={1 / wanted.length}
              set={(next) => change(colors.with(i, writeColor({ color, share: next })))}
              remove={() => toggle(color)}
            />
          ))}
        </ul>
      )}
    </>
  );
}

function Share({
  color,
  share,
  alone,
  even,
  set,
  remove,
}: {
  color: string;
  share: number | null;
  alone: boolean;
  even: number;
  set: (share: number) => void;
  remove: () => void;
}) {
  const { draft, change } = useDraft(share ?? even, set, 150);
  return (
    <li>
      <i className="dot" style={{ background: shade(color) }} />
      <span>{color}</span>
      {alone ? (
        <span />
      ) : (
        <input
          type="range"
          aria-label={`Share of ${color}`}
          aria-valuetext={percent(draft)}
          min={0.05}
          max={1}
          step={0.05}
          value={draft}
          onChange={(event) => change(event.target.valueAsNumber)}
        />
      )}
      <button type="button" className="icon-button" aria-label={`Remove ${color}`} onClick={remove}>
        <Icon name="close" />
      </button>
    </li>
  );
}

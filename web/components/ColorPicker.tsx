/** Picks query colors and the share of each. */

import { useEffect, useId, useRef, useState } from "react";
import { Icon } from "@/components/Icon";
import { BASIC, formatColor, parseColor, shade } from "@/lib/colors";
import { useDraft } from "@/lib/hooks";
import { percent } from "@/lib/format";

const MAX_COLORS = 8;

export function ColorPicker({ colors, change }: { colors: string[]; change: (colors: string[]) => void }) {
  const [open, setOpen] = useState(false);
  const container = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useId();
  useEffect(() => {
    if (!open) return;
    const closeOutside = (event: PointerEvent) => {
      if (!container.current?.contains(event.target as Node)) setOpen(false);
    };
    const closeOnEscape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", closeOutside);
    document.addEventListener("keydown", closeOnEscape);
    return () => {
      document.removeEventListener("pointerdown", closeOutside);
      document.removeEventListener("keydown", closeOnEscape);
    };
  }, [open]);
  return (
    <div className="picker" ref={container}>
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
        <div className="picker-panel" id={panel} role="group" aria-label="Query colors">
          <Palette colors={colors} change={change} />
        </div>
      )}
    </div>
  );
}

function Palette({ colors, change }: { colors: string[]; change: (colors: string[]) => void }) {
  const chosen = colors.map(parseColor);
  const [custom, setCustom] = useState("#3d5a80");
  const full = colors.length >= MAX_COLORS;
  const toggle = (color: string) => {
    const rest = colors.filter((other) => parseColor(other).color !== color);
    change(rest.length < colors.length ? rest : [...colors, color]);
  };
  return (
    <>
      <div className="swatches">
        {Object.entries(BASIC).map(([name, hex]) => {
          const on = chosen.some(({ color }) => color === name);
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
          <span>Custom color</span>
        </label>
        <button
          type="button"
          className="button small"
          disabled={full || chosen.some(({ color }) => color === custom)}
          onClick={() => toggle(custom)}
        >
          Add
        </button>
      </div>
      {chosen.length > 0 && (
        <ul className="shares">
          {chosen.map(({ color, share }, i) => (
            <ShareSlider
              key={color}
              color={color}
              share={share}
              alone={chosen.length === 1}
              even={1 / chosen.length}
              set={(next) => change(colors.with(i, formatColor({ color, share: next })))}
              remove={() => toggle(color)}
            />
          ))}
        </ul>
      )}
    </>
  );
}

function ShareSlider({
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

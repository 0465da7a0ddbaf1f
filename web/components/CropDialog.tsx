/** Selects the part of the query picture that counts: by pointer, by keys or by numbers. */

import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import { Modal } from "@/components/Bits";
import { percent } from "@/lib/words";

interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
}

const WHOLE: Part = { x: 0, y: 0, width: 1, height: 1 };
const START: Part = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
const LEAST = 0.05;
const STEP = 0.02;

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** Inside the picture, and large enough to say something. */
function fitted({ x, y, width, height }: Part): Part {
  const wide = clamp(width, LEAST, 1);
  const high = clamp(height, LEAST, 1);
  return { x: clamp(x, 0, 1 - wide), y: clamp(y, 0, 1 - high), width: wide, height: high };
}

function readPart(crop: string): Part {
  const [x, y, width, height] = crop.split(",").map(Number);
  if (x === undefined || y === undefined || width === undefined || height === undefined) return START;
  return fitted({ x, y, width, height });
}

const round = (value: number) => Math.round(value * 1000) / 1000;

function writePart({ x, y, width, height }: Part): string {
  // Rounded so that the right and lower edges stay inside.
  const [left, top] = [round(x), round(y)];
  const size = [Math.min(round(width), round(1 - left)), Math.min(round(height), round(1 - top))];
  return [left, top, ...size].join(",");
}

export function CropDialog({
  source,
  crop,
  apply,
  close,
}: {
  source: string;
  crop: string;
  apply: (crop: string) => void;
  close: () => void;
}) {
  const [part, setPart] = useState(() => readPart(crop));
  const surface = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; from: Part | null }>(null);

  const place = (event: PointerEvent) => {
    const box = surface.current?.getBoundingClientRect();
    if (!box) return { x: 0, y: 0 };
    return {
      x: clamp((event.clientX - box.left) / box.width, 0, 1),
      y: clamp((event.clientY - box.top) / box.height, 0, 1),
    };
  };
  const start = (event: PointerEvent<HTMLDivElement>) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const moving = event.target instanceof Element && event.target.closest(".crop-part") !== null;
    drag.current = { ...place(event), from: moving ? part : null };
  };
  const move = (event: PointerEvent) => {
    if (!drag.current) return;
    const { x, y, from } = drag.current;
    const now = place(event);
    if (from) setPart(fitted({ ...from, x: from.x + now.x - x, y: from.y + now.y - y }));
    else if (Math.hypot(now.x - x, now.y - y) > LEAST / 2) {
      const corner = { x: Math.min(x, now.x), y: Math.min(y, now.y) };
      setPart(fitted({ ...corner, width: Math.abs(now.x - x), height: Math.abs(now.y - y) }));
    }
  };
  const press = (event: KeyboardEvent) => {
    const by: Record<string, [number, number]> = {
      ArrowLeft: [-STEP, 0],
      ArrowRight: [STEP, 0],
      ArrowUp: [0, -STEP],
      ArrowDown: [0, STEP],
    };
    const step = by[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = step;
    setPart((now) =>
      fitted(
        event.shiftKey
          ? { ...now, width: Math.min(now.width + x, 1 - now.x), height: Math.min(now.height + y, 1 - now.y) }
          : { ...now, x: now.x + x, y: now.y + y },
      ),
    );
  };
  const numbers: [keyof Part, string][] = [
    ["x", "Left"],
    ["y", "Top"],
    ["width", "Width"],
    ["height", "Height"],
  ];
  return (
    <Modal title="Select a part" onClose={close} className="crop-dialog">
      <div
        className="crop-surface"
        ref={surface}
        onPointerDown={start}
        onPointerMove={move}
        onPointerUp={() => (drag.current = null)}
      >
        <img src={source} alt="The picture that is searched by" draggable={false} />
        <button
          type="button"
          className="crop-part"
          aria-label={`Selected part: ${percent(part.width)} by ${percent(part.height)}, from ${percent(part.x)} left, ${percent(part.y)} top. Arrow keys move it, with Shift they change its size.`}
          style={{
            left: `${part.x * 100}%`,
            top: `${part.y * 100}%`,
            width: `${part.width * 100}%`,
            height: `${part.height * 100}%`,
          }}
          onKeyDown={press}
        />
      </div>
      <footer className="crop-foot">
        {numbers.map(([name, label]) => (
          <label key={name}>
            {label}
            <input
              type="number"
              min={0}
              max={100}
              step={1}
              value={Math.round(part[name] * 100)}
              onChange={(event) => {
                const share = event.target.valueAsNumber / 100;
                if (!Number.isNaN(share)) setPart(fitted({ ...part, [name]: share }));
              }}
            />
          </label>
        ))}
        <span className="spring" />
        <button type="button" className="button" onClick={() => apply("")}>
          Whole picture
        </button>
        <button
          type="button"
          className="button primary"
          onClick={() => apply(writePart(part) === writePart(WHOLE) ? "" : writePart(part))}
        >
          Search by this part
        </button>
      </footer>
    </Modal>
  );
}

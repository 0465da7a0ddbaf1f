/** Crops the query image: by pointer, by keys, or by numbers. */

import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import { Modal } from "@/components/Controls";
import { percent } from "@/lib/format";

interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

const WHOLE: Region = { x: 0, y: 0, width: 1, height: 1 };
const START: Region = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
const MIN_SIDE = 0.05;
const STEP = 0.02;

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** The region moved into the image, with sides of at least MIN_SIDE. */
function fitted({ x, y, width, height }: Region): Region {
  const fittedWidth = clamp(width, MIN_SIDE, 1);
  const fittedHeight = clamp(height, MIN_SIDE, 1);
  return {
    x: clamp(x, 0, 1 - fittedWidth),
    y: clamp(y, 0, 1 - fittedHeight),
    width: fittedWidth,
    height: fittedHeight,
  };
}

function parseRegion(crop: string): Region {
  const [x, y, width, height] = crop.split(",").map(Number);
  if (x === undefined || y === undefined || width === undefined || height === undefined) return START;
  return fitted({ x, y, width, height });
}

const round = (value: number) => Math.round(value * 1000) / 1000;

function formatRegion({ x, y, width, height }: Region): string {
  // Rounding must not push the right and bottom edges out of the image.
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
  const [region, setRegion] = useState(() => parseRegion(crop));
  const surface = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; from: Region | null }>(null);

  const positionOf = (event: PointerEvent) => {
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
    const moving = event.target instanceof Element && event.target.closest(".crop-region") !== null;
    drag.current = { ...positionOf(event), from: moving ? region : null };
  };
  const move = (event: PointerEvent) => {
    if (!drag.current) return;
    const { x, y, from } = drag.current;
    const now = positionOf(event);
    if (from) setRegion(fitted({ ...from, x: from.x + now.x - x, y: from.y + now.y - y }));
    else if (Math.hypot(now.x - x, now.y - y) > MIN_SIDE / 2) {
      const corner = { x: Math.min(x, now.x), y: Math.min(y, now.y) };
      setRegion(fitted({ ...corner, width: Math.abs(now.x - x), height: Math.abs(now.y - y) }));
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
    setRegion((now) =>
      fitted(
        event.shiftKey
          ? { ...now, width: Math.min(now.width + x, 1 - now.x), height: Math.min(now.height + y, 1 - now.y) }
          : { ...now, x: now.x + x, y: now.y + y },
      ),
    );
  };
  const numbers: [keyof Region, string][] = [
    ["x", "Left"],
    ["y", "Top"],
    ["width", "Width"],
    ["height", "Height"],
  ];
  return (
    <Modal title="Crop" onClose={close} className="crop-dialog">
      <div
        className="crop-surface"
        ref={surface}
        onPointerDown={start}
        onPointerMove={move}
        onPointerUp={() => (drag.current = null)}
      >
        <img src={source} alt="Query image" draggable={false} />
        <button
          type="button"
          className="crop-region"
          aria-label={`Selected region: ${percent(region.width)} by ${percent(region.height)}, from ${percent(region.x)} left, ${percent(region.y)} top. Arrow keys move it; with Shift they resize it.`}
          style={{
            left: `${region.x * 100}%`,
            top: `${region.y * 100}%`,
            width: `${region.width * 100}%`,
            height: `${region.height * 100}%`,
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
              value={Math.round(region[name] * 100)}
              onChange={(event) => {
                const share = event.target.valueAsNumber / 100;
                if (!Number.isNaN(share)) setRegion(fitted({ ...region, [name]: share }));
              }}
            />
          </label>
        ))}
        <span className="spacer" />
        <button type="button" className="button" onClick={() => apply("")}>
          Whole image
        </button>
        <button
          type="button"
          className="button primary"
          onClick={() => apply(formatRegion(region) === formatRegion(WHOLE) ? "" : formatRegion(region))}
        >
          Search this region
        </button>
      </footer>
    </Modal>
  );
}

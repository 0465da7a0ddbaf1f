/** A range of numbers or dates: a small histogram and two sliders on it. */

import type { FieldType, Histogram } from "@/lib/api";
import { useDraft } from "@/lib/hooks";
import { number } from "@/lib/words";

type Edge = string | number | undefined;

interface Props {
  title: string;
  type: FieldType;
  all: Histogram;
  now: Histogram;
  low: Edge;
  high: Edge;
  set: (low: Edge, high: Edge) => void;
}

const DAY = 86_400_000;

/** Of 1, 2 or 5 times a power of ten, the nearest below: steps that make round numbers. */
function roundStep(wanted: number): number {
  const power = 10 ** Math.floor(Math.log10(wanted));
  const lead = wanted / power;
  return power * (lead >= 5 ? 5 : lead >= 2 ? 2 : 1);
}

/** A field's values as places on a slider, and back. */
function scaleOf(type: FieldType, { bins }: Histogram) {
  const dates = type === "datetime";
  const place = (value: string | number) => (typeof value === "number" ? value : Date.parse(value));
  const from = place(bins[0]?.low ?? 0);
  const to = place(bins.at(-1)?.high ?? 0);
  const fine = (to - from) / 200;
  const step = dates
    ? fine * 200 > 10 * DAY ? DAY : 1000
    : Math.max(type === "integer" ? 1 : 0, fine > 0 ? roundStep(fine) : 0);
  // The last place must be reachable, so that it can mean "no limit".
  const last = from + Math.ceil((to - from) / (step || 1)) * (step || 1);
  const value = (at: number): string | number => {
    if (!dates) return Number(at.toPrecision(12));
    const text = new Date(at).toISOString();
    return step === DAY ? text.slice(0, 10) : `${text.slice(0, 19)}Z`;
  };
  const shown = (at: number) =>
    dates ? String(value(at)).replace("T", " ").replace("Z", "") : number(at);
  return { place, from, to: last, step, value, shown };
}

export function RangeFilter({ title, type, all, now, low, high, set }: Props) {
  const scale = scaleOf(type, all);
  const { from, to, step } = scale;
  const { draft, change } = useDraft(
    `${low === undefined ? from : scale.place(low)} ${high === undefined ? to : scale.place(high)}`,
    (next) => {
      const [start = from, end = to] = next.split(" ").map(Number);
      set(start <= from ? undefined : scale.value(start), end >= to ? undefined : scale.value(end));
    },
    150,
  );
  const [start = from, end = to] = draft.split(" ").map(Number);
  if (from === to) return <p className="soft">All {scale.shown(from)}</p>;
  const share = (at: number) => (100 * (at - from)) / (to - from);
  return (
    <div className="range">
      <Bars all={all} now={now} share={(value) => share(scale.place(value))} start={share(start)} end={share(end)} />
      <div className="range-sliders">
        <input
          type="range"
          aria-label={`${title}, from`}
          aria-valuetext={scale.shown(start)}
          min={from}
          max={to}
          step={step}
          value={start}
          onChange={(event) => change(`${Math.min(event.target.valueAsNumber, end)} ${end}`)}
        />
        <input
          type="range"
          aria-label={`${title}, to`}
          aria-valuetext={scale.shown(end)}
          min={from}
          max={to}
          step={step}
          value={end}
          onChange={(event) => change(`${start} ${Math.max(event.target.valueAsNumber, start)}`)}
        />
      </div>
      <p className="range-edges">
        <span>{scale.shown(start)}</span>
        <span>{scale.shown(end)}</span>
      </p>
    </div>
  );
}

interface BarsProps {
  all: Histogram;
  now: Histogram;
  share: (value: string | number) => number;
  start: number;
  end: number;
}

const HEIGHT = 32;

/** All images faintly, and before them those that the other filters pass. */
function Bars({ all, now, share, start, end }: BarsProps) {
  // Each by its own tallest: what passes is often few of many.
  const tallest = [all, now].map(({ bins }) => Math.max(1, ...bins.map((bin) => bin.count)));
  return (
    <svg className="bars" viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {[all, now].map((histogram, layer) =>
        histogram.bins.map((bin) => {
          const [left, right] = [share(bin.low), share(bin.high)];
          const height = (bin.count / (tallest[layer] ?? 1)) * HEIGHT;
          const within = (left + right) / 2 >= start && (left + right) / 2 <= end;
          return (
            <rect
              key={`${layer} ${bin.low}`}
              className={layer ? (within ? "bar-in" : "bar-out") : "bar-all"}
              x={left + 0.3}
              width={Math.max(0.5, right - left - 0.6)}
              y={HEIGHT - height}
              height={height}
            />
          );
        }),
      )}
    </svg>
  );
}

/** Filter for a range of numbers or dates: a histogram with two sliders. */

import type { FieldType, Histogram } from "@/lib/api";
import type { Bound, FieldFilter } from "@/lib/filters";
import { number } from "@/lib/format";
import { useDraft } from "@/lib/hooks";

interface Props {
  title: string;
  type: FieldType;
  all: Histogram;
  matching: Histogram;
  filter: Extract<FieldFilter, { kind: "range" }> | undefined;
  set: (low: Bound | undefined, high: Bound | undefined) => void;
}

const DAY = 86_400_000;

/** The largest step of 1, 2 or 5 times a power of ten that does not exceed `step`. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const lead = step / power;
  return power * (lead >= 5 ? 5 : lead >= 2 ? 2 : 1);
}

/** Conversion between a field's values and positions on a slider. */
function scaleOf(type: FieldType, { bins }: Histogram) {
  const dates = type === "datetime";
  const position = (value: Bound) => (typeof value === "number" ? value : Date.parse(value));
  const from = position(bins[0]?.low ?? 0);
  const to = position(bins.at(-1)?.high ?? 0);
  const fine = (to - from) / 200;
  const step = dates
    ? fine * 200 > 10 * DAY ? DAY : 1000
    : Math.max(type === "integer" ? 1 : 0, fine > 0 ? roundStep(fine) : 0);
  // The last position must be reachable, because it means "no limit".
  const last = from + Math.ceil((to - from) / (step || 1)) * (step || 1);
  const value = (at: number): Bound => {
    if (!dates) return Number(at.toPrecision(12));
    const text = new Date(at).toISOString();
    return step === DAY ? text.slice(0, 10) : `${text.slice(0, 19)}Z`;
  };
  const text = (at: number) =>
    dates ? String(value(at)).replace("T", " ").replace("Z", "") : number(at);
  /** An upper bound of days includes its day: "before May 2" is shown as "to May 1". */
  const upper = ({ high, below }: { high?: Bound; below?: boolean }) => {
    if (high === undefined) return last;
    return below && step === DAY ? Math.floor((position(high) - 1) / DAY) * DAY : position(high);
  };
  return { position, from, to: last, step, value, text, upper };
}

export function RangeFilter({ title, type, all, matching, filter = { kind: "range" }, set }: Props) {
  const scale = scaleOf(type, all);
  const { from, to, step } = scale;
  const { draft, change } = useDraft(
    `${filter.low === undefined ? from : scale.position(filter.low)} ${scale.upper(filter)}`,
    (next) => {
      const [start = from, end = to] = next.split(" ").map(Number);
      set(start <= from ? undefined : scale.value(start), end >= to ? undefined : scale.value(end));
    },
    150,
  );
  const [start = from, end = to] = draft.split(" ").map(Number);
  if (from === to) return <p className="soft">All {scale.text(from)}</p>;
  const share = (at: number) => (100 * (at - from)) / (to - from);
  return (
    <div className="range">
      <Bars
        all={all}
        matching={matching}
        share={(value) => share(scale.position(value))}
        start={share(start)}
        end={share(end)}
      />
      <div className="range-sliders">
        <input
          type="range"
          aria-label={`${title}, from`}
          aria-valuetext={scale.text(start)}
          min={from}
          max={to}
          step={step}
          value={start}
          onChange={(event) => change(`${Math.min(event.target.valueAsNumber, end)} ${end}`)}
        />
        <input
          type="range"
          aria-label={`${title}, to`}
          aria-valuetext={scale.text(end)}
          min={from}
          max={to}
          step={step}
          value={end}
          onChange={(event) => change(`${start} ${Math.max(event.target.valueAsNumber, start)}`)}
        />
      </div>
      <p className="range-edges">
        <span>{scale.text(start)}</span>
        <span>{scale.text(end)}</span>
      </p>
    </div>
  );
}

interface BarsProps {
  all: Histogram;
  matching: Histogram;
  share: (value: Bound) => number;
  start: number;
  end: number;
}

const HEIGHT = 32;

/** All images in a faint color, with the images that match the other filters in front. */
function Bars({ all, matching, share, start, end }: BarsProps) {
  // Each layer has its own scale, because few of many images may match.
  const tallest = [all, matching].map(({ bins }) => Math.max(1, ...bins.map((bin) => bin.count)));
  return (
    <svg className="bars" viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {[all, matching].map((histogram, layer) =>
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

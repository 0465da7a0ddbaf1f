/** Weights of the aspects, as presets and sliders. */

import { Chip } from "@/components/Controls";
import type { Stats } from "@/lib/api";
import { aspect, percent, sentence } from "@/lib/format";
import { type Update, useDraft } from "@/lib/hooks";
import { formatWeights, isQuery, parseWeights, type Search, targetAspects } from "@/lib/state";

interface Props {
  search: Search;
  update: Update;
  stats: Stats;
  /** The weights of the last answer. */
  used: Record<string, number>;
}

export function Weights({ search, update, stats, used }: Props) {
  const usable = isQuery(search) ? targetAspects(search, stats.aspects) : stats.aspects;
  const current = search.weights ? parseWeights(search.weights, stats.presets) : used;
  const shown = Object.fromEntries(stats.aspects.map((name) => [name, current[name] ?? 0]));
  const { draft, change } = useDraft(
    formatWeights(shown),
    (weights) => update({ weights }, "weights"),
    150,
  );
  const weights = parseWeights(draft, {});
  const total = usable.reduce((sum, name) => sum + (weights[name] ?? 0), 0);
  const set = (name: string, weight: number) => {
    const next = { ...weights, [name]: weight };
    change(formatWeights(next));
  };
  return (
    <section className="panel" aria-label="Weights">
      <h2>Weights</h2>
      <div className="chips">
        <Chip on={search.weights === ""} onClick={() => update({ weights: "" })}>
          Auto
        </Chip>
        {Object.keys(stats.presets).map((name) => (
          <Chip key={name} on={search.weights === name} onClick={() => update({ weights: name })}>
            {sentence(name)}
          </Chip>
        ))}
      </div>
      {stats.aspects.map((name) => {
        const share = total ? (weights[name] ?? 0) / total : 0;
        const enabled = usable.includes(name);
        return (
          <label key={name} className="slider">
            <span>{aspect(name)}</span>
            <input
              type="range"
              min={0}
              max={1}
              step={0.05}
              disabled={!enabled}
              value={weights[name] ?? 0}
              aria-valuetext={percent(share)}
              onChange={(event) => set(name, event.target.valueAsNumber)}
            />
            <output>{enabled && total ? percent(share) : "–"}</output>
          </label>
        );
      })}
    </section>
  );
}

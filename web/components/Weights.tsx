/** What counts: presets and a slider for each aspect, and what may happen to the ranking. */

import { Chip } from "@/components/Bits";
import type { Stats } from "@/lib/api";
import { type Update, useDraft } from "@/lib/hooks";
import { isQuery, readWeights, type Search, targets, writeWeights } from "@/lib/state";
import { aspect, percent, sentence } from "@/lib/words";

const PRESETS: Record<string, string> = { color: "Color" };

interface Props {
  search: Search;
  update: Update;
  stats: Stats;
  /** What the last answer went by. */
  used: Record<string, number>;
}

export function Weights({ search, update, stats, used }: Props) {
  const asked = isQuery(search);
  const having = asked ? targets(search, stats.aspects) : stats.aspects;
  const given = search.weights ? readWeights(search.weights, stats.presets) : used;
  const shown = Object.fromEntries(stats.aspects.map((name) => [name, given[name] ?? 0]));
  const { draft, change } = useDraft(
    writeWeights(shown),
    (weights) => update({ weights }, "weights"),
    150,
  );
  const weights = readWeights(draft, {});
  const total = having.reduce((sum, name) => sum + (weights[name] ?? 0), 0);
  const set = (name: string, weight: number) => {
    const next = { ...weights, [name]: weight };
    change(writeWeights(next));
  };
  return (
    <section className="panel" aria-label="What counts">
      <h2>What counts</h2>
      <div className="chips">
        <Chip on={search.weights === ""} onClick={() => update({ weights: "" })}>
          Auto
        </Chip>
        {Object.keys(stats.presets).map((name) => (
          <Chip key={name} on={search.weights === name} onClick={() => update({ weights: name })}>
            {PRESETS[name] ?? sentence(name)}
          </Chip>
        ))}
      </div>
      {stats.aspects.map((name) => {
        const share = total ? (weights[name] ?? 0) / total : 0;
        const has = having.includes(name);
        return (
          <label key={name} className="slider">
            <span>{aspect(name)}</span>
            <input
              type="range"
              min={0}
              max={1}
              step={0.05}
              disabled={!has}
              value={weights[name] ?? 0}
              aria-valuetext={percent(share)}
              onChange={(event) => set(name, event.target.valueAsNumber)}
            />
            <output>{has && total ? percent(share) : "–"}</output>
          </label>
        );
      })}
    </section>
  );
}

export function Options({ search, update }: Pick<Props, "search" | "update">) {
  const { draft, change } = useDraft(search.diversity, (diverse) => update({ diverse }, "diversity"), 150);
  return (
    <section className="panel" aria-label="Options">
      <h2>Options</h2>
      <label className="check" title="Shows near-identical images once, with the number of the others">
        <input
          type="checkbox"
          checked={search.collapse}
          onChange={(event) => update({ collapse: event.target.checked })}
        />
        <span>Fold near-identical images</span>
      </label>
      <label className="check" title="Leaves out what is no closer than chance would bring it">
        <input
          type="checkbox"
          checked={search.relevant}
          onChange={(event) => update({ relevant: event.target.checked })}
        />
        <span>Only relevant ones</span>
      </label>
      <label className="slider">
        <span>Variety</span>
        <input
          type="range"
          min={0}
          max={1}
          step={0.05}
          value={draft}
          aria-valuetext={draft ? percent(draft) : "off"}
          onChange={(event) => change(event.target.valueAsNumber)}
        />
        <output>{draft ? percent(draft) : "off"}</output>
      </label>
    </section>
  );
}

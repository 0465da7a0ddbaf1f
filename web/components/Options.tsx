/** Options of the results: their order, and what is left out of them. */

import { IconButton } from "@/components/Controls";
import type { Stats } from "@/lib/api";
import { percent, sentence } from "@/lib/format";
import { type Update, useDraft } from "@/lib/hooks";
import { isQuery, NEAR_IDENTICAL, parseSort, type Search } from "@/lib/state";

interface Props {
  search: Search;
  update: Update;
  stats: Stats;
}

export function Options({ search, update, stats }: Props) {
  const { draft, change } = useDraft(search.diversity, (diversity) => update({ diversity }, "diversity"), 150);
  return (
    <section className="panel" aria-label="Options">
      <h2>Options</h2>
      <Sort search={search} update={update} stats={stats} />
      <OneOfEach search={search} update={update} stats={stats} />
      <label className="check" title="Shows near-identical images once, with the number of hidden variants">
        <input
          type="checkbox"
          checked={search.collapse === NEAR_IDENTICAL}
          onChange={(event) => update({ collapse: event.target.checked ? NEAR_IDENTICAL : "" })}
        />
        <span>Hide near-identical images</span>
      </label>
      <label className="check" title="Hides results that are no closer to the query than unrelated images">
        <input
          type="checkbox"
          checked={search.relevant}
          onChange={(event) => update({ relevant: event.target.checked })}
        />
        <span>Relevant results only</span>
      </label>
      <label className="slider">
        <span>Diversity</span>
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

/** Fields of the image file that have an order. */
const FILE_ORDERS = ["image.taken_at", "image.indexed_at", "image.bytes"];

function Sort({ search, update, stats }: Props) {
  const { field, descending } = parseSort(search.sort);
  const ordered = fieldsOf(stats, (type) => ["integer", "float", "datetime"].includes(type));
  return (
    <div className="choice">
      <FieldChoice
        label="Sort by"
        none={isQuery(search) ? "Similarity" : "None"}
        fields={[...ordered, ...FILE_ORDERS]}
        value={field}
        choose={(next) => update({ sort: next && descending ? `-${next}` : next })}
      />
      <IconButton
        icon={descending ? "descending" : "ascending"}
        label="Descending"
        pressed={descending}
        disabled={!field}
        onClick={() => update({ sort: descending ? field : `-${field}` })}
      />
    </div>
  );
}

function OneOfEach({ search, update, stats }: Props) {
  const shared = fieldsOf(
    stats,
    (type, values) => ["keyword", "integer"].includes(type) && values > 1 && values < stats.images,
  );
  if (!shared.length) return null;
  return (
    <div
      className="choice"
      title={`Shows the best image of each value of a field, such as a product${isQuery(search) ? "" : "; needs something to search by"}`}
    >
      <FieldChoice
        label="One of each"
        none="Image"
        fields={shared}
        value={search.collapse === NEAR_IDENTICAL ? "" : search.collapse}
        choose={(collapse) => update({ collapse })}
        disabled={!isQuery(search)}
      />
    </div>
  );
}

/** The user's fields that fit; a field with ranges counts as one without shared values. */
function fieldsOf(stats: Stats, fits: (type: string, values: number) => boolean): string[] {
  return Object.entries(stats.fields)
    .filter(([, { type, values }]) => fits(type, values ?? 0))
    .map(([name]) => name);
}

interface ChoiceProps {
  label: string;
  /** The choice of no field. */
  none: string;
  fields: string[];
  value: string;
  choose: (field: string) => void;
  disabled?: boolean;
}

function FieldChoice({ label, none, fields, value, choose, disabled }: ChoiceProps) {
  const known = value && !fields.includes(value) ? [...fields, value] : fields;
  return (
    <label>
      <span>{label}</span>
      <select value={value} disabled={disabled} onChange={(event) => choose(event.target.value)}>
        <option value="">{none}</option>
        {known.map((name) => (
          <option key={name} value={name}>
            {sentence(name)}
          </option>
        ))}
      </select>
    </label>
  );
}

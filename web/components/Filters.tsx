/** Filters by the fields' values and ranges, and the same as text. */

import { useId, useState } from "react";
import { Icon } from "@/components/Icon";
import { RangeFilter } from "@/components/RangeFilter";
import type { FacetValue, Stats } from "@/lib/api";
import { shade } from "@/lib/colors";
import { type FieldCounts, filterFields, PICTURE_FIELDS, useCounts } from "@/lib/counts";
import { type Update, useDraft } from "@/lib/hooks";
import { number, sentence } from "@/lib/words";
import { compile, type Filter, type Filters as Parsed, parse, type Scalar } from "@/lib/where";

const SHORT = 8;

interface Props {
  where: string;
  update: Update;
  stats: Stats;
}

export function Filters({ where, update, stats }: Props) {
  const parsed = parse(where);
  const counts = useCounts(filterFields(stats), parsed, stats);
  const set = (name: string, filter: Filter | null) => {
    const rest = Object.fromEntries(Object.entries(parsed.fields).filter(([other]) => other !== name));
    const fields = filter ? { ...parsed.fields, [name]: filter } : rest;
    update({ where: compile({ ...parsed, fields }) }, `filter ${name}`);
  };
  return (
    <section className="panel filters" aria-label="Filters">
      <header className="panel-head">
        <h2>Filters</h2>
        {where && (
          <button type="button" className="link" onClick={() => update({ where: "" })}>
            Clear all
          </button>
        )}
      </header>
      {counts ? (
        counts.map((field, i) => (
          <Field key={field.name} field={field} parsed={parsed} set={set} open={i < 6} />
        ))
      ) : (
        <div className="filters-waiting" aria-busy="true" />
      )}
      {counts && <PictureFields parsed={parsed} set={set} stats={stats} />}
      {counts && <AsText where={where} update={update} />}
    </section>
  );
}

interface FieldProps {
  field: FieldCounts;
  parsed: Parsed;
  set: (name: string, filter: Filter | null) => void;
}

function Field({ field, parsed, set, open }: FieldProps & { open: boolean }) {
  const { name, all } = field;
  const filtered = name in parsed.fields;
  if (all.kind === "values" ? all.values.length === 0 : all.histogram.count === 0) return null;
  return (
    <details className="field" open={open || filtered}>
      <summary>
        {titleOf(name)}
        {filtered && <i className="mark-on" role="img" aria-label="filtered" />}
      </summary>
      <Control field={field} parsed={parsed} set={set} />
    </details>
  );
}

const titleOf = (name: string) => (name === "image.colors" ? "Colors in it" : sentence(name));

function Control({ field: { name, type, all, now }, parsed, set }: FieldProps) {
  const filter = parsed.fields[name];
  if (all.kind === "values" && now.kind === "values") {
    return (
      <Values
        title={titleOf(name)}
        isColor={name === "image.colors"}
        all={all.values}
        now={now.values}
        chosen={filter?.kind === "values" ? filter.values : []}
        choose={(values) => set(name, values.length ? { kind: "values", values } : null)}
      />
    );
  }
  if (all.kind !== "range" || now.kind !== "range") return null;
  return (
    <RangeFilter
      title={titleOf(name)}
      type={type}
      all={all.histogram}
      now={now.histogram}
      low={filter?.kind === "range" ? filter.low : undefined}
      high={filter?.kind === "range" ? filter.high : undefined}
      set={(low, high) => {
        const open = low === undefined && high === undefined;
        set(name, open ? null : { kind: "range", low, high, closed: true });
      }}
    />
  );
}

interface ValuesProps {
  title: string;
  isColor: boolean;
  all: FacetValue[];
  now: FacetValue[];
  chosen: Scalar[];
  choose: (values: Scalar[]) => void;
}

function Values({ title, isColor, all, now, chosen, choose }: ValuesProps) {
  const [long, setLong] = useState(false);
  const counted = new Map(now.map(({ value, count }) => [value, count]));
  const listed = [...new Set([...all.map(({ value }) => value), ...counted.keys(), ...chosen])];
  const shown = long ? listed : listed.filter((value, i) => i < SHORT || chosen.includes(value));
  return (
    <fieldset className="values">
      <legend className="hidden">{title}</legend>
      {shown.map((value) => (
        <label key={String(value)} className="check" data-none={!counted.get(value)}>
          <input
            type="checkbox"
            checked={chosen.includes(value)}
            onChange={(event) =>
              choose(
                event.target.checked ? [...chosen, value] : chosen.filter((other) => other !== value),
              )
            }
          />
          {isColor && <i className="dot" style={{ background: shade(String(value)) }} />}
          <span>{typeof value === "boolean" ? (value ? "Yes" : "No") : value}</span>
          <em>{number(counted.get(value) ?? 0)}</em>
        </label>
      ))}
      {listed.length > SHORT && (
        <button type="button" className="link" aria-expanded={long} onClick={() => setLong(!long)}>
          {long ? "Fewer" : `All ${listed.length}`}
        </button>
      )}
    </fieldset>
  );
}

/** Folded, and counted only when somebody looks. */
function PictureFields({
  parsed,
  set,
  stats,
}: {
  parsed: Parsed;
  set: FieldProps["set"];
  stats: Stats;
}) {
  const [open, setOpen] = useState(false);
  const counts = useCounts(open ? PICTURE_FIELDS : [], parsed, stats);
  return (
    <details className="field more-fields" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The file</summary>
      {open &&
        counts?.map((field) => (
          <div key={field.name} className="sub-field">
            <h3>{sentence(field.name)}</h3>
            <Control field={field} parsed={parsed} set={set} />
          </div>
        ))}
    </details>
  );
}

/** For experts: everything that filters can say, and more. */
function AsText({ where, update }: Pick<Props, "where" | "update">) {
  const { draft, change, settle } = useDraft(where, (next) => update({ where: next }, "where"), 700);
  const field = useId();
  return (
    <details className="field" open={parse(where).extra !== ""}>
      <summary>As text</summary>
      <label className="hidden" htmlFor={field}>
        The filter as text
      </label>
      <textarea
        id={field}
        rows={3}
        spellCheck={false}
        autoCapitalize="off"
        placeholder='price < 100 and brand = "Acme"'
        value={draft}
        onChange={(event) => change(event.target.value)}
        onBlur={() => draft !== where && settle(draft)}
      />
      <p className="soft">
        <Icon name="filter" /> Whatever the filters above cannot show stays as it is written here.
      </p>
    </details>
  );
}

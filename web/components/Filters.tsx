/** Filters: controls for the fields' values and ranges, and the filter as text. */

import { useId, useState } from "react";
import { RangeFilter } from "@/components/RangeFilter";
import type { Facet, Stats } from "@/lib/api";
import { shade } from "@/lib/colors";
import { type FieldCounts, FILE_FIELDS, filterFields, useCounts } from "@/lib/counts";
import { type Draft, type FieldFilter, type Scalar, shown, useConditions } from "@/lib/filters";
import { number, sentence } from "@/lib/format";
import { type Update, useDraft } from "@/lib/hooks";

/** Values shown until the list is expanded. */
const SHORT = 8;

interface Props {
  where: string;
  update: Update;
  stats: Stats;
}

export function Filters({ where, update, stats }: Props) {
  const { conditions, set } = useConditions(where, update);
  const counts = useCounts(filterFields(stats), conditions, stats);
  const { fields, rest } = shown(conditions ?? []);
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
        <>
          {counts.map((field, i) => (
            <Field key={field.name} field={field} filter={fields[field.name]} set={set} open={i < 6} />
          ))}
          <FileFields conditions={conditions} set={set} stats={stats} />
          <FilterText where={where} update={update} open={rest.length > 0} />
        </>
      ) : (
        <div className="filters-waiting" aria-busy="true" />
      )}
    </section>
  );
}

type SetFilter = (name: string, filter: FieldFilter | null) => void;

interface FieldProps {
  field: FieldCounts;
  filter: FieldFilter | undefined;
  set: SetFilter;
}

function Field({ field, filter, set, open }: FieldProps & { open: boolean }) {
  const { name, all } = field;
  if (all.kind === "values" ? all.values.length === 0 : all.histogram.count === 0) return null;
  return (
    <details className="field" open={open || filter !== undefined}>
      <summary>
        {titleOf(name)}
        {filter && <i className="filtered-mark" role="img" aria-label="filtered" />}
      </summary>
      <Control field={field} filter={filter} set={set} />
    </details>
  );
}

const titleOf = (name: string) => (name === "image.colors" ? "Image colors" : sentence(name));

function Control({ field: { name, type, all, matching }, filter, set }: FieldProps) {
  if (all.kind === "values" && matching.kind === "values") {
    return (
      <Values
        title={titleOf(name)}
        isColor={name === "image.colors"}
        all={all.values}
        matching={matching.values}
        chosen={filter?.kind === "values" ? filter.values : []}
        choose={(values) => set(name, values.length ? { kind: "values", values } : null)}
      />
    );
  }
  if (all.kind !== "range" || matching.kind !== "range") return null;
  return (
    <RangeFilter
      title={titleOf(name)}
      type={type}
      all={all.histogram}
      matching={matching.histogram}
      filter={filter?.kind === "range" ? filter : undefined}
      set={(low, high) => {
        const unbounded = low === undefined && high === undefined;
        set(name, unbounded ? null : { kind: "range", low, high });
      }}
    />
  );
}

interface ValuesProps {
  title: string;
  isColor: boolean;
  all: Facet[];
  matching: Facet[];
  chosen: Scalar[];
  choose: (values: Scalar[]) => void;
}

function Values({ title, isColor, all, matching, chosen, choose }: ValuesProps) {
  const [expanded, setExpanded] = useState(false);
  const counts = new Map<Scalar, number>(matching.map(({ value, count }) => [value, count]));
  const values = [...new Set([...all.map(({ value }) => value), ...counts.keys(), ...chosen])];
  const visible = expanded ? values : values.filter((value, i) => i < SHORT || chosen.includes(value));
  return (
    <fieldset className="values">
      <legend className="hidden">{title}</legend>
      {visible.map((value) => (
        <label key={String(value)} className="check" data-none={!counts.get(value)}>
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
          <em>{number(counts.get(value) ?? 0)}</em>
        </label>
      ))}
      {values.length > SHORT && (
        <button type="button" className="link" aria-expanded={expanded} onClick={() => setExpanded(!expanded)}>
          {expanded ? "Fewer" : `All ${values.length}`}
        </button>
      )}
    </fieldset>
  );
}

/** Fields of the image file, collapsed at first and counted only when opened. */
function FileFields({ conditions, set, stats }: { conditions: Draft[] | null; set: SetFilter; stats: Stats }) {
  const [open, setOpen] = useState(false);
  const counts = useCounts(open ? FILE_FIELDS : [], conditions, stats);
  const { fields } = shown(conditions ?? []);
  return (
    <details className="field" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>File</summary>
      {open &&
        counts?.map((field) => (
          <div key={field.name} className="sub-field">
            <h3>{sentence(field.name)}</h3>
            <Control field={field} filter={fields[field.name]} set={set} />
          </div>
        ))}
    </details>
  );
}

/** The filter as text, which can express more than the controls. */
function FilterText({ where, update, open }: Pick<Props, "where" | "update"> & { open: boolean }) {
  const { draft, change, settle } = useDraft(where, (next) => update({ where: next }, "where"), 700);
  const field = useId();
  return (
    <details className="field" open={open}>
      <summary>Filter expression</summary>
      <label className="hidden" htmlFor={field}>
        Filter expression
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
      <p className="soft">Conditions that the controls above cannot show are kept as written.</p>
    </details>
  );
}

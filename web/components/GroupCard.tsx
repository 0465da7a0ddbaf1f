/** One group of duplicates: its pictures side by side, and what can be done about them. */

import { type ReactNode, type Ref, useState } from "react";
import { Icon, type IconName } from "@/components/Icon";
import { at, type Group, type Match, thumbnail } from "@/lib/api";
import { bytes, caption, percent } from "@/lib/words";

export interface GroupActions {
  keep: (id: string) => void;
  keepAll: () => void;
  notDuplicates: (ids: string[]) => void;
  remove: (ids: string[]) => void;
  undo: () => void;
}

interface Props {
  group: Group;
  number: number;
  write: boolean;
  active: boolean;
  differing: boolean;
  /** Ids that are about to be removed. */
  leaving: string[];
  actions: GroupActions;
  ref: Ref<HTMLElement>;
  onFocus: () => void;
}

const VERDICTS: Record<string, string> = {
  identical: "Identical",
  "same-pixels": "Same pixels",
  "same-picture": "Same picture",
  similar: "Similar",
};

export function GroupCard({
  group, number, write, active, differing, leaving, actions, ref, onFocus,
}: Props) {
  const copies = group.members.filter((member) => member.id !== group.keeper);
  const removable = copies.filter((member) => member.verdict !== "similar").map(({ id }) => id);
  const all = group.members.map((member) => member.id);
  return (
    <article
      className="group"
      ref={ref}
      tabIndex={-1}
      aria-label={`Group ${number}: ${group.members.length} images`}
      data-active={active}
      data-leaving={leaving.length > 0}
      onFocus={onFocus}
      onPointerDown={onFocus}
    >
      <header className="group-head">
        <h2>
          {VERDICTS[group.verdict] ?? group.verdict} <span className="soft">{group.members.length} images</span>
        </h2>
        <span className="spring" />
        {write && leaving.length > 0 && (
          <>
            <p role="status">Removing {leaving.length}…</p>
            <Act icon="undo" onClick={actions.undo} letter="u">
              Undo
            </Act>
          </>
        )}
        {write && leaving.length === 0 && (
          <>
            <Act icon="check" onClick={actions.keepAll} letter="a">
              Keep all
            </Act>
            <Act icon="differ" onClick={() => actions.notDuplicates(all)} letter="n">
              Not duplicates
            </Act>
            {removable.length > 0 && (
              <Act icon="trash" onClick={() => actions.remove(removable)} letter="x">
                Remove {removable.length === 1 ? "the copy" : `${removable.length} copies`}
              </Act>
            )}
          </>
        )}
      </header>
      <ul className="members">
        {group.members.map((member, i) => (
          <Member
            key={member.id}
            member={member}
            number={i + 1}
            group={group}
            write={write && leaving.length === 0}
            leaving={leaving.includes(member.id)}
            differing={differing}
            actions={actions}
          />
        ))}
      </ul>
    </article>
  );
}

interface ActProps {
  icon: IconName;
  letter: string;
  onClick: () => void;
  children: ReactNode;
}

function Act({ icon, letter, onClick, children }: ActProps) {
  return (
    <button type="button" className="button small" aria-keyshortcuts={letter} onClick={onClick}>
      <Icon name={icon} />
      {children}
      <kbd>{letter}</kbd>
    </button>
  );
}

interface MemberProps {
  member: Match;
  number: number;
  group: Group;
  write: boolean;
  leaving: boolean;
  differing: boolean;
  actions: GroupActions;
}

function Member({ member, number, group, write, leaving, differing, actions }: MemberProps) {
  const { id, payload, evidence } = member;
  const { image } = payload;
  const [looking, setLooking] = useState(false);
  const [held, setHeld] = useState(false);
  const stays = id === group.keeper;
  const comparable = !stays && member.verdict !== "identical";
  const differs = comparable && (differing || looking || held);
  const name = caption(id, payload);
  const why = typeof evidence.why === "string" ? evidence.why : "";
  const agreement = typeof evidence.correlation === "number" ? evidence.correlation : null;
  return (
    <li className="member" data-stays={stays} data-leaving={leaving}>
      <button
        type="button"
        className="ground member-picture"
        aria-label={
          `${number} ${name}${stays ? ", stays" : comparable ? ": show what differs" : ", the same bytes"}`
        }
        aria-pressed={comparable ? held : undefined}
        onPointerEnter={(event) => setLooking(event.pointerType === "mouse")}
        onPointerLeave={() => setLooking(false)}
        onFocus={(event) => setLooking(event.currentTarget.matches(":focus-visible"))}
        onBlur={() => setLooking(false)}
        onClick={() => setHeld(!held)}
      >
        <img src={thumbnail(id)} alt="" width={image.width} height={image.height} loading="lazy" />
        {differs && <Difference keeper={group.keeper} copy={id} />}
        <kbd>{number}</kbd>
      </button>
      <div className="member-text">
        <p className="member-state">
          {stays ? (
            <>
              <Icon name="check" />
              <b>Stays</b> {group.reason}
            </>
          ) : (
            <>
              <b>{VERDICTS[member.verdict] ?? member.verdict}</b> {why}
              {agreement !== null && `, agrees ${percent(agreement)}`}
            </>
          )}
        </p>
        <p className="soft" title={image.uri}>
          {name}
        </p>
        <p className="soft">
          {image.width} × {image.height} · {bytes(image.bytes)} · {image.format}
        </p>
        {write && !stays && (
          <div className="member-actions">
            <button type="button" className="link" onClick={() => actions.keep(id)}>
              Keep this one
            </button>
            <button type="button" className="link" onClick={() => actions.notDuplicates([group.keeper, id])}>
              Not a copy
            </button>
            <button type="button" className="link" onClick={() => actions.remove([id])}>
              Remove
            </button>
          </div>
        )}
      </div>
    </li>
  );
}

/** The keeper in grey, and in red where the copy is another. */
function Difference({ keeper, copy }: { keeper: string; copy: string }) {
  const [untold, setUntold] = useState(false);
  if (untold) return <span className="difference untold">It cannot be told what differs</span>;
  return (
    <img
      className="difference"
      src={at("/v1/duplicates/difference", { keeper, copy })}
      alt="What differs, in red"
      onError={() => setUntold(true)}
    />
  );
}

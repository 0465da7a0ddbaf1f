/** A group of duplicates: its images side by side, with actions on them. */

import { type ReactNode, type Ref, useState } from "react";
import { Icon, type IconName } from "@/components/Icon";
import { type Group, type Member, thumbnail, url } from "@/lib/api";
import { bytes, caption, percent } from "@/lib/format";
import { removable } from "@/lib/groups";

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
  showDifferences: boolean;
  /** Ids to be removed once the time for Undo is over. */
  removing: string[];
  actions: GroupActions;
  ref: Ref<HTMLElement>;
  onFocus: () => void;
}

const VERDICTS: Record<Group["verdict"], string> = {
  identical: "Identical",
  "same-pixels": "Same pixels",
  "same-picture": "Same picture",
  similar: "Similar",
};

export function GroupCard({
  group, number, write, active, showDifferences, removing, actions, ref, onFocus,
}: Props) {
  const copies = removable(group);
  const ids = group.members.map((member) => member.id);
  return (
    <article
      className="group"
      ref={ref}
      tabIndex={-1}
      aria-label={`Group ${number}: ${group.members.length} images`}
      data-active={active}
      onFocus={onFocus}
      onPointerDown={onFocus}
    >
      <header className="group-head">
        <h2>
          {VERDICTS[group.verdict]} <span className="soft">{group.members.length} images</span>
        </h2>
        <span className="spacer" />
        {write && removing.length > 0 && (
          <>
            <p role="status">Removing {removing.length}…</p>
            <ActionButton icon="undo" onClick={actions.undo} shortcut="u">
              Undo
            </ActionButton>
          </>
        )}
        {write && removing.length === 0 && (
          <>
            <ActionButton icon="check" onClick={actions.keepAll} shortcut="a">
              Keep all
            </ActionButton>
            <ActionButton icon="difference" onClick={() => actions.notDuplicates(ids)} shortcut="n">
              Not duplicates
            </ActionButton>
            {copies.length > 0 && (
              <ActionButton icon="trash" onClick={() => actions.remove(copies)} shortcut="x">
                Remove {copies.length === 1 ? "the copy" : `${copies.length} copies`}
              </ActionButton>
            )}
          </>
        )}
      </header>
      <ul className="members">
        {group.members.map((member, i) => (
          <MemberCard
            key={member.id}
            member={member}
            number={i + 1}
            group={group}
            write={write && removing.length === 0}
            removing={removing.includes(member.id)}
            showDifferences={showDifferences}
            actions={actions}
          />
        ))}
      </ul>
    </article>
  );
}

interface ActionButtonProps {
  icon: IconName;
  shortcut: string;
  onClick: () => void;
  children: ReactNode;
}

function ActionButton({ icon, shortcut, onClick, children }: ActionButtonProps) {
  return (
    <button type="button" className="button small" aria-keyshortcuts={shortcut} onClick={onClick}>
      <Icon name={icon} />
      {children}
      <kbd>{shortcut}</kbd>
    </button>
  );
}

interface MemberProps {
  member: Member;
  number: number;
  group: Group;
  write: boolean;
  removing: boolean;
  showDifferences: boolean;
  actions: GroupActions;
}

function MemberCard({ member, number, group, write, removing, showDifferences, actions }: MemberProps) {
  const { id, payload, evidence } = member;
  const { image } = payload;
  const [hovered, setHovered] = useState(false);
  const [pinned, setPinned] = useState(false);
  const isKeeper = id === group.keeper;
  const comparable = !isKeeper && member.verdict !== "identical";
  const compared = comparable && (showDifferences || hovered || pinned);
  const name = caption(id, payload);
  const why = typeof evidence.why === "string" ? evidence.why : "";
  const correlation = typeof evidence.correlation === "number" ? evidence.correlation : null;
  return (
    <li className="member" data-keeper={isKeeper} data-removing={removing}>
      <button
        type="button"
        className="ground member-image"
        aria-label={
          `${number} ${name}${isKeeper ? ", keeper" : comparable ? ": show differences" : ", the same bytes"}`
        }
        aria-pressed={comparable ? pinned : undefined}
        onPointerEnter={(event) => setHovered(event.pointerType === "mouse")}
        onPointerLeave={() => setHovered(false)}
        onFocus={(event) => setHovered(event.currentTarget.matches(":focus-visible"))}
        onBlur={() => setHovered(false)}
        onClick={() => setPinned(!pinned)}
      >
        <img src={thumbnail(id)} alt="" width={image.width} height={image.height} loading="lazy" />
        {compared && <Difference keeper={group.keeper} copy={id} />}
        <kbd>{number}</kbd>
      </button>
      <div className="member-text">
        <p className="member-state">
          {isKeeper ? (
            <>
              <Icon name="check" />
              <b>Keep</b> {group.reason}
            </>
          ) : (
            <>
              <b>{VERDICTS[member.verdict]}</b> {why}
              {correlation !== null && `, ${percent(correlation)} agreement`}
            </>
          )}
        </p>
        {!isKeeper && member.holds_more.length > 0 && (
          <p className="member-stays">
            <Icon name="plus" />
            <b>Holds more:</b> {member.holds_more.join(", ")}
          </p>
        )}
        {member.protected && (
          <p className="member-stays">
            <Icon name="lock" />
            <b>Protected folder</b>
          </p>
        )}
        <p className="soft" title={image.uri}>
          {name}
        </p>
        <p className="soft">
          {image.width} × {image.height} · {bytes(image.bytes)} · {image.format}
        </p>
        {write && !isKeeper && (
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

/** The keeper in gray, with red where the copy differs. */
function Difference({ keeper, copy }: { keeper: string; copy: string }) {
  const [unavailable, setUnavailable] = useState(false);
  if (unavailable) return <span className="difference unavailable">Differences cannot be shown</span>;
  return (
    <img
      className="difference"
      src={url("/v1/duplicates/difference", { keeper, copy })}
      alt="Differences in red"
      onError={() => setUnavailable(true)}
    />
  );
}

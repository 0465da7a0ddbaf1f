/** Bar with the liked and disliked examples that refine the search. */

import { IconButton } from "@/components/Controls";
import { Icon } from "@/components/Icon";
import { thumbnail } from "@/lib/api";
import type { Update } from "@/lib/hooks";
import type { Search } from "@/lib/state";

interface Props {
  search: Search;
  update: Update;
  undo: () => void;
}

export function ExamplesBar({ search, update, undo }: Props) {
  const { likes, dislikes } = search;
  return (
    <aside className="examples" aria-label="Likes and dislikes">
      <Row
        icon="like"
        label="More like"
        ids={likes}
        remove={(id) => update({ likes: likes.filter((other) => other !== id) })}
      />
      <Row
        icon="dislike"
        label="Less like"
        ids={dislikes}
        remove={(id) => update({ dislikes: dislikes.filter((other) => other !== id) })}
      />
      <span className="spacer" />
      <button type="button" className="button small" onClick={undo}>
        <Icon name="undo" />
        Undo
      </button>
      <button
        type="button"
        className="button small"
        onClick={() => update({ likes: [], dislikes: [], strategy: "" })}
      >
        Clear
      </button>
    </aside>
  );
}

interface RowProps {
  icon: "like" | "dislike";
  label: string;
  ids: string[];
  remove: (id: string) => void;
}

function Row({ icon, label, ids, remove }: RowProps) {
  if (!ids.length) return null;
  return (
    <div className="examples-row">
      <Icon name={icon} />
      <span className="hidden">{label}</span>
      <ul>
        {ids.map((id) => (
          <li key={id} className="example">
            <img src={thumbnail(id, 96)} alt={id} />
            <IconButton icon="close" label={`Remove ${id}`} onClick={() => remove(id)} />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Colors of a query: eleven basic terms, CSS names or #rrggbb, each with a share or without. */

/** The eleven basic terms with the shade that stands for each on a swatch. */
export const BASIC: Record<string, string> = {
  black: "#16161a", white: "#ffffff", grey: "#8e8e93", red: "#d02f2f", orange: "#ee7f1e",
  yellow: "#f5cd31", green: "#3a9150", blue: "#2f63c9", purple: "#8045b0", pink: "#ee8fb5",
  brown: "#7d5233",
}; // prettier-ignore

export interface Wanted {
  color: string;
  share: number | null;
}

export function readColor(written: string): Wanted {
  const [color = "", share] = written.split("=");
  return { color, share: share === undefined ? null : Number(share) };
}

export const writeColor = ({ color, share }: Wanted) =>
  share === null ? color : `${color}=${Number(share.toFixed(2))}`;

export const shade = (color: string) => BASIC[color] ?? color;

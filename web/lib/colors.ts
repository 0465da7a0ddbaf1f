/** Query colors: eleven basic terms, CSS names or #rrggbb, each with an optional share. */

/** The eleven basic terms, each with the shade that its swatch shows. */
export const BASIC: Record<string, string> = {
  black: "#16161a", white: "#ffffff", grey: "#8e8e93", red: "#d02f2f", orange: "#ee7f1e",
  yellow: "#f5cd31", green: "#3a9150", blue: "#2f63c9", purple: "#8045b0", pink: "#ee8fb5",
  brown: "#7d5233",
}; // prettier-ignore

export interface QueryColor {
  color: string;
  share: number | null;
}

export function parseColor(text: string): QueryColor {
  const [color = "", share] = text.split("=");
  return { color, share: share === undefined ? null : Number(share) };
}

export const formatColor = ({ color, share }: QueryColor) =>
  share === null ? color : `${color}=${Number(share.toFixed(2))}`;

export const shade = (color: string) => BASIC[color] ?? color;

/** Line icons on a 24-unit grid, drawn in the text color. */

const PATHS = {
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14Zm5 12 5 5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z",
  palette: "M12 3a9 9 0 1 0 0 18c1.6 0 2-1 1.6-2-.6-1.4.2-2.5 1.7-2.5H18a3 3 0 0 0 3-3.3C20.6 7.5 16.8 3 12 3ZM7.5 12h.01M10 7.5h.01M15 7.5h.01",
  similar: "M4 4h10v10H4zM10 17.5V20h10V10h-2.5",
  like: "M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.3 4.3 4.3 0 0 1 19.5 10c0 5.4-7.5 10-7.5 10Z",
  dislike: "M5 12a7 7 0 1 1 14 0 7 7 0 0 1-14 0Zm2-5 10 10",
  chart: "M5 20v-6M12 20V5M19 20v-9",
  close: "m6 6 12 12M18 6 6 18",
  left: "m15 5-7 7 7 7",
  right: "m9 5 7 7-7 7",
  undo: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  crop: "M7 2v15h15M2 7h15v15",
  ascending: "M7 20V4M3 8l4-4 4 4M14 6h3M14 12h5M14 18h7",
  descending: "M7 4v16M3 16l4 4 4-4M14 6h7M14 12h5M14 18h3",
  filter: "M4 6h16M7 12h10M10 18h4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M19 5l-1.4 1.4M6.4 17.6 5 19",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  check: "m5 12 5 5L20 7",
  plus: "M12 5v14M5 12h14",
  lock: "M5 11h14v9H5zM8 11V8a4 4 0 0 1 8 0v3",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
  copies: "M8 8h12v12H8zM16 8V4H4v12h4",
  difference: "M4 5h7v14H4zM13 5h7v14h-7zM15.5 9h2M15.5 12h2M15.5 15h2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The logo: two overlapping images. */
export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 24 24" aria-hidden="true">
      <rect x="2" y="2" width="14" height="14" rx="4" />
      <rect x="8" y="8" width="14" height="14" rx="4" />
    </svg>
  );
}

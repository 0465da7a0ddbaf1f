import type { NextConfig } from "next";

const config: NextConfig = {
  output: "export",
  reactStrictMode: true,
  poweredByHeader: false,
  images: { unoptimized: true },
  devIndicators: false,
  // The export is committed, so the same sources must give the same bytes in any folder.
  generateBuildId: () => "lookalike",
};

export default config;

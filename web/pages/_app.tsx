import type { AppProps } from "next/app";
import { Shell } from "@/components/Shell";
import "@/styles/base.css";
import "@/styles/search.css";
import "@/styles/filters.css";
import "@/styles/details.css";
import "@/styles/duplicates.css";
import "@/styles/library.css";

export default function App({ Component, pageProps }: AppProps) {
  return (
    <Shell>
      <Component {...pageProps} />
    </Shell>
  );
}

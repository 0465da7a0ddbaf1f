import Link from "next/link";

export default function NotFound() {
  return (
    <div className="empty">
      <h1>There is no such page</h1>
      <p>
        <Link href="/" prefetch={false}>
          Search
        </Link>{" "}
        is where everything starts.
      </p>
    </div>
  );
}

import Link from "next/link";

export default function NotFound() {
  return (
    <div className="empty">
      <h1>Page not found</h1>
      <p>
        <Link href="/" prefetch={false}>
          Go to search
        </Link>
      </p>
    </div>
  );
}

"""Middleware: admission, authentication, origin, headers, metrics."""

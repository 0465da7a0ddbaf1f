"""Filters: the `where` language and Qdrant JSON."""

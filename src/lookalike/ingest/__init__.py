"""Ingest: list, read, describe, write."""

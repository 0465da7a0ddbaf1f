"""Watching of folders and buckets: where the ordinary ingest is to run again."""

"""Metadata files: reading rows, inferring types, joining rows to images."""

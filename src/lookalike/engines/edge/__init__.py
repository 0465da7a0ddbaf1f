"""The embedded engine: Qdrant Edge."""

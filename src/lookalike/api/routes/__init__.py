"""The calls of the API, one module a topic: each parses, calls the index, and renders."""

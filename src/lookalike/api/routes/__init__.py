"""The routes of the API, one module per topic: each parses, calls the index, and renders."""

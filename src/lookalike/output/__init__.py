"""Documents and pages: results as JSON, CSV and HTML."""

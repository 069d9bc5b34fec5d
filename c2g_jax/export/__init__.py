"""Scene graphs in files: our JSON, the formats of others, painted videos, tables."""

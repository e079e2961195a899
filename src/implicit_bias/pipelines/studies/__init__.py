"""Studies: stages beside those of a sweep, and pipelines of their own."""

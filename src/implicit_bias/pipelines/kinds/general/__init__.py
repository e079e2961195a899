"""Linear networks of any kind, given by their end-to-end matrix."""

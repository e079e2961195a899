"""Tables of one's own: read from files or from a catalog, checked, and turned into a data set."""

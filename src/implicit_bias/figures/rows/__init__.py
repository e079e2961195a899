"""The rows of the registry of figures: of each what draws it from the results of a sweep, and its words."""

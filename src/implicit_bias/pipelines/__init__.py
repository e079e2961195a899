"""The workflow: six stages, the last four of them once for each sweep."""

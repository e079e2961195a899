"""What a network is: its reduced state, its imbalance; one module or subpackage per kind."""

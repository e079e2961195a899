"""Networks other than the paper's: more layers, on the same problems, with the same law."""

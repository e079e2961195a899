"""Initial networks, drawn or built as reduced states."""

"""Networks of one hidden layer with an activation."""

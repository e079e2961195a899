"""The paper's network: one hidden layer, linear."""

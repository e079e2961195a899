"""The law of the distance to the min-norm solution: exact given a run, and predicted before training."""

"""A sweep: its parameters, its points, its manifest, and computing each point once, anywhere."""

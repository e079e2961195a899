"""Training: solvers of the gradient flow and gradient descent, and what they record."""

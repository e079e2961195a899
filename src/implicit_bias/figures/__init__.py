"""The figures: pure functions from arrays to matplotlib figures. Units and symbols are the paper's.

Solid lines and points are measured, dashed lines are guaranteed before training, dotted lines are certified after it,
black lines with a grey band are the law of the min-norm distance with its 95 % band: predicted, not fitted.
Layouts and ticks are fixed in advance, which keeps drawing fast and equal inputs equal to the byte.
"""

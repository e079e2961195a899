"""How the points of a sweep are computed: one package per kind of network, with a module for each step of a point.

`initialize.draw`, `train.train` and `evaluate.measure` take the point, its sweep, its Problem and the records of the
earlier steps. Where the kind `reads_rows`, the data set of the point (X, Y, X_test, Y_test) comes last.
`results.summary` takes the sweep, its problems and its table.
"""

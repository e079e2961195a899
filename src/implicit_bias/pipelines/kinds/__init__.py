"""What a sweep trains: one package per kind of network, with a module for each step of a point.

A step takes the point, its sweep, the fields of its Problem and the records of the earlier steps. Where
`Sweep.reads_rows` says so, the data set of the point (X, Y, X_test, Y_test) comes last. Its `param/`, `metric/` and
`curve/` entries are tracked. The stages `initialization`, `training` and `evaluation` name the steps of each kind.
"""

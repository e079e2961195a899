"""The workflow: six stages, the last four of them once for each sweep.

Arguments of nodes are called as the datasets that they take:

- `data`: name -> loader of X (n, D), Y (n, m), how they were made, and where there are such, test rows X_test, Y_test
- `problems`: name -> loader of a Problem's fields
- `sweep`: its validated parameters
- `plan`: title, parameters, points and data sets of the sweep, written down before any point is run
- `stored`: what earlier runs have left, by dataset
- `initial_states`, `trajectories`: point -> loader of a State's fields, and of a Trajectory's with its loss
- `evaluations`: point -> loader of metrics and curves, or of the `Failure` that took their place
- `table`: one row per finished point
- `tracked`: where the sweep is tracked; empty if it is not
- `images`: pictures, as PNG
"""

"""The network of a point, and the test rows it is measured at."""

from implicit_bias.sweeps.handover import DataFields
from implicit_bias.sweeps.parameters import Point
from implicit_bias.theory.networks.activation import Model, activation, read_points
from implicit_bias.theory.networks.activation.points import Points
from implicit_bias.theory.networks.activation.samples import Samples
from implicit_bias.theory.problem import Problem


def model_of(point: Point, problem: Problem, rows: DataFields) -> Model:
    """The network of a point on the samples X (n, D), Y (n, m) of its data set.

    The rank is that of the problem, whatever rule has chosen it.
    """
    return Model(Samples(problem, Z=rows["X"] @ problem.Phi1, Y=rows["Y"]), activation(str(point.activation)))


def points_of(model: Model, rows: DataFields) -> Points:
    """The test rows X_test (N, D) of a data set."""
    return read_points(model.samples.problem, rows["X_test"])

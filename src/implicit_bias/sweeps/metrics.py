"""What the metrics of a point are, by name, as MLflow keeps it with a sweep. docs/metrics.md has their formulas."""

from collections.abc import Mapping

from implicit_bias.theory.bounds.registry import RUN_BOUNDS

RUN = {
    "distance": "distance of the trained network to the min-norm solution, in the Frobenius norm",
    "loss": "averaged loss at the end",
    "iterations": "length of the run in steps of gradient descent; infinite where the limit itself is reached",
    "t_stop": "length of the run in flow time",
    "steps": "steps of the integrator, or iterations of the descent",
    "seconds": "seconds of training; the duration that MLflow shows includes waiting for other points",
    "rate": "decay of the excess loss at the end, per unit of flow time",
    "imbalance_drift": "largest change of the imbalance along the run, relative to the size of the weights",
    "distance_op": "distance of the trained network to the min-norm solution, in the spectral norm",
    "u2v": "part of the distance that training cannot remove, at the end",
    "distance_init": "the same at the start",
    "kernel_move": "relative movement of the tangent kernel",
    "law_rms_run": "root mean square distance by the law, given the last layers of the run",
    "law_bound_run": "what the distance stays below with probability 1 - delta, given the last layers of the run",
    "law_worst": "largest ratio along the run of u2v to its bound by the law, at most 1 with probability 1 - delta",
    "law_final": "the same ratio at the end",
    "met/law": "1 if the initial entries are those of the law",
    "curve/distance": "distance along the run",
    "curve/u2v": "u2v along the run",
    "curve/loss": "averaged loss along the run",
    "curve/excess": "averaged loss along the run, less its smallest possible value",
    "curve/kernel_move": "kernel_move along the run",
    "curve/law": "bound of u2v by the law along the run, at each time with probability 1 - delta",
}
"""Of a run of any linear network."""

LINEAR = RUN | {
    "law_rms": "root mean square distance by the law, known before training",
    "law_bound": "what the distance stays below with probability 1 - delta, known before training",
    "certificate": "bound of the distance certified by the path of the run",
    "rate_bound": "rate of the loss that the imbalance at the start guarantees",
}
"""Of the paper's network, and of deep ones."""

TWO_LAYER = LINEAR | {
    "imbalance_c": "level of imbalance at the start, c in Theorem 1: lambda_r + lambda_m, where they are positive",
    "lambda_r": "r-th largest eigenvalue of the imbalance",
    "lambda_m": "m-th largest eigenvalue of minus the imbalance",
    "loss_error": "estimated relative error of the late losses of a flow; 0 where they are right to sqrt(tol)",
    "limit_rate": "rate of the loss at the end in the limit of large width",
    **{f"lhs_{number}": f"left-hand side of the paper's ({number})" for number in (17, 18, 19)},
    **{f"lemma_{number}": f"right-hand side of the paper's ({number})" for number in (17, 18, 19)},
    **{f"tight_{number}": f"({number}): the smaller side divided by the larger one" for number in (17, 18, 19)},
    **{f"met/{name}": "1 if its hypotheses are met" for name in ("lemma_17", "lemma_18", "lemma_19", "thm2")},
    "thm2": "bound of the distance by Theorem 2",
    "tight_thm2": "distance in the spectral norm divided by the bound of Theorem 2",
    "tight_thm2F": "distance in the Frobenius norm divided by the bound of Theorem 2",
}
"""Of the paper's network."""

DEEP = LINEAR | {
    "depth": "number of layers",
    "levels": "levels that the reduction needed",
    "directions": "hidden directions that the reduction keeps in all",
    "leak": "largest part of the run that reaches what the reduction leaves out: about the relative error of distance",
    "tail_rank": "effective rank of M^T M at the end, M the product of all layers but the first",
    "met/reach": "1 if the product of the layers can have the rank of the min-norm solution",
    "imbalance/LAYER": "imbalance of each hidden layer at the start",
    "imbalance_drift/LAYER": "its change along the run, relative to the size of its two layers",
}
"""Of networks of several depths."""

ACTIVATION = {name: RUN[name] for name in ("loss", "iterations", "t_stop", "steps", "seconds", "kernel_move")} | {
    "curve/loss": RUN["curve/loss"],
    "curve/excess": RUN["curve/excess"],
    "evaluations": "gradients that training took",
    "frozen_rms": "root mean square over the test rows of the standard deviation by the frozen law, given the run",
    "frozen_deviation": "root mean square deviation of the predictions from the mean of the frozen law",
    "frozen_bound": "what that deviation stays below with probability 1 - delta",
    "frozen_p": "upper tail probability of that deviation",
    "kernel_distance": "distance of the predictions to those of the kernel at infinite width",
    "linear_distance": "distance of the predictions to those of the min-norm solution",
    "prediction_rms": "root mean square of the predictions",
    "neuron_drift": "change of ||u_j||^2 - k ||v_j||^2, summed over the neurons, relative to the size of the weights",
    "curve/neuron_drift": "neuron_drift along the run",
    "imbalance_U": "sum of the positive parts of ||u_j||^2 - k ||v_j||^2 at the start",
    "imbalance_V": "sum of the negative parts of ||u_j||^2 - k ||v_j||^2 at the start",
}
"""Of networks with activations."""


def with_bounds(metrics: Mapping[str, str], *names: str) -> dict[str, str]:
    """What metrics and curves are, those of bounds along a run included."""
    told = dict(metrics)
    for row in map(RUN_BOUNDS.__getitem__, names):
        what = f"{row.label}: {row.statement}"
        told |= {
            f"{row.name}_worst": f"largest ratio along the run of what is bounded to its bound, at most 1 ({what})",
            f"{row.name}_final": f"the same ratio at the end ({what})",
            f"met/{row.name}": f"1 if the hypotheses of the bound are met ({what})",
            f"curve/{row.name}": f"the bound along the run ({what})",
        }
    return told

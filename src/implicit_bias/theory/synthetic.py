"""Synthetic regression data of the paper's experiments (Appendix A), and of any rank and conditioning."""

import numpy as np

from implicit_bias.theory.problem import Array

SPECTRA = ("gaussian", "whitened", "geometric")


def draw_data(
    n: int,
    D: int,
    m: int,
    rng: np.random.Generator,
    spectrum: str = "gaussian",
    cond: float = 1.0,
    rank: int | None = None,
    theta_std: float | None = None,
    noise_std: float = 0.01,
) -> tuple[Array, Array, Array]:
    """Draw X (n, D), Y = X Theta + noise (n, m) and Theta (D, m).

    One seed gives the same singular vectors, Theta and noise for every spectrum.

    Args:
        n: number of samples.
        D: input dimension.
        m: output dimension.
        rng: source of all randomness.
        spectrum: "gaussian", entries of X are N(0, 1/D) (Figure 1); "whitened", all singular values are 1 (Figure 2);
            "geometric", singular values evenly spaced in logarithm from 1 down to cond^{-1/2}.
        cond: lambda_1(Sigma_x) / lambda_r(Sigma_x) of the geometric spectrum, at least 1.
        rank: number of singular values kept; None means min(n, D).
        theta_std: standard deviation of the entries of Theta; None means D^{-1/2}.
        noise_std: standard deviation of the noise.
    """
    X0 = rng.standard_normal((n, D))
    theta = rng.standard_normal((D, m)) * (D**-0.5 if theta_std is None else theta_std)
    noise = noise_std * rng.standard_normal((n, m))
    rank = min(n, D) if rank is None else rank
    if spectrum == "gaussian" and rank == min(n, D):
        X = X0 / np.sqrt(D)
    else:
        W, s, PhiT = np.linalg.svd(X0, full_matrices=False)
        spectra = {
            "gaussian": s[:rank] / np.sqrt(D),
            "whitened": np.ones(rank),
            "geometric": np.geomspace(1.0, cond**-0.5, rank),
        }
        X = (W[:, :rank] * spectra[spectrum]) @ PhiT[:rank]
    return X, X @ theta + noise, theta


def draw_held_out(count: int, theta: Array, rng: np.random.Generator, noise_std: float = 0.01) -> tuple[Array, Array]:
    """Draw test rows X_test (count, D) with entries N(0, 1/D) and Y_test = X_test Theta + noise (count, m).

    That is the population of Figure 1's training rows. Of the spectra "whitened" and "geometric", and of a rank below
    min(n, D), it is the population of the training rows before their spectrum is replaced.

    Args:
        count: number of test rows.
        theta: (D, m) the teacher of the training rows.
        rng: source of all randomness; after `draw_data` has used it, the training data do not depend on `count`.
        noise_std: standard deviation of the noise.
    """
    D, m = theta.shape
    X_test = rng.standard_normal((count, D)) / np.sqrt(D)
    return X_test, X_test @ theta + noise_std * rng.standard_normal((count, m))

"""
Fits the polynomials of src/backends/polynomials.ts and prints them as TypeScript.

Method: Lawson's algorithm minimises the largest relative error: least squares on Chebyshev points, again and again,
each point's weight multiplied by its error, until all peaks of the error are level, which is the minimax polynomial.
Its coefficients are rounded to float32 one at a time, lowest power first, and those not yet rounded are fitted again,
so that later ones make good the rounding of earlier ones.

Run: python3 scripts/fit-polynomials.py    (needs NumPy)
"""
import math

import numpy as np


def lawson(columns, target, rounds=300):
    """The coefficients c that minimise max |target - columns @ c|."""
    scale = np.abs(columns).max(axis=0)
    weights, best, least = np.ones(len(target)), None, math.inf
    for _ in range(rounds):
        root = np.sqrt(weights)
        c = np.linalg.lstsq(columns / scale * root[:, None], target * root, rcond=None)[0] / scale
        error = np.abs(target - columns @ c)
        if error.max() < least:
            best, least = c, error.max()
        weights = weights * error / (weights * error).max() + 1e-30
    return best


def fit(name, f, low, high, powers, damping=np.ones_like, points=1500):
    """Prints float32 coefficients c with f(x) = x + sum c[k] x^k on [low, high], for the given powers k.

    What is minimised is damping(x) times the relative error; its maximum is printed in units of 2^-24."""
    x = (low + high) / 2 - (high - low) / 2 * np.cos((np.arange(points) + 0.5) * np.pi / points)
    weight = damping(x) / f(x)
    columns = np.stack([x**k for k in powers], axis=1) * weight[:, None]
    rest = (f(x) - x) * weight
    rounded = []
    for k in range(len(powers)):
        c = np.float32(lawson(columns[:, k:], rest)[0])
        rest = rest - columns[:, k] * float(c)
        rounded.append(str(c))
    print(f"const {name} = [{', '.join(rounded)}]; // {np.abs(rest).max() * 2**24:.2f}")


@np.vectorize
def artanh_erf(x):
    """Where erf is near 1, with 1 - erf from erfc."""
    return math.log((1 + math.erf(x)) / math.erfc(x)) / 2 if x > 0.5 else math.atanh(math.erf(x))


# Half the distance between two multiples of ln 2; rounding to the nearest may land a little beyond it.
half = math.log(2) / 2 * 1.002
fit("EXPM1", np.expm1, -half, half, range(2, 7))
fit("LOG1P", np.log1p, math.sqrt(0.5) - 1, math.sqrt(2) - 1, range(2, 10))
fit("TANH", np.tanh, 1e-9, half / 2, range(3, 8, 2))
# erf x = tanh g: a relative error of g arrives in erf x made smaller by 2g / sinh 2g.
damping = lambda x: 2 * artanh_erf(x) / np.sinh(2 * artanh_erf(x))
fit("ARTANH_ERF", artanh_erf, 1e-6, 3.95, range(1, 18, 2), damping)
# The largest argument of the sine that is left when multiples of a quarter turn are taken off, and its square.
eighth = math.pi / 4 * 1.001
fit("SIN", np.sin, 1e-9, eighth, range(3, 8, 2))
fit("VERSINE", lambda z: 2 * (1 - np.cos(np.sqrt(z))), 1e-6, eighth**2, range(2, 5))
fit("ATAN", np.arctan, 1e-9, math.tan(math.pi / 8) * 1.001, range(3, 10, 2))

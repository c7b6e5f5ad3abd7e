"""The limit of a matmul on this machine: NumPy's float32 product on whatever BLAS it is linked with."""

import common
import numpy as np


def blas():
    """Which BLAS NumPy runs on, as far as threadpoolctl (it comes with scikit-learn) can tell."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ""
    return "".join(f", {pool['internal_api']} {pool['version']}" for pool in threadpool_info() if pool["user_api"] == "blas")


spec = common.start("numpy", f"{np.__version__}{blas()}")
n = spec["matmul"]
random = np.random.default_rng(1)
a, b = random.random((2, n, n), np.float32)
c = np.empty_like(a)


def run(times):
    for _ in range(times):
        np.matmul(a, b, out=c)


run(3)
common.report(gflops=round(common.clock(run) * 2 * n**3 / 1e9, 2))

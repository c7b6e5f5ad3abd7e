"""The limit of a matmul on this machine: NumPy's float32 product on whatever BLAS it is linked with."""

import common
import numpy as np

spec = common.start("sgemm", f"numpy {np.__version__}")
if "matmul" not in spec:
    common.fail("matmul only")
n = spec["matmul"]
random = np.random.default_rng(1)
a, b = random.random((2, n, n), np.float32)
c = np.empty_like(a)


def run(times):
    for _ in range(times):
        np.matmul(a, b, out=c)


run(3)
common.report(gflops=round(common.clock(run) * 2 * n**3 / 1e9, 2))

"""How fast NumPy multiplies matrices here, on one core: for the choice of OpenBLAS's kernels. Prints one JSON line."""

import json
import os
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

N = 512
a, b = np.random.default_rng(1).random((2, N, N), np.float32)
best = 0.0
begin = time.perf_counter()
while time.perf_counter() - begin < 0.4:
    before = time.perf_counter()
    a @ b
    best = max(best, 2 * N**3 / (time.perf_counter() - before) / 1e9)
print(json.dumps({"gflops": best}))

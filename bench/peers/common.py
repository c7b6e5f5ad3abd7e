"""What every Python peer shares: the job, the data, the learning check and the clock (common.mjs is its twin).

A peer is run as `python3 PEER.py '{"workload": NAME, "threads": 1, "seconds": 1}'` and prints one JSON line;
with --probe it only says its version. Import this before NumPy: it sets the number of threads.
"""

import json
import os
import sys
import time

PROBE = sys.argv[1:] == ["--probe"]
JOB = {"threads": 1, "seconds": 1, **({} if PROBE else json.loads(sys.argv[1]))}
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(JOB["threads"])

import numpy as np  # noqa: E402  (after the number of threads)


def start(peer, version):
    """The workload of this job: its fields, layers as [kind, *numbers]; ends the process on --probe."""
    if PROBE:
        print(json.dumps({"peer": peer, "version": version}))
        sys.exit()
    JOB["peer"], JOB["version"] = peer, version
    with open(os.path.join(os.path.dirname(__file__), "..", "workloads.json")) as file:
        spec = json.load(file)[JOB["workload"]]
    if "layers" in spec:
        tokens = [layer.split() for layer in spec["layers"].split(", ")]
        spec["layers"] = [[kind, *map(int, numbers)] for kind, *numbers in tokens]
    return spec


def dataset(spec):
    """8,192 samples, 1,024 images (at least 16 batches): each class is a pattern of its own under noise. XOR is XOR."""
    if "gpt" in spec:
        return tokens(spec)
    if JOB["workload"] == "xor":
        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        return np.tile(x, (2048, 1)), np.tile(np.array([0, 1, 1, 0], np.int64), 2048)
    random = np.random.default_rng(1)
    count = max(1024 if len(spec["input"]) > 1 else 8192, 16 * spec["batch"])
    patterns = random.random((10, *spec["input"]), np.float32)
    y = random.integers(0, 10, count)
    return (patterns[y] + random.random((count, *spec["input"]), np.float32)) / 2, y


def tokens(spec):
    """Sequences in which each token says the next one: 4 batches."""
    vocabulary, places = spec["gpt"]["vocabulary"], spec["places"]
    x = np.zeros((4 * spec["batch"], places + 1), np.int64)
    x[:, 0] = np.random.default_rng(1).integers(0, vocabulary, len(x))
    for t in range(places):
        x[:, t + 1] = (x[:, t] * 7 + 3) % vocabulary
    return x[:, :-1].copy(), x[:, 1:].copy()


def clock(run):
    """Calls run(n) with growing n until the job's time is over; steps per second."""
    steps, n, begin = 0, 1, time.perf_counter()
    while True:
        before = time.perf_counter()
        run(n)
        now = time.perf_counter()
        steps += n
        if now - begin >= JOB["seconds"]:
            return steps / (now - begin)
        if now - before < 0.01:
            n *= 2


def report(**fields):
    print(json.dumps({**{key: JOB[key] for key in ("peer", "version", "workload", "threads")}, **fields}))


def skip(reason):
    """This workload is not for this peer: nothing is shown."""
    report(skipped=reason)
    sys.exit()


def fail(reason):
    """The peer should do this and cannot: the reason is shown in its place."""
    report(error=reason)
    sys.exit(1)


def learned(losses):
    """The mean loss of the first and of the last quarter of the warm-up; fails when it did not fall."""
    quarter = max(1, len(losses) // 4)
    first, last = float(np.mean(losses[:quarter])), float(np.mean(losses[-quarter:]))
    if not last < first:
        fail(f"does not learn: loss {first:.4f} -> {last:.4f}")
    return {"lossFirst": round(first, 4), "lossLast": round(last, 4)}


def measure(spec, step, loss=None):
    """Warms up while checking that the loss falls, then times step(i) and reports samples per second.

    step(i) trains on (or predicts) batch i; loss(i) does the same and returns the loss.
    """
    losses, begin, i = [], time.perf_counter(), 0
    while i < 12 or (time.perf_counter() - begin < 0.5 and i < 4000):
        losses.append(loss(i) if loss else step(i))
        i += 1

    def run(n):
        for k in range(n):
            step(k)

    rate = clock(run) * spec["batch"] * spec.get("places", 1)
    report(samplesPerSecond=round(rate, 1), **(learned(losses) if loss else {}))

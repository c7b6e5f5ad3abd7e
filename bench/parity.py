"""
Whether chainrule learns as well as scikit-learn's MLP when both train the same network on the same rows.

    python3 bench/parity.py [--starts 1] [--init NAME]     # needs scikit-learn; runs bench/parity.ts with `npx tsx`

Iris (classes) and diabetes (regression, R²), 10 seeds each. A seed decides the split, three quarters for training,
which is made here and handed to both; inputs are standardised by the training rows, and so is diabetes' target.
Network, activation, Adam (0.9, 0.999, 1e-8) and its learning rate, batch size and epochs are the same on both sides,
without penalty and without early stopping. Each side shuffles and initialises by its own seed: scikit-learn draws
weights and biases uniformly after Glorot, chainrule does what it does unless told, or as --init says. --starts trains
each split so many times from other weights and takes the mean: one start leaves much to chance, since iris has 38 test
rows a split. Prints the test score of each seed, the means, and the mean difference with its standard error.
"""

import argparse
import json
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

SEEDS = range(10)
TASKS = {
    "iris": {
        "load": load_iris,
        "classes": 3,
        "hidden": [16, 16],
        "activation": "relu",
        "learningRate": 0.005,
        "batchSize": 16,
        "epochs": 100,
    },
    "diabetes": {
        "load": load_diabetes,
        "classes": 0,
        "hidden": [16],
        "activation": "tanh",
        "learningRate": 0.001,
        "batchSize": 32,
        "epochs": 60,
    },
}

parser = argparse.ArgumentParser()
parser.add_argument("--starts", type=int, default=1, help="how many trainings of each split")
parser.add_argument("--init", help="chainrule's initialiser, such as glorotUniform")
options = parser.parse_args()

warnings.filterwarnings("ignore")  # "maximum iterations reached": the number of epochs is given


def split(task, seed):
    x, y = task["load"](return_X_y=True)
    x, held_x, y, held_y = train_test_split(
        x, y, test_size=0.25, random_state=seed, stratify=y if task["classes"] else None
    )
    scaler = StandardScaler().fit(x)
    x, held_x = scaler.transform(x), scaler.transform(held_x)
    if not task["classes"]:
        mean, deviation = y.mean(), y.std()
        y, held_y = (y - mean) / deviation, (held_y - mean) / deviation  # R² is the same on either scale
    return x, y, held_x, held_y


def score_of_sklearn(task, start, x, y, held_x, held_y):
    model = (MLPClassifier if task["classes"] else MLPRegressor)(
        hidden_layer_sizes=task["hidden"],
        activation=task["activation"],
        solver="adam",
        learning_rate_init=task["learningRate"],
        batch_size=task["batchSize"],
        max_iter=task["epochs"],
        alpha=0,
        tol=0,
        n_iter_no_change=10**9,
        random_state=start,
    )
    return model.fit(x, y).score(held_x, held_y)


def write_csv(path, x, y):
    """The columns x0, x1, …, y; numbers in full."""
    names = ",".join([*(f"x{i}" for i in range(x.shape[1])), "y"])
    np.savetxt(path, np.column_stack([x, y]), delimiter=",", header=names, comments="", fmt="%.17g")


print(f"scikit-learn {sklearn.__version__}; {options.starts} start(s) a split; init {options.init or 'by default'}")
with tempfile.TemporaryDirectory() as directory:
    for name, task in TASKS.items():
        theirs, runs = [], []
        for seed in SEEDS:
            x, y, held_x, held_y = split(task, seed)
            files = [str(Path(directory) / f"{name}-{seed}-{part}.csv") for part in ("train", "test")]
            write_csv(files[0], x, y)
            write_csv(files[1], held_x, held_y)
            starts = [seed + 100 * i for i in range(options.starts)]
            runs.append({"starts": starts, "train": files[0], "test": files[1]})
            theirs.append(np.mean([score_of_sklearn(task, start, x, y, held_x, held_y) for start in starts]))
        spec = Path(directory) / f"{name}.json"
        spec.write_text(json.dumps({**{k: v for k, v in task.items() if k != "load"}, "init": options.init, "runs": runs}))
        script = Path(__file__).with_name("parity.ts")
        done = subprocess.run(
            ["npx", "tsx", str(script), str(spec)], cwd=script.parent.parent, check=True, stdout=subprocess.PIPE
        )
        ours = json.loads(done.stdout)
        difference = np.subtract(ours, theirs)
        print(f"\n{name}: {'accuracy' if task['classes'] else 'R²'} on the test rows")
        for label, scores in (("chainrule", ours), ("scikit-learn", theirs)):
            print(f"  {label:13} mean {np.mean(scores):.4f}   " + " ".join(f"{score:.3f}" for score in scores))
        error = difference.std(ddof=1) / len(difference) ** 0.5
        print(f"  difference    mean {difference.mean():+.4f} ± {error:.4f} (standard error)")

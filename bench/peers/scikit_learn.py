"""scikit-learn's MLPClassifier in float32: fit() over whole epochs without shuffling, penalty off."""

import warnings

import common
import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

spec = common.start("sklearn", sklearn.__version__)
kinds = [layer[0] for layer in spec["layers"]]
if set(kinds) - {"dense", "relu", "tanh", "sigmoid"}:
    common.skip("dense networks only")

warnings.filterwarnings("ignore")  # "maximum iterations reached": the clock decides here
x, y = common.dataset(spec)
model = MLPClassifier(
    hidden_layer_sizes=[n[0] for kind, *n in spec["layers"] if kind == "dense"][:-1],
    activation="tanh" if "tanh" in kinds else "relu",
    batch_size=spec["batch"],
    alpha=0,
    shuffle=False,
    tol=0,
    n_iter_no_change=10**9,
    random_state=1,
)


def epochs(n):
    model.set_params(max_iter=n).fit(x, y)


epochs(3)
assert model.coefs_[0].dtype == np.float32
if spec.get("mode") == "inference":
    batches = np.split(x, len(x) // spec["batch"])
    common.measure(spec, lambda i: model.predict_proba(batches[i % len(batches)]))
else:
    # One call of fit trains n epochs; its loss curve says whether it learned.
    losses = model.loss_curve_
    rate = common.clock(epochs) * len(x)
    common.report(samplesPerSecond=round(rate, 1), **common.learned(losses))

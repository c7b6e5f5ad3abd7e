"""Makes operators.json: small ONNX files of one operator each with inputs and what is right, for onnx-operators.test.ts.

Expected values are computed by the reference evaluator of the onnx package (1.23 was used; `pip install onnx`), but for
determinants and optimisers, which are NumPy's. Each case is laid out as ONNX's own are: model.onnx and test_data_set_0.

Run: python3 test/interchange/operators.py
"""
import base64
import json
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

random = np.random.default_rng(13)
cases = {}


def floats(*shape):
    return random.uniform(-1, 1, shape).astype(np.float32)


def ints(values, dtype=np.int64):
    return np.array(values, dtype)


def case(name, op, inputs, opset=23, domain="", outputs=1, expected=None, graphs=None, **attributes):
    """One operator; inputs that are None are left out."""
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    info = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in zip(names, inputs)
        if n
    ]
    given = {n: x for n, x in zip(names, inputs) if n}
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    out = [helper.make_tensor_value_info(r, TensorProto.FLOAT, None) for r in results]
    model = helper.make_model(helper.make_graph([node], name, info, out), opset_imports=imports)
    if expected is None:
        expected = ReferenceEvaluator(model).run(None, given)
    out = [
        helper.make_tensor_value_info(r, helper.np_dtype_to_tensor_dtype(y.dtype), y.shape)
        for r, y in zip(results, expected)
    ]
    save(name, helper.make_model(helper.make_graph([node], name, info, out), opset_imports=imports), given, expected)


def save(name, model, given, expected):
    files = {"model.onnx": model.SerializeToString()}
    for i, x in enumerate(given.values()):
        files[f"test_data_set_0/input_{i}.pb"] = numpy_helper.from_array(np.asarray(x)).SerializeToString()
    for i, y in enumerate(expected):
        files[f"test_data_set_0/output_{i}.pb"] = numpy_helper.from_array(np.asarray(y)).SerializeToString()
    cases[name] = {file: base64.b64encode(data).decode() for file, data in files.items()}


# Images looked at between their pixels; no coordinate is whole, where there would be no derivative.
grid = random.uniform(-1.3, 1.3, (2, 3, 2, 2)).astype(np.float32)
for mode in ["linear", "nearest", "cubic"]:
    for padding in ["zeros", "border", "reflection"]:
        for corners in [0, 1]:
            if mode == "cubic" and padding == "border":
                continue  # the evaluator jumps at half a pixel beyond the border, where PyTorch does not
            case(
                f"gridsample_{mode}_{padding}_{corners}",
                "GridSample",
                [floats(2, 3, 4, 5), grid],
                mode=mode,
                padding_mode=padding,
                align_corners=corners,
            )
for corners in [0, 1]:
    case(f"affinegrid_{corners}", "AffineGrid", [floats(2, 2, 3), ints([2, 1, 3, 4])], align_corners=corners)
rois = np.array([[0.3, 0.4, 5.2, 4.3], [1.2, 0.7, 3.9, 5.6]], np.float32)
for mode in ["avg", "max"]:
    for ratio in [0, 2]:
        case(
            f"roialign_{mode}_{ratio}",
            "RoiAlign",
            [np.abs(floats(2, 2, 7, 6)), rois, ints([1, 0])],
            mode=mode,
            sampling_ratio=ratio,
            output_height=2,
            output_width=3,
        )
case(
    "deformconv",
    "DeformConv",
    [floats(1, 4, 5, 5), floats(6, 2, 3, 3), floats(1, 36, 3, 3) * 0.9, floats(6), np.abs(floats(1, 18, 3, 3))],
    group=2,
    offset_group=2,
    strides=[2, 2],
    pads=[1, 1, 1, 1],
)
case("col2im", "Col2Im", [floats(2, 12, 4), ints([4, 5]), ints([2, 3])], strides=[2, 2])
case("centercroppad", "CenterCropPad", [floats(5, 4, 3), ints([2, 7])], axes=[0, 1])
case("causalconv", "CausalConvWithState", [floats(2, 3, 5), floats(3, 1, 4), floats(3), floats(2, 3, 3)], 27, outputs=2, activation="silu")

# Signals.
for name, given, more in [
    ("real", floats(2, 7, 1), {}),
    ("complex", floats(2, 6, 2), {}),
    ("inverse", floats(2, 5, 2), {"inverse": 1}),
    ("onesided", floats(2, 8, 1), {"onesided": 1}),
]:
    case(f"dft_{name}", "DFT", [given, None, ints(1)], **more)
case("dft_padded", "DFT", [floats(2, 5, 1), ints(8), ints(1)])
case("stft", "STFT", [floats(1, 20, 1), ints(5), np.hanning(8).astype(np.float32)])
case(
    "melweights",
    "MelWeightMatrix",
    [ints(6), ints(32), ints(8192), np.float32(0).reshape(()), np.float32(4096).reshape(())],
)

# What stands in several places.
case("cumprod", "CumProd", [floats(2, 5), ints(1)], 26)
case("cumprod_exclusive_reverse", "CumProd", [floats(2, 5), ints(1)], 26, exclusive=1, reverse=1)
case("tensorscatter", "TensorScatter", [floats(2, 1, 4, 3), floats(2, 1, 2, 3), ints([1, 2])], 24)
case("tensorscatter_circular", "TensorScatter", [floats(2, 1, 4, 3), floats(2, 1, 2, 3), ints([3, 1])], 24, mode="circular")
case(
    "tfidf",
    "TfIdfVectorizer",
    [ints([[2, 3, 5, 4, 5, 6, 5, 5], [5, 4, 5, 4, 2, 3, 5, 6]])],
    mode="TFIDF",
    min_gram_length=1,
    max_gram_length=2,
    max_skip_count=2,
    ngram_counts=[0, 3],
    ngram_indexes=[0, 1, 2, 3, 4, 5],
    pool_int64s=[2, 5, 4, 5, 6, 4, 5, 2, 3],
    weights=[0.5, 1.0, 2.0, 0.25, 3.0, 1.5],
)
case("unique", "Unique", [np.array([2, 1, 1, 3, 4, 3], np.float32)], outputs=4)
case("unique_rows", "Unique", [np.array([[1, 0], [2, 3], [1, 0]], np.float32)], outputs=4, axis=0)
boxes = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 10, 1, 11], [0, 10.4, 1, 11.2], [0, 100, 1, 101]]], np.float32)
scores = np.array([[[0.9, 0.75, 0.6, 0.95, 0.3], [0.1, 0.8, 0.7, 0.2, 0.5]]], np.float32)
case(
    "nonmaxsuppression",
    "NonMaxSuppression",
    [boxes, scores, ints([3]), np.array([0.5], np.float32), np.array([0.25], np.float32)],
)

# Bits.
bits = [random.integers(-(2**31), 2**31, (3, 4)).astype(np.int32) for _ in range(2)]
for op in ["And", "Or", "Xor"]:
    case(f"bitwise_{op.lower()}", f"Bitwise{op}", bits)
case("bitwise_not", "BitwiseNot", [random.integers(0, 256, (5,)).astype(np.uint8)])
case("bitshift", "BitShift", [ints([200, 7, 1], np.uint8), ints([1, 2, 7], np.uint8)], direction="LEFT")
case("bitcast", "BitCast", [floats(4)], 26, to=TensorProto.INT32)

# Whole numbers with scales.
scale = lambda *values: np.array(values, np.float32).reshape(() if len(values) == 1 else (len(values),))
case(
    "qlinearconv",
    "QLinearConv",
    [
        random.integers(0, 256, (1, 2, 4, 4)).astype(np.uint8),
        scale(0.02),
        ints(120, np.uint8),
        random.integers(0, 256, (3, 2, 3, 3)).astype(np.uint8),
        scale(0.01, 0.02, 0.03),
        ints([110, 130, 128], np.uint8),
        scale(0.05),
        ints(100, np.uint8),
    ],
    pads=[1, 1, 1, 1],
)
case(
    "qlinearmatmul",
    "QLinearMatMul",
    [
        random.integers(0, 256, (2, 5)).astype(np.uint8),
        scale(0.02),
        ints(120, np.uint8),
        random.integers(0, 256, (5, 3)).astype(np.uint8),
        scale(0.01),
        ints(125, np.uint8),
        scale(0.03),
        ints(128, np.uint8),
    ],
)
case("quantizelinear_blocked", "QuantizeLinear", [floats(3, 4), np.abs(floats(3, 2)) * 0.02 + 0.005, ints([[128, 10], [3, 200], [90, 91]], np.uint8)], axis=1, block_size=2)
case("dequantizelinear_blocked", "DequantizeLinear", [random.integers(0, 256, (4, 3)).astype(np.uint8), floats(2, 3), ints([[1, 2, 3], [4, 5, 6]], np.uint8)], axis=0, block_size=2)

# Attention without softmax, with windows, and with graphs inside.
for rule in ["linear", "gated", "delta", "gated_delta"]:
    case(
        f"linearattention_{rule}",
        "LinearAttention",
        [
            floats(2, 3, 8),
            floats(2, 3, 4),
            floats(2, 3, 6),
            floats(2, 2, 2, 3),
            floats(2, 3, 2) if "gated" in rule else None,
            np.abs(floats(2, 3, 2)) if "delta" in rule else None,
        ],
        27,
        outputs=2,
        q_num_heads=4,
        kv_num_heads=2,
        update_rule=rule,
    )
case("attention_window", "Attention", [floats(1, 2, 4, 3), floats(1, 2, 6, 3), floats(1, 2, 6, 3)], 28, left_window_size=1, right_window_size=2)
score = helper.make_graph(
    [helper.make_node("Tanh", ["s"], ["t"])],
    "score",
    [helper.make_tensor_value_info("s", TensorProto.FLOAT, ["b", "h", "l", "m"])],
    [helper.make_tensor_value_info("t", TensorProto.FLOAT, ["b", "h", "l", "m"])],
)
case("flexattention", "FlexAttention", [floats(1, 4, 3, 2), floats(1, 2, 3, 2), floats(1, 2, 3, 2)], 26, "ai.onnx.preview", score_mod=score)

# Steps of optimisers, as the specification's pseudo code has them.
rate, count = np.float32(0.1).reshape(()), ints(3)
x, g, v, h = floats(3), floats(3), floats(3), np.abs(floats(3))
train = "ai.onnx.preview.training"
regular = 0.01 * x + g
momentum = 0.9 * v + 0.8 * regular
for mode, direction in [("standard", momentum), ("nesterov", regular + 0.9 * momentum)]:
    case(f"momentum_{mode}", "Momentum", [rate, count, x, g, v], 16, train, 2, [x - rate * direction, momentum], mode=mode, norm_coefficient=0.01, alpha=0.9, beta=0.8)
squares = h + regular * regular
case("adagrad", "Adagrad", [rate, count, x, g, h], 16, train, 2, [x - rate / np.float32(1 + 3 * 0.1) * regular / (np.sqrt(squares) + np.float32(1e-5)), squares], norm_coefficient=0.01, decay_factor=0.1, epsilon=1e-5)
first, second = np.float32(0.9) * v + np.float32(0.1) * g, np.float32(0.999) * h + np.float32(0.001) * g * g
adjusted = np.float32(0.1 * np.sqrt(1 - 0.999**3) / (1 - 0.9**3))
case("adam", "Adam", [rate, count, x, g, v, h], 16, train, 3, [x - adjusted * first / (np.sqrt(second) + np.float32(1e-6)), first, second])
matrices = floats(3, 4, 4)
matrices[1, 0, 0] = 0  # where an elimination without pivots divides by nothing
case("det", "Det", [matrices], expected=[np.linalg.det(matrices.astype(np.float64)).astype(np.float32)])

# Lists of arrays, from one array to one array.
x = floats(5, 3)
nodes = [
    helper.make_node("SplitToSequence", ["x", "size"], ["parts"], axis=0),
    helper.make_node("SequenceAt", ["parts", "last"], ["tail"]),
    helper.make_node("SequenceErase", ["parts", "last"], ["fewer"]),
    helper.make_node("SequenceInsert", ["fewer", "tail", "first"], ["turned"]),
    helper.make_node("SequenceLength", ["turned"], ["length"]),
    helper.make_node("ConcatFromSequence", ["turned"], ["y"], axis=0),
]
constants = [numpy_helper.from_array(ints(v), n) for n, v in [("size", 2), ("last", -1), ("first", 0)]]
model = helper.make_model(
    helper.make_graph(
        nodes,
        "lists",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5, 3]), helper.make_tensor_value_info("length", TensorProto.INT64, [])],
        constants,
    ),
    opset_imports=[helper.make_opsetid("", 17)],
)
save("lists", model, {"x": x}, [np.concatenate([x[4:], x[:4]]), ints(3)])

out = pathlib.Path(__file__).parent / "operators.json"
out.write_text(json.dumps(cases, indent=1) + "\n")
print(len(cases), "cases,", out.stat().st_size, "bytes")

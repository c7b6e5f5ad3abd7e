/**
 * Writes an ONNX model from JavaScript: a builder that collects nodes, and the few protobuf messages of the format
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) it needs. Shapes are static, data float32 or int64.
 */

// ---- protobuf: a message is a list of [field number, value]; integers are varints, the rest has a length.

function varint(n) {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Buffer.from([...bytes, n]);
}

function encode(message) {
  return Buffer.concat(
    message.flatMap(([field, value]) => {
      if (typeof value === "number") return [varint(field * 8), varint(value)];
      if (value instanceof Float32Array) return [varint(field * 8 + 5), Buffer.from(value.buffer)]; // one float
      const bytes = Array.isArray(value) ? encode(value) : Buffer.from(value);
      return [varint(field * 8 + 2), varint(bytes.length), bytes];
    }),
  );
}

const FLOAT = 1;
const INT64 = 7;

function attribute(name, value) {
  if (Array.isArray(value)) return [[1, name], ...value.map((i) => [8, i]), [20, 7]];
  return [
    [1, name],
    [3, value],
    [20, 2],
  ];
}

function valueInfo({ name, type, shape }) {
  const dims = shape.map((size) => [1, [[1, size]]]);
  return [
    [1, name],
    [
      2,
      [
        [
          1,
          [
            [1, type],
            [2, dims],
          ],
        ],
      ],
    ],
  ];
}

/** Collects a graph: every method returns the name of a value. */
export class OnnxGraph {
  #nodes = [];
  #initializers = [];
  #inputs = [];
  #outputs = [];
  #count = 0;

  #tensor(type, shape, data) {
    const name = `c${this.#count++}`;
    this.#initializers.push([
      ...shape.map((size) => [1, size]),
      [2, type],
      [8, name],
      [9, new Uint8Array(data.buffer)],
    ]);
    return name;
  }

  /** A constant scalar. */
  number(value) {
    return this.#tensor(FLOAT, [], new Float32Array([value]));
  }

  /** A constant vector of integers (axes, shapes). */
  integers(values) {
    return this.#tensor(INT64, [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A constant vector of floats. */
  floats(values) {
    return this.#tensor(FLOAT, [values.length], Float32Array.from(values));
  }

  input(name, shape, type = "float32") {
    this.#inputs.push({ name, shape, type: type === "int64" ? INT64 : FLOAT });
    return name;
  }

  /** Makes a value an output of the model under a name of its own. */
  output(name, value, shape) {
    this.#nodes.push([
      [1, value],
      [2, name],
      [4, "Identity"],
    ]);
    this.#outputs.push({ name, shape, type: FLOAT });
  }

  /** A node with one output, or with `outputs` many (then their names). */
  node(op, inputs, attributes = {}, outputs = 1) {
    const names = Array.from({ length: outputs }, () => `v${this.#count++}`);
    this.#nodes.push([
      ...inputs.map((name) => [1, name]),
      ...names.map((name) => [2, name]),
      [4, op],
      ...Object.entries(attributes).map(([name, value]) => [5, attribute(name, value)]),
    ]);
    return outputs === 1 ? names[0] : names;
  }

  /** The model file (opset 17). */
  model() {
    const graph = [
      ...this.#nodes.map((node) => [1, node]),
      [2, "training"],
      ...this.#initializers.map((tensor) => [5, tensor]),
      ...this.#inputs.map((value) => [11, valueInfo(value)]),
      ...this.#outputs.map((value) => [12, valueInfo(value)]),
    ];
    return encode([
      [1, 8],
      [2, "chainrule-bench"],
      [7, graph],
      [8, [[2, 17]]],
    ]);
  }
}

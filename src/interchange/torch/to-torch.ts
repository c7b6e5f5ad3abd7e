/** A model as a PyTorch module: its weights as safetensors under PyTorch's names and in its layout, and the module's text beside them. */
import { check, checkOptionNames } from "../../checks.ts";
import type { ShapedArray } from "../../data/arrays.ts";
import { encodeSafetensors } from "../../data/safetensors.ts";
import type { InferenceModel } from "../../train/inference-model.ts";
import { formsOf, toTheirs } from "./forms.ts";
import { placesOf } from "./places.ts";
import { attributes, PythonWriter } from "./python.ts";
import { helperText } from "./python-helpers.ts";

/** Options of `toTorch`. */
export interface ToTorchOptions {
  /** The name of the file that the weights will have, beside the module's; `"weights.safetensors"` unless said. */
  readonly file?: string;
  /** The name of the class; `"Net"` unless said. */
  readonly name?: string;
}

/** A PyTorch module: two files. */
export interface TorchModule {
  /** The text of a `.py` file: the class, and `load()`, which gives one with its weights. */
  readonly code: string;
  /** The bytes of the safetensors file with the weights. */
  readonly weights: Uint8Array<ArrayBuffer>;
}

/**
 * A model as a PyTorch module. Submodules have the names of our layers, and weights lie as PyTorch's do, so that the module trains there
 * and its state dict comes back with `fromTorch`. The module takes and gives images with their channels first, [B, C, H, W], and sequences with their
 * places first, [B, T, C].
 * @throws PlatformError for layers that PyTorch has not: all of them are named
 *
 * @example
 * const { code, weights } = toTorch(model, { file: "net.safetensors" });
 * await writeFileAtomically("net.py", new TextEncoder().encode(code));
 * await writeFileAtomically("net.safetensors", weights); // in Python: from net import load; net = load()
 */
export function toTorch(model: InferenceModel, options: ToTorchOptions = {}): TorchModule {
  checkOptionNames("toTorch", options, ["file", "name"]);
  const { file = "weights.safetensors", name = "Net" } = options;
  check(/^[A-Za-z]\w*$/.test(name), "toTorch: name must be a word that Python takes for a class", name);
  check(/^[^"\\\n]+$/.test(file), "toTorch: file must be the name of a file", file);
  const places = placesOf(model.network);
  const writer = new PythonWriter(model.network, places);
  const { inputs, outputs } = writer.write();
  const tensors = new Map<string, ShapedArray>();
  for (const place of places) {
    const { layer } = place;
    const [form] = formsOf(place);
    const suffix = form.named === "recurrent" ? "_l0" : "";
    const put = (own: string, tensor: ShapedArray) => tensors.set(`${attributes(layer.name)}.${own}${suffix}`, tensor);
    for (const entry of form.entries) {
      const arrays = toTheirs(entry, model.weight(`${layer.name}.${entry.parameter}`));
      for (const [i, { name: own, shape }] of entry.tensors.entries()) put(own, { shape, data: arrays[i] });
    }
    if (layer.kind === "batchNorm") put("num_batches_tracked", { shape: [], data: new BigInt64Array(1) });
  }
  const results = model.network.connections.outputs
    ? `{${Object.keys(model.network.connections.outputs)
        .map((key, i) => `${JSON.stringify(key)}: ${outputs[i]}`)
        .join(", ")}}`
    : outputs[0];
  const code = `"""
A network of chainrule's as a PyTorch module. Its weights lie in ${file}.

Images are [B, C, H, W], sequences [B, T, C], token numbers [B, T].
"""
import json
import os

import torch
from torch import nn
from torch.nn import functional as F

${helperText(writer.helpers)
  .map((text) => `\n${text}\n`)
  .join("")}
class ${name}(nn.Module):
    def __init__(self):
        super().__init__()
${writer.made.map((line) => `        ${line}\n`).join("")}
    def forward(self, ${inputs.join(", ")}):
${writer.lines.map((line) => `        ${line}\n`).join("")}        return ${results}


def read_safetensors(path):
    """The tensors of a file, by the package safetensors where that is installed."""
    try:
        from safetensors.torch import load_file
    except ImportError:
        types = {"F32": torch.float32, "I64": torch.int64}
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            body = bytearray(file.read())
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            dtype, (begin, end) = types[entry["dtype"]], entry["data_offsets"]
            count = (end - begin) // (8 if dtype == torch.int64 else 4)
            tensors[name] = torch.frombuffer(body, dtype=dtype, count=count, offset=begin).reshape(entry["shape"])
        return tensors
    return load_file(path)


def load(path=os.path.join(os.path.dirname(os.path.abspath(__file__)), "${file}")):
    """The module with its weights, as for inference; train() it to go on."""
    net = ${name}()
    net.load_state_dict(read_safetensors(path))
    return net.eval()
`;
  return { code, weights: encodeSafetensors(tensors, { format: "pt" }) };
}

"""
Loads modules that chainrule wrote and lets them predict: for test/interchange/torch-module.test.ts.

DIRECTORY/cases.json lists names with inputs; each name has a .py and a .safetensors there. What the modules give is written to results.json;
with "save" their state dicts too, as PyTorch saves them. Run by the test: python3 predict-in-torch.py DIRECTORY
"""
import importlib
import json
import os
import sys

import torch

directory = sys.argv[1]
sys.path.insert(0, directory)
with open(os.path.join(directory, "cases.json")) as file:
    cases = json.load(file)

results = {}
for name, case in cases.items():
    net = importlib.import_module(name).load()
    inputs = [torch.tensor(x["data"]).reshape(x["shape"]) for x in case["inputs"]]
    if case.get("train"):
        net.train()
        optimizer = torch.optim.SGD([w for w in net.parameters() if w.requires_grad], lr=0.05, momentum=0.9)
        losses = []
        for _ in range(case["train"]):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(*inputs), torch.tensor(case["y"]))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        results[name] = {"losses": losses}
        continue
    with torch.no_grad():
        output = net(*inputs)
    outputs = output if isinstance(output, dict) else {"": output}
    results[name] = {key: {"shape": list(y.shape), "data": y.flatten().tolist()} for key, y in outputs.items()}
    torch.save(net.state_dict(), os.path.join(directory, f"{name}.pt"))

with open(os.path.join(directory, "results.json"), "w") as file:
    json.dump(results, file)

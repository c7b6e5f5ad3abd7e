"""PyTorch on the CPU: eager modules, its own Adam, images in channels-last memory, batches already tensors."""

import common
import torch
from torch import nn

spec = common.start("pytorch", torch.__version__)
threads = common.JOB["threads"]
if any(layer[0] == "conv" for layer in spec["layers"]):
    # oneDNN's convolutions run on torch's own threads; a second pool of BLAS threads only fights with them.
    torch.set_num_threads(threads)
    if threads > 1:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")
else:
    torch.set_num_threads(1)  # the products run on the BLAS's threads
torch.manual_seed(1)


def build(shape, layers):
    modules = []
    for kind, *n in layers:
        if kind == "dense":
            modules.append(nn.Linear(shape[0], n[0]))
            shape = (n[0],)
        elif kind == "conv":
            modules.append(nn.Conv2d(shape[2], n[0], n[1]))
            shape = (shape[0] - n[1] + 1, shape[1] - n[1] + 1, n[0])
        elif kind == "maxpool":
            modules.append(nn.MaxPool2d(n[0]))
            shape = (shape[0] // n[0], shape[1] // n[0], shape[2])
        elif kind == "batchnorm":
            modules.append(nn.BatchNorm2d(shape[2]))
        elif kind == "flatten":
            modules.append(nn.Flatten())
            shape = (shape[0] * shape[1] * shape[2],)
        else:
            modules.append({"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[kind]())
    return nn.Sequential(*modules)


model = build(tuple(spec["input"]), spec["layers"])
x, y = (torch.from_numpy(part) for part in common.dataset(spec))
criterion = nn.CrossEntropyLoss()
if spec["layers"][-1] == ["sigmoid"]:
    model = model[:-1]  # its stable form takes logits
    criterion = nn.BCEWithLogitsLoss()
    y = y[:, None].float()
if x.dim() == 4:
    x = x.permute(0, 3, 1, 2)  # a view: the memory stays channels-last
    model = model.to(memory_format=torch.channels_last)
batch = spec["batch"]
batches = list(zip(x.split(batch), y.split(batch)))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=True)


def train(i):
    bx, by = batches[i % len(batches)]
    optimizer.zero_grad(set_to_none=True)
    loss = criterion(model(bx), by)
    loss.backward()
    optimizer.step()
    return loss


def predict(i):
    with torch.inference_mode():
        return model(batches[i % len(batches)][0])


if spec.get("mode") == "inference":
    model.eval()
    common.measure(spec, predict)
else:
    common.measure(spec, train, lambda i: train(i).item())

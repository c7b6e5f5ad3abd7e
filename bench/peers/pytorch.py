"""PyTorch on the CPU: eager modules, its own Adam, images in channels-last memory, batches already tensors."""

import common
import torch
from torch import nn

spec = common.start("pytorch", torch.__version__)
threads = common.JOB["threads"]
layers = spec.get("layers", [])
if any(layer[0] == "conv" for layer in layers):
    # oneDNN's convolutions run on torch's own threads; a second pool of BLAS threads only fights with them.
    torch.set_num_threads(threads)
    if threads > 1:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")
else:
    torch.set_num_threads(1)  # the products run on the BLAS's threads
torch.manual_seed(1)


class Last(nn.Module):
    """A recurrent module, of which the last state goes on."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)[0][:, -1]


class Block(nn.Module):
    """A block of a transformer as GPT-2 has it: normalisation first, one product for queries, keys and values."""

    def __init__(self, width, heads, places):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.register_buffer("mask", torch.full((places, places), float("-inf")).triu(1))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.all(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-2, -1) / (d // self.heads) ** 0.5 + self.mask, -1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self, places, vocabulary, width, heads, blocks):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.zeros(places, width))
        self.blocks = nn.Sequential(*(Block(width, heads, places) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.table(x) + self.places))).flatten(0, 1)


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
        elif kind in ("lstm", "gru"):
            module = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
            modules.append(Last(module(shape[1], n[0], batch_first=True)))
            shape = (n[0],)
        elif kind == "flatten":
            modules.append(nn.Flatten())
            shape = (shape[0] * shape[1] * shape[2],)
        else:
            modules.append({"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[kind]())
    return nn.Sequential(*modules)


model = Gpt(spec["places"], **spec["gpt"]) if "gpt" in spec else build(tuple(spec["input"]), layers)
x, y = (torch.from_numpy(part) for part in common.dataset(spec))
criterion = nn.CrossEntropyLoss()
if layers[-1:] == [["sigmoid"]]:
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
    loss = criterion(model(bx), by.flatten() if "gpt" in spec else by)
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

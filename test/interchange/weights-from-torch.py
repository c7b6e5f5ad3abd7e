"""
Writes networks of PyTorch as state dicts, with what they compute and how they train: for test/interchange/torch-weights.test.ts.

Each is trained a little, so that running statistics and biases are no zeros and ones, and saved; then it predicts a batch, and is trained on it for
50 steps, whose losses are written. Run by the test, where PyTorch is installed: python3 weights-from-torch.py DIRECTORY
"""
import json
import os
import sys

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(2)


class Block(nn.Module):
    """Two convolutions with batch normalisation around which their input goes, through a third where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.layer1 = Block(6, 6, 1)
        self.layer2 = Block(6, 8, 2)
        self.fc1 = nn.Linear(8 * 3 * 4, 10)
        self.norm = nn.BatchNorm1d(10)
        self.fc2 = nn.Linear(10, 4)

    def forward(self, x):
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.fc2(F.relu(self.norm(self.fc1(torch.flatten(x, 1)))))


class Flattened(nn.Module):
    """Batch and layer normalisation after a flattened image, two branches side by side."""

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(2, 3, 2)
        self.right = nn.Conv2d(2, 4, 3, padding=1)
        self.bn = nn.BatchNorm1d(3 * 4 * 3)
        self.ln = nn.LayerNorm(4 * 5 * 4)
        self.fc = nn.Linear(36 + 80, 4)

    def forward(self, x):
        return self.fc(torch.cat([self.bn(self.left(x).flatten(1)), self.ln(self.right(x).flatten(1))], 1))


class Generator(nn.Module):
    """Numbers that become an image, groups, a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.start = nn.Linear(5, 4 * 3 * 2)
        self.bn = nn.BatchNorm1d(24)
        self.up = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.depthwise = nn.Conv2d(6, 12, 3, padding=1, groups=6)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        x = torch.tanh(self.bn(self.start(x))).view(-1, 4, 3, 2)
        return self.head(torch.tanh(self.depthwise(torch.tanh(self.up(x)))).mean((2, 3)))


class Words(nn.Module):
    """An embedding, convolutions over time that are flattened with their channels first."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.conv = nn.Conv1d(6, 5, 3, padding=1)
        self.head = nn.Linear(5 * 7, 4)

    def forward(self, x):
        y = torch.tanh(self.conv(self.norm(self.table(x.long())).transpose(1, 2)))
        return self.head(y.flatten(1))


class Recurrent(nn.Module):
    """Two layers in both directions, and one on their states."""

    def __init__(self, kind, **options):
        super().__init__()
        self.both = kind(5, 4, num_layers=2, batch_first=True, bidirectional=True, **options)
        self.one = kind(8, 6, batch_first=True, **options)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.one(self.both(x)[0])[0][:, -1])


class Encoder(nn.Module):
    """A classifier of sequences: embedding, positions, layers of a transformer."""

    def __init__(self, **options):
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.position = nn.Parameter(0.1 * torch.randn(1, 6, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, **options)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x.long()) + self.position).mean(1))


class Conv1D(nn.Module):
    """A product whose matrix is [I, O], as in Hugging Face's GPT-2."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(0.2 * torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class Gpt2Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("bias", torch.ones(6, 6).tril().view(1, 1, 6, 6))
        self.c_attn = Conv1D(8, 24)
        self.c_proj = Conv1D(8, 8)

    def forward(self, x):
        q, k, v = (y.view(-1, 6, 2, 4).transpose(1, 2) for y in self.c_attn(x).split(8, 2))
        scores = (q @ k.transpose(2, 3) / 2).masked_fill(self.bias == 0, float("-inf"))
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 6, 8))


class Gpt2Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(8)
        self.attn = Gpt2Attention()
        self.ln_2 = nn.LayerNorm(8)
        self.mlp = nn.ModuleDict({"c_fc": Conv1D(8, 32), "c_proj": Conv1D(32, 8)})

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    """GPT-2 with the names and layouts of Hugging Face's, its head on the last place."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(12, 8)
        self.wpe = nn.Embedding(6, 8)
        self.h = nn.ModuleList([Gpt2Block(), Gpt2Block()])
        self.ln_f = nn.LayerNorm(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        y = self.wte(x.long()) + self.wpe.weight
        for block in self.h:
            y = block(y)
        return self.head(self.ln_f(y).mean(1))


def networks():
    yield "mlp", nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16), nn.Linear(16, 4)), torch.randn(12, 6)
    yield "residual", Residual(), torch.randn(12, 3, 6, 8)
    yield "flattened", Flattened(), torch.randn(12, 2, 5, 4)
    yield "generator", Generator(), torch.randn(12, 5)
    yield "words", Words(), torch.randint(0, 11, (12, 7)).float()
    yield "rnn", Recurrent(nn.RNN), torch.randn(12, 6, 5)
    yield "lstm", Recurrent(nn.LSTM), torch.randn(12, 6, 5)
    yield "gru", Recurrent(nn.GRU), torch.randn(12, 6, 5)
    yield "without biases", Recurrent(nn.LSTM, bias=False), torch.randn(12, 6, 5)
    yield "encoder", Encoder(), torch.randint(0, 12, (12, 6)).float()
    yield "encoder, norms first", Encoder(norm_first=True, activation="gelu"), torch.randint(0, 12, (12, 6)).float()
    yield "gpt-2", Gpt2(), torch.randint(0, 12, (12, 6)).float()


def train(net, x, y, steps):
    net.train()
    optimizer = torch.optim.SGD([w for w in net.parameters() if w.requires_grad], lr=0.05, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(directory):
    for name, net, x in networks():
        y = torch.arange(len(x)) % 4
        train(net, x, y, 3)
        torch.save(net.state_dict(), os.path.join(directory, f"{name}.pt"))
        net.eval()
        predicted = net(x).detach()
        if "gru" not in name:
            # Where two biases are only added, ours has one; two would move twice as fast.
            for key, w in net.named_parameters():
                w.requires_grad_("bias_hh" not in key)
        case = {"shape": list(x.shape), "x": x.flatten().tolist(), "y": y.tolist(), "predicted": predicted.flatten().tolist(),
                "losses": train(net, x, y, 50)}
        with open(os.path.join(directory, f"{name}.json"), "w") as file:
            json.dump(case, file)


main(sys.argv[1])

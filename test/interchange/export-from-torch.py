"""
Writes networks of PyTorch as ONNX files, with what they compute: for test/interchange/torch.test.ts.

Each is trained for 50 steps on one batch, and its losses are written, from the weights that the file has. Run by the
test, where PyTorch is installed: python3 export-from-torch.py DIRECTORY
"""
import json
import os
import sys

import torch
from torch import nn

torch.manual_seed(1)
torch.set_default_dtype(torch.float32)


class Residual(nn.Module):
    """Convolutions, batch normalisation, a residual, pooling."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 4 * 4, 5)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(x + self.norm2(self.conv2(x)))
        return self.head(torch.flatten(nn.functional.max_pool2d(x, 2), 1))


class Recurrent(nn.Module):
    def __init__(self, kind, both):
        super().__init__()
        self.cell = kind(5, 7, batch_first=True, bidirectional=both)
        self.head = nn.Linear(14 if both else 7, 3)

    def forward(self, x):
        states, _ = self.cell(x)
        return self.head(states[:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.layer(x).mean(1))


class Depthwise(nn.Module):
    """Groups, strides, dilation, average pooling, a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, 6, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6), nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(6, 4, 2, stride=2), nn.ELU(),
            nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
        )

    def forward(self, x):
        return self.net(x)


class Words(nn.Module):
    """An embedding and a convolution over time."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.conv = nn.Conv1d(6, 8, 3, padding=1)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        y = torch.tanh(self.conv(self.table(x.long()).transpose(1, 2)))
        return self.head(self.norm(y.mean(2)))


def networks():
    yield "mlp", nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 3)), torch.randn(12, 6)
    yield "residual", Residual(), torch.randn(12, 3, 8, 8)
    yield "depthwise", Depthwise(), torch.randn(12, 2, 9, 8)
    yield "lstm", Recurrent(nn.LSTM, True), torch.randn(12, 6, 5)
    yield "gru", Recurrent(nn.GRU, False), torch.randn(12, 6, 5)
    yield "rnn", Recurrent(nn.RNN, False), torch.randn(12, 6, 5)
    yield "encoder", Encoder(), torch.randn(12, 6, 16)
    yield "words", Words(), torch.randint(0, 11, (12, 7)).float()


def main(directory):
    for name, net, x in networks():
        classes = 5 if name == "residual" else 3
        y = torch.arange(len(x)) % classes
        net.train()
        torch.onnx.export(
            net, x, os.path.join(directory, f"{name}.onnx"), opset_version=14, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
            training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
        )
        # The export itself has moved the running statistics, which the file has.
        net.eval()
        predicted = net(x).detach()
        net.train()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        losses = []
        for _ in range(50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        case = {"shape": list(x.shape), "x": x.flatten().tolist(), "y": y.tolist(),
                "predicted": predicted.flatten().tolist(), "losses": losses}
        with open(os.path.join(directory, f"{name}.json"), "w") as file:
            json.dump(case, file)


main(sys.argv[1])

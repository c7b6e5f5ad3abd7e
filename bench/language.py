"""
Whether chainrule trains a character model to the loss that PyTorch comes to with the same network on the same text.

    python3 bench/language.py [--seeds 5] [--epochs 2]     # needs PyTorch; runs bench/language.ts with `npx tsx`

The text is made here, 200,000 characters of sentences by a small grammar, whose last tenth is held out. The network is a
transformer of two blocks, width 64, 4 heads, context 64, normalised before each part, without dropout; Adam (0.9, 0.999, 1e-8) at 1e-3,
batches of 16 windows. Both sides draw their initial weights from the same distributions and shuffle the windows, each by its own seeds.
Prints the loss on the held-out part, in nats for each character, for each seed, the means, and the difference with its
standard error.
"""

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import nn

WIDTH, HEADS, BLOCKS, CONTEXT, BATCH, RATE = 64, 4, 2, 64, 16, 1e-3

parser = argparse.ArgumentParser()
parser.add_argument("--seeds", type=int, default=5)
parser.add_argument("--epochs", type=int, default=2)
options = parser.parse_args()


def made_text(length):
    draw = random.Random(7)
    nouns = "river stone cloud garden letter window sailor teacher winter candle market engine".split()
    verbs = "finds follows remembers carries leaves watches paints opens forgets answers".split()
    kinds = "old quiet bright broken distant patient narrow silver".split()
    ends = ["at night", "before the war", "in the north", "without a word", "as it always did", "and nobody knew why"]

    def thing():
        kind = draw.choice(kinds) + " " if draw.random() < 0.5 else ""
        return draw.choice(["the ", "a ", "every ", "her "]) + kind + draw.choice(nouns)

    sentences = []
    size = 0
    while size < length:
        words = f"{thing()} {draw.choice(verbs)} {thing()}"
        if draw.random() < 0.4:
            words += f" {draw.choice(ends)}"
        if draw.random() < 0.3:
            words += f", {draw.choice(['and', 'but', 'while'])} {thing()} {draw.choice(verbs)} {thing()}"
        if draw.random() < 0.15:
            words += f" in {draw.randrange(1700, 2030)}"
        sentence = words[0].upper() + words[1:] + draw.choice([". ", ". ", "! ", "?\n"])
        sentences.append(sentence)
        size += len(sentence)
    return "".join(sentences)[:length]


class Net(nn.Module):
    """The layers of chainrule's gpt({ vocabulary, width, heads, blocks }), with its initial distributions."""

    def __init__(self, vocabulary):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Parameter(torch.empty(CONTEXT, WIDTH))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(BLOCKS)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.out = nn.Linear(WIDTH, vocabulary, bias=False)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), float("-inf")).triu(1))
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.uniform_(self.positions, -0.05, 0.05)
        nn.init.xavier_uniform_(self.out.weight)
        for block in self.blocks:
            for weight in (block.self_attn.in_proj_weight, block.self_attn.out_proj.weight, block.linear2.weight):
                nn.init.xavier_uniform_(weight)
            nn.init.kaiming_normal_(block.linear1.weight)
            for bias in (block.linear1.bias, block.linear2.bias):
                nn.init.zeros_(bias)

    def forward(self, x):
        h = self.embedding(x) + self.positions
        for block in self.blocks:
            h = block(h, src_mask=self.mask)
        return self.out(self.norm(h))


def windows(tokens):
    count = (len(tokens) - 1 - CONTEXT) // CONTEXT + 1
    x = torch.tensor([tokens[i * CONTEXT : (i + 1) * CONTEXT] for i in range(count)])
    y = torch.tensor([tokens[i * CONTEXT + 1 : (i + 1) * CONTEXT + 1] for i in range(count)])
    return x, y


def loss_of(net, x, y):
    return nn.functional.cross_entropy(net(x).flatten(0, 1), y.flatten())


def loss_of_pytorch(seed, vocabulary, train, held):
    torch.manual_seed(seed)
    net = Net(vocabulary)
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    x, y = train
    for _ in range(options.epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss_of(net, x[rows], y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return loss_of(net, *held).item()


def main():
    text = made_text(200_000)
    letters = {character: i for i, character in enumerate(sorted(set(text)))}
    tokens = [letters[character] for character in text]
    cut = len(tokens) * 9 // 10
    train, held = windows(tokens[:cut]), windows(tokens[cut:])
    # Whole batches alone are taken of each epoch, on both sides.
    whole = len(train[0]) // BATCH * BATCH
    train = (train[0][:whole], train[1][:whole])
    theirs = [loss_of_pytorch(seed, len(letters), train, held) for seed in range(options.seeds)]
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as directory:
        spec = Path(directory) / "spec.json"
        spec.write_text(
            json.dumps(
                {
                    "text": text, "cut": cut, "width": WIDTH, "heads": HEADS, "blocks": BLOCKS, "context": CONTEXT,
                    "batchSize": BATCH, "learningRate": RATE, "epochs": options.epochs, "seeds": options.seeds,
                }
            )
        )
        out = subprocess.run(
            ["npx", "tsx", "bench/language.ts", str(spec)], cwd=root, capture_output=True, text=True, check=True
        )
    ours = json.loads(out.stdout)
    mean = lambda values: sum(values) / len(values)
    variance = lambda values: sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1)
    error = ((variance(ours) + variance(theirs)) / options.seeds) ** 0.5
    print(f"PyTorch {torch.__version__}, {options.epochs * whole // BATCH} steps, {len(letters)} characters")
    for seed, (a, b) in enumerate(zip(ours, theirs)):
        print(f"seed {seed}  chainrule {a:.4f}  PyTorch {b:.4f}")
    print(f"mean    chainrule {mean(ours):.4f}  PyTorch {mean(theirs):.4f}  "
          f"difference {mean(ours) - mean(theirs):+.4f} ± {error:.4f}")


main()

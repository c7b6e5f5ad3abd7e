/** Python that written modules carry along: classes for layers that PyTorch has not, or that only its newer versions have. */

/** Classes that the module needs where PyTorch has none, or none of its age. */
const HELPERS = {
  Attention: `class Attention(nn.Module):
    """Attention whose heads may share keys, have sizes of their own, and be turned by their places."""

    def __init__(self, features, heads, key_heads, size, rotary, dropout, bias):
        super().__init__()
        self.heads, self.key_heads, self.size, self.rotary, self.dropout = heads, key_heads, size, rotary, dropout
        width = (heads + 2 * key_heads) * size
        self.in_proj_weight = nn.Parameter(torch.empty(width, features))
        self.in_proj_bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.out_proj = nn.Linear(heads * size, features, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def turned(self, x):
        if not self.rotary:
            return x
        half = self.size // 2
        place = torch.arange(x.shape[2], device=x.device, dtype=torch.float64)
        angle = place[:, None] * 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
        cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        p, q = x[..., :half], x[..., half:]
        return torch.cat([p * cosine - q * sine, q * cosine + p * sine], -1)

    def forward(self, x, mask=None):
        batch, length, _ = x.shape
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(batch, length, -1, self.size).transpose(1, 2)
        q, k, v = parts.split([self.heads, self.key_heads, self.key_heads], 1)
        q, k = self.turned(q), self.turned(k)
        k, v = (y.repeat_interleave(self.heads // self.key_heads, 1) for y in (k, v))
        scores = q @ k.transpose(2, 3) / self.size**0.5
        weights = torch.softmax(scores if mask is None else scores + mask, -1)
        mixed = F.dropout(weights, self.dropout, self.training) @ v
        return self.out_proj(mixed.transpose(1, 2).reshape(batch, length, -1))
`,
  Normalize: `class Normalize(nn.Module):
    """(x - mean) / deviation, of each feature or channel."""

    def __init__(self, features, axes):
        super().__init__()
        self.axes = axes
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    def forward(self, x):
        shape = [-1] + [1] * self.axes
        return (x - self.mean.view(shape)) / self.deviation.view(shape)
`,
  Positions: `class Positions(nn.Module):
    """Adds a row of its table to each place."""

    def __init__(self, length, features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, features).uniform_(-0.05, 0.05))

    def forward(self, x):
        return x + self.weight
`,
  RMSNorm: `class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps), times a weight of each feature."""

    def __init__(self, features, eps):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps) * self.weight
`,
  sinusoidal: `def sinusoidal(x):
    """Sines and cosines of each place (Vaswani et al., 2017)."""
    length, features = x.shape[1:]
    place = torch.arange(length, dtype=torch.float64)[:, None]
    i = torch.arange(features, dtype=torch.float64)
    angle = place * 10000.0 ** (-torch.div(i, 2, rounding_mode="floor") * 2 / features)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos()).to(x)
`,
} as const;
export type Helper = keyof typeof HELPERS;

/** The text of the classes that the module needs. */
export const helperText = (helpers: ReadonlySet<Helper>): string[] =>
  (Object.keys(HELPERS) as Helper[]).filter((name) => helpers.has(name)).map((name) => HELPERS[name]);

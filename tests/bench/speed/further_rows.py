"""Rows without goals, of other kinds and sizes: what holds for the ones with goals should hold for these."""
import dataclasses

from .goal_rows import ADAM, ADAMW, SGD, convolve, cross_entropy, jax_norm, perceptron, pool
from .peers import functional, jax, jnp, nn, torch, torch_gradients
from .row import TrainRow, ValueRow


def gru():
    text = """dim N
loss l(x: f32[N, 20, 32], y: f32[N, 20, 64]) {
    use memory = gru<32, 64>
    return mse_loss(memory(x), y)
}
train l { optimizer adam(lr = 0.001); batch 16 }
"""

    def jax_loss(p, x, y):
        def cell(h, x):
            u, v = x @ p["memory.cell.W"] + p["memory.cell.b"], h @ p["memory.cell.U"] + p["memory.cell.d"]
            (r, z, n), (s, w, m) = jnp.split(u, 3, -1), jnp.split(v, 3, -1)
            r, z = jax.nn.sigmoid(r + s), jax.nn.sigmoid(z + w)
            h = (1 - z) * jnp.tanh(n + r * m) + z * h
            return h, h

        zero = jnp.zeros((x.shape[0], 64), jnp.float32)
        return ((jax.lax.scan(cell, zero, x.swapaxes(0, 1))[1].swapaxes(0, 1) - y)**2).mean()

    names = [("memory.cell.W", "weight_ih_l0'"), ("memory.cell.U", "weight_hh_l0'"), ("memory.cell.b", "bias_ih_l0"),
             ("memory.cell.d", "bias_hh_l0")]
    return TrainRow("GRU 32-64, 20 steps, batch 16, adam", text, 16,
                    lambda maker, rows: [maker.normal(rows, 20, 32), maker.normal(rows, 20, 64)], ADAM,
                    lambda: nn.GRU(32, 64, batch_first=True),
                    lambda net, x, y: functional.mse_loss(net(x)[0], y), names, jax_loss, compiles=False)


def residual_net(p):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.widen, self.narrow = nn.LayerNorm(128), nn.Linear(128, 256), nn.Linear(256, 128)

        def forward(self, x):
            return x + functional.dropout(self.narrow(functional.relu(self.widen(self.norm(x)))), p)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 10)

        def forward(self, x):
            return self.head(self.norm(self.blocks(x)))

    return Net()


def residual(p):
    text = f"""dim N
net block(x: f32[N, 128]) -> f32[N, 128] {{
    use norm = layer_norm<128>
    use widen = dense<128, 256, relu>
    use narrow = dense<256, 128>
    return x + dropout(narrow(widen(norm(x))), {p})
}}
net mlp(x: f32[N, 128]) -> f32[N, 10] {{
    use blocks[4] = block
    use norm = layer_norm<128>
    use head = dense<128, 10>
    for b in blocks {{ x = b(x) }}
    return head(norm(x))
}}
loss l(x: f32[N, 128], y: i32[N]) {{ return cross_entropy(mlp(x), y) }}
train l {{ optimizer adamw(lr = 0.001); batch 64 }}
"""

    def jax_loss(w, x, y):
        dense = lambda path, x: x @ w[path + ".W"] + w[path + ".b"]
        # A key of the numbers that come in: another one for other batches.
        key = jax.random.key(jax.lax.bitcast_convert_type(x[0, 0], jnp.uint32), impl="rbg") if p else None
        for i in range(4):
            wide = jax.nn.relu(dense(f"blocks.{i}.widen", jax_norm(w, f"blocks.{i}.norm", x)))
            out = dense(f"blocks.{i}.narrow", wide)
            if p:
                key, use = jax.random.split(key)
                out = jnp.where(jax.random.bernoulli(use, 1 - p, out.shape), out / (1 - p), 0)
            x = x + out
        return cross_entropy(dense("head", jax_norm(w, "norm", x)), y)

    names = [(".gamma", ".weight"), (".beta", ".bias"), (".W", ".weight'"), (".bias", ".b"), (".b", ".bias")]
    return TrainRow("residual, 4 blocks of 128-256-128, layer norm, dropout, batch 64, adamw", text, 64,
                    lambda maker, rows: [maker.normal(rows, 128), maker.classes(10, rows)], ADAMW,
                    lambda: residual_net(p), lambda net, x, y: functional.cross_entropy(net(x), y), names, jax_loss)


def batch_norm():
    text = """dim N
net cnn(x: f32[N, 3, 32, 32]) -> f32[N, 10] {
    use c1 = conv2d<3, 16, 3, padding = 1>
    use n1 = batch_norm<16>
    use c2 = conv2d<16, 32, 3, padding = 1>
    use n2 = batch_norm<32>
    use head = dense<2048, 10>
    a = max_pool2d(relu(n1(c1(x))), 2)
    b = max_pool2d(relu(n2(c2(a))), 2)
    return head(flatten(b, start = 1))
}
loss l(x: f32[N, 3, 32, 32], y: i32[N]) { return cross_entropy(cnn(x), y) }
train l { optimizer sgd(lr = 0.01, momentum = 0.9); batch 32 }
"""

    def normalise(p, path, x):
        centred = x - x.mean((0, 2, 3), keepdims=True)
        scale = p[path + ".gamma"][:, None, None] * jax.lax.rsqrt((centred**2).mean((0, 2, 3), keepdims=True) + 1e-5)
        return centred * scale + p[path + ".beta"][:, None, None]

    def jax_loss(p, x, y):
        x = pool(jax.nn.relu(normalise(p, "n1", convolve(x, p["c1.weight"], p["c1.bias"], 1))))
        x = pool(jax.nn.relu(normalise(p, "n2", convolve(x, p["c2.weight"], p["c2.bias"], 1))))
        return cross_entropy(x.reshape(x.shape[0], -1) @ p["head.W"] + p["head.b"], y)

    net = lambda: nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                                nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                                nn.Flatten(), nn.Linear(2048, 10))
    names = [("c1.", "0."), ("n1.", "1."), ("c2.", "4."), ("n2.", "5."), (".gamma", ".weight"), (".beta", ".bias"),
             ("head.W", "9.weight'"), ("head.b", "9.bias")]
    return TrainRow("convolutions with batch norm, 3x32x32, batch 32, sgd with momentum", text, 32,
                    lambda maker, rows: [maker.normal(rows, 3, 32, 32), maker.classes(10, rows)],
                    ("sgd", {"lr": 0.01, "momentum": 0.9}), net, lambda net, x, y: functional.cross_entropy(net(x), y),
                    names, jax_loss)


def factors_net():
    class Factors(nn.Module):
        def __init__(self):
            super().__init__()
            self.users, self.items = nn.Embedding(1000, 32), nn.Embedding(2000, 32)
            self.user_bias, self.item_bias = nn.Embedding(1000, 1), nn.Embedding(2000, 1)

        def forward(self, u, i):
            return (self.users(u) * self.items(i)).sum(1) + self.user_bias(u)[:, 0] + self.item_bias(i)[:, 0]

    return Factors()


def factors():
    text = """dim N
net factors(u: i32[N], i: i32[N]) -> f32[N] {
    use users = embedding<1000, 32>
    use items = embedding<2000, 32>
    use user_bias = embedding<1000, 1>
    use item_bias = embedding<2000, 1>
    return sum(users(u) * items(i), axis = 1) + user_bias(u)[:, 0] + item_bias(i)[:, 0]
}
loss l(u: i32[N], i: i32[N], y: f32[N]) { return mse_loss(factors(u, i), y) }
train l { optimizer adam(lr = 0.001); batch 1024 }
"""

    def jax_loss(p, u, i, y):
        found = (p["users.W"][u] * p["items.W"][i]).sum(1) + p["user_bias.W"][u][:, 0] + p["item_bias.W"][i][:, 0]
        return ((found - y)**2).mean()

    return TrainRow("factors of a 1000 x 2000 matrix, 32 each, batch 1024, adam", text, 1024,
                    lambda maker, rows: [maker.classes(1000, rows), maker.classes(2000, rows), maker.normal(rows)],
                    ADAM, factors_net, lambda net, u, i, y: functional.mse_loss(net(u, i), y), [(".W", ".weight")],
                    jax_loss)


def attention():
    size = "[4, 1024, 64]"
    text = (f"fn f(q: f32{size} requires_grad, k: f32{size} requires_grad, v: f32{size} requires_grad) "
            f"-> (f32, f32{size}, f32{size}, f32{size}) {{\n"
            "    l = sum(scaled_dot_product_attention(q, k, v, causal = true)^2)\n"
            "    dq, dk, dv = grad(l, (q, k, v))\n    return l, dq, dk, dv\n}\n")

    def value(q, k, v):
        scores = jnp.where(jnp.tril(jnp.ones((1024, 1024), bool)), q @ k.swapaxes(1, 2) / 8, -jnp.inf)
        return ((jax.nn.softmax(scores) @ v)**2).sum()

    def torch_value(q, k, v):
        return (functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)**2).sum()

    return ValueRow("causal attention, 4 heads, 1024 places of 64, value and gradients", text,
                    lambda maker: [maker.normal(4, 1024, 64) for _ in range(3)], torch_gradients(torch_value),
                    lambda q, k, v: jax.value_and_grad(value, (0, 1, 2))(q, k, v))


def inference():
    text = ("fn f(x: f32[1, 784], a: f32[784, 256], b: f32[256], c: f32[256, 10], d: f32[10]) -> f32[1, 10] {\n"
            "    return relu(x @ a + b) @ c + d\n}\n")
    inputs = lambda maker: [maker.normal(*shape) for shape in ((1, 784), (784, 256), (256,), (256, 10), (10,))]
    return ValueRow("784-256-10 on one row, value", text, inputs,
                    lambda x, a, b, c, d: torch.relu(x @ a + b) @ c + d,
                    lambda x, a, b, c, d: jax.nn.relu(x @ a + b) @ c + d)


def rows():
    return [
        perceptron([37, 53, 11], "tanh", "ce", 29, ADAM),
        perceptron([64, 128, 10], "relu", "ce", 64, ADAM, floating="f64"),
        perceptron([32] * 21, "tanh", "mse", 16, SGD),
        perceptron([784, 128, 32, 128, 784], "relu", "mse", 64, ADAM, many=False),
        dataclasses.replace(residual(0.1), without_chance=residual(0)), gru(), batch_norm(), factors(), attention(),
        inference()]

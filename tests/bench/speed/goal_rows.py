"""The rows that have goals: perceptrons from tiny to large, a network with second derivatives in its loss, a
convolutional, a recurrent and a transformer network, and functions with their gradients."""
from .peers import functional, jax, jnp, nn, torch, torch_gradients
from .row import TrainRow, ValueRow


def optimizer_text(optimizer):
    return f"{optimizer[0]}({', '.join(f'{name} = {value}' for name, value in optimizer[1].items())})"


def cross_entropy(logits, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1).mean()


def jax_activation(name):
    return {"relu": jax.nn.relu, "tanh": jnp.tanh, "gelu": lambda x: jax.nn.gelu(x, approximate=False)}[name]


def layers_text(sizes, activation):
    lines = [f"    use layer{i} = dense<{a}, {b}{', ' + activation if i < len(sizes) - 2 else ''}>"
             for i, (a, b) in enumerate(zip(sizes, sizes[1:]))]
    call = "x"
    for i in range(len(sizes) - 1):
        call = f"layer{i}({call})"
    return "\n".join(lines) + f"\n    return {call}\n"


def torch_layers(sizes, activation):
    parts, act = [], {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}[activation]
    for a, b in zip(sizes, sizes[1:]):
        parts += [nn.Linear(a, b), act()]
    return nn.Sequential(*parts[:-1])


def jax_layers(p, x, count, act):
    for i in range(count):
        x = x @ p[f"layer{i}.W"] + p[f"layer{i}.b"]
        x = act(x) if i < count - 1 else x
    return x


def layer_names(count):
    return [(f"layer{i}.", f"{2 * i}.") for i in range(count)] + [(".W", ".weight'"), (".b", ".bias")]


def perceptron(sizes, activation, kind, batch, optimizer, goal=None, many_goal=None, many=True, floating="f32"):
    count, last = len(sizes) - 1, sizes[-1]
    y = {"ce": "i32[N]", "mse": f"float[N, {last}]"}[kind]
    function = {"ce": "cross_entropy", "mse": "mse_loss"}[kind]
    text = (f"dim N\nnet mlp(x: float[N, {sizes[0]}]) -> float[N, {last}] {{\n{layers_text(sizes, activation)}}}\n"
            f"loss l(x: float[N, {sizes[0]}], y: {y}) {{ return {function}(mlp(x), y) }}\n"
            f"train l {{ optimizer {optimizer_text(optimizer)}; batch {batch} }}\n")

    def inputs(maker, rows):
        x = maker.normal(rows, sizes[0], dtype=floating)
        return [x, maker.classes(last, rows) if kind == "ce" else maker.normal(rows, last, dtype=floating)]

    def jax_loss(p, x, y):
        out = jax_layers(p, x, count, jax_activation(activation))
        return cross_entropy(out, y) if kind == "ce" else ((out - y)**2).mean()

    shape = "-".join(map(str, sizes)) if count < 8 else f"{count} layers of {sizes[1]}"
    name = f"{shape} {activation} {kind}, batch {batch}, {optimizer[0]}" + (", f64" if floating == "f64" else "")
    torch_loss = lambda net, x, y: (functional.cross_entropy if kind == "ce" else functional.mse_loss)(net(x), y)
    return TrainRow(name, text, batch, inputs, optimizer, lambda: torch_layers(sizes, activation), torch_loss,
                    layer_names(count), jax_loss, goal, many_goal, many, floating=floating)


SGD, ADAM, ADAMW = ("sgd", {"lr": 1e-2}), ("adam", {"lr": 1e-3}), ("adamw", {"lr": 1e-3})


def physics():
    sizes = [1, 32, 32, 1]
    text = ("dim N\nnet u(x: f32[N, 1]) -> f32[N, 1] {\n" + layers_text(sizes, "tanh") + "}\n"
            "loss l(x: f32[N, 1] requires_grad) {\n    y = u(x)\n    d = grad(sum(y), x)\n"
            "    return mean((grad(sum(d), x) + y)^2)\n}\ntrain l { optimizer adam(lr = 0.001); batch 64 }\n")

    def torch_loss(net, x):
        x = x.detach().requires_grad_()
        y = net(x)
        d = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
        return ((torch.autograd.grad(d.sum(), x, create_graph=True)[0] + y)**2).mean()

    def jax_loss(p, x):
        u = lambda t: jax_layers(p, t[None], 3, jnp.tanh)[0]
        return ((jax.vmap(jax.grad(jax.grad(u)))(x[:, 0]) + jax.vmap(u)(x[:, 0]))**2).mean()

    return TrainRow("u'' + u, 1-32-32-1 tanh, batch 64, adam", text, 64, lambda maker, rows: [maker.normal(rows, 1)],
                    ADAM, lambda: torch_layers(sizes, "tanh"), torch_loss, layer_names(3), jax_loss, 6, 3.5, True,
                    compiles=False)   # torch.compile has no second derivatives


def convolve(x, w, b, padding):
    return jax.lax.conv_general_dilated(x, w, (1, 1), [(padding, padding)] * 2) + b[:, None, None]


def pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def lenet():
    text = """dim N
net lenet(x: f32[N, 1, 28, 28]) -> f32[N, 10] {
    use first = conv2d<1, 6, 5, padding = 2>
    use second = conv2d<6, 16, 5>
    use third = dense<400, 120, relu>
    use fourth = dense<120, 84, relu>
    use output = dense<84, 10>
    a = max_pool2d(relu(first(x)), 2)
    b = max_pool2d(relu(second(a)), 2)
    return output(fourth(third(flatten(b, start = 1))))
}
loss l(x: f32[N, 1, 28, 28], y: i32[N]) { return cross_entropy(lenet(x), y) }
train l { optimizer sgd(lr = 0.01); batch 32 }
"""

    def jax_loss(p, x, y):
        x = pool(jax.nn.relu(convolve(x, p["first.weight"], p["first.bias"], 2)))
        x = pool(jax.nn.relu(convolve(x, p["second.weight"], p["second.bias"], 0))).reshape(-1, 400)
        x = jax.nn.relu(x @ p["third.W"] + p["third.b"])
        x = jax.nn.relu(x @ p["fourth.W"] + p["fourth.b"])
        return cross_entropy(x @ p["output.W"] + p["output.b"], y)

    net = lambda: nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5),
                                nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(),
                                nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    names = [("first.", "0."), ("second.", "3."), ("third.", "7."), ("fourth.", "9."), ("output.", "11."),
             (".W", ".weight'"), (".bias", ".b"), (".b", ".bias")]
    return TrainRow("LeNet 28x28, batch 32, sgd", text, 32,
                    lambda maker, rows: [maker.normal(rows, 1, 28, 28), maker.classes(10, rows)], SGD, net,
                    lambda net, x, y: functional.cross_entropy(net(x), y), names, jax_loss, 2)


def lstm_net():
    net = nn.LSTM(64, 128, batch_first=True)
    nn.init.zeros_(net.bias_hh_l0).requires_grad_(False)   # a second bias that gradc has not
    return net


def lstm():
    text = """dim N
loss l(x: f32[N, 32, 64], y: f32[N, 32, 128]) {
    use memory = lstm<64, 128>
    return mse_loss(memory(x), y)
}
train l { optimizer adam(lr = 0.001); batch 32 }
"""

    def jax_loss(p, x, y):
        def cell(carry, x):
            h, c = carry
            i, f, g, o = jnp.split(x @ p["memory.cell.W"] + h @ p["memory.cell.U"] + p["memory.cell.b"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((x.shape[0], 128), jnp.float32)
        return ((jax.lax.scan(cell, (zero, zero), x.swapaxes(0, 1))[1].swapaxes(0, 1) - y)**2).mean()

    names = [("memory.cell.W", "weight_ih_l0'"), ("memory.cell.U", "weight_hh_l0'"), ("memory.cell.b", "bias_ih_l0")]
    return TrainRow("LSTM 64-128, 32 steps, batch 32, adam", text, 32,
                    lambda maker, rows: [maker.normal(rows, 32, 64), maker.normal(rows, 32, 128)], ADAM, lstm_net,
                    lambda net, x, y: functional.mse_loss(net(x)[0], y), names, jax_loss, 2, compiles=False)


def gpt_net():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.between = nn.LayerNorm(128), nn.LayerNorm(128)
            self.qkv, self.out = nn.Linear(128, 384), nn.Linear(128, 128)
            self.wide, self.narrow = nn.Linear(128, 512), nn.Linear(512, 128)

        def forward(self, x):
            q, k, v = [t.view(-1, 64, 4, 32).transpose(1, 2) for t in self.qkv(self.before(x)).split(128, -1)]
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(-1, 64, 128))
            return x + self.narrow(functional.gelu(self.wide(self.between(x))))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.places = nn.Embedding(256, 128), nn.Parameter(torch.randn(64, 128) * 0.02)
            self.blocks = nn.Sequential(Block(), Block())
            self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 256)

        def forward(self, tokens):
            return self.head(self.norm(self.blocks(self.embed(tokens) + self.places)))

    return Gpt()


def jax_norm(p, path, x):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p[path + ".gamma"] + p[path + ".beta"]


def jax_gpt_loss(p, tokens, y):
    linear = lambda path, x: x @ p[path + ".weight"].T + p[path + ".bias"]
    x = p["embed.W"][tokens] + p["places"]
    for block in ("blocks.0", "blocks.1"):
        qkv = jax_norm(p, block + ".before", x) @ p[block + ".attend.in_weight"].T + p[block + ".attend.in_bias"]
        q, k, v = [t.reshape(-1, 64, 4, 32).swapaxes(1, 2) for t in jnp.split(qkv, 3, -1)]
        scores = jnp.where(jnp.tril(jnp.ones((64, 64), bool)), q @ k.swapaxes(-1, -2) / 32**0.5, -jnp.inf)
        x = x + linear(block + ".attend.out", (jax.nn.softmax(scores) @ v).swapaxes(1, 2).reshape(-1, 64, 128))
        wide = jax.nn.gelu(linear(block + ".wide", jax_norm(p, block + ".between", x)), approximate=False)
        x = x + linear(block + ".narrow", wide)
    return cross_entropy(jax_norm(p, "norm", x) @ p["head.W"] + p["head.b"], y)


def gpt():
    text = """dim N
net gpt(x: i32[N, 64]) -> f32[N, 64, 256] {
    use embed = embedding<256, 128>
    param places: f32[64, 128] ~ normal(std = 0.02)
    use blocks[2] = transformer_block<128, 4, causal = true>
    use norm = layer_norm<128>
    use head = dense<128, 256>
    h = embed(x) + places
    for b in blocks { h = b(h) }
    return head(norm(h))
}
loss l(x: i32[N, 64], y: i32[N, 64]) { return cross_entropy(reshape(gpt(x), [N * 64, 256]), reshape(y, [N * 64])) }
train l { optimizer adamw(lr = 0.001); batch 8 }
"""
    names = [("attend.in_weight", "qkv.weight"), ("attend.in_bias", "qkv.bias"), ("attend.out", "out"),
             (".gamma", ".weight"), (".beta", ".bias"), ("embed.W", "embed.weight"), ("head.W", "head.weight'"),
             ("head.b", "head.bias")]
    return TrainRow("GPT 2 blocks, 128, 4 heads, 64 tokens, batch 8, adamw", text, 8,
                    lambda maker, rows: [maker.classes(256, rows, 64), maker.classes(256, rows, 64)], ADAMW, gpt_net,
                    lambda net, x, y: functional.cross_entropy(net(x).reshape(-1, 256), y.reshape(-1)), names,
                    jax_gpt_loss, 1.5)


def normed(x, g, b):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(((x - mean)**2).mean(-1, keepdims=True) + 1e-5) * g + b


def functions():
    yield ValueRow(
        "cross entropy [4096, 1000], value and gradient",
        "fn f(x: f32[4096, 1000] requires_grad, y: i32[4096]) -> (f32, f32[4096, 1000]) {\n"
        "    l = cross_entropy(x, y)\n    return l, grad(l, x)\n}\n",
        lambda maker: [maker.normal(4096, 1000), maker.classes(1000, 4096)],
        torch_gradients(lambda x, y: functional.cross_entropy(x, y)),
        lambda x, y: jax.value_and_grad(cross_entropy)(x, y), 3)
    yield ValueRow(
        "softmax [4096, 1000]", "fn f(x: f32[4096, 1000]) -> f32[4096, 1000] { return softmax(x) }\n",
        lambda maker: [maker.normal(4096, 1000)], lambda x: torch.softmax(x, -1), lambda x: jax.nn.softmax(x), 1.6)
    yield ValueRow(
        "sum(sin(layer_norm(x, g, b))) [4096, 512]",
        "fn f(x: f32[4096, 512] requires_grad, g: f32[512] requires_grad, b: f32[512] requires_grad) "
        "-> (f32, f32[4096, 512], f32[512], f32[512]) {\n    m = mean(x, axis = 1, keepdims = true)\n"
        "    v = mean((x - m)^2, axis = 1, keepdims = true)\n    l = sum(sin((x - m) / sqrt(v + 1e-5) * g + b))\n"
        "    dx, dg, db = grad(l, (x, g, b))\n    return l, dx, dg, db\n}\n",
        lambda maker: [maker.normal(4096, 512), maker.normal(512), maker.normal(512)],
        torch_gradients(lambda x, g, b: torch.sin(functional.layer_norm(x, (512,), g, b)).sum()),
        lambda x, g, b: jax.value_and_grad(lambda x, g, b: jnp.sin(normed(x, g, b)).sum(), (0, 1, 2))(x, g, b), 2.5)
    for size, goal in ((1000, 15), (100000, 1.8), (4000000, 2)):
        yield ValueRow(
            f"sum(tanh(x y + 1) sigmoid(y) - exp(-x^2)), n = {size}",
            f"fn f(x: f32[{size}] requires_grad, y: f32[{size}] requires_grad) -> (f32, f32[{size}], f32[{size}]) {{\n"
            "    l = sum(tanh(x * y + 1) * sigmoid(y) - exp(-x^2))\n    dx, dy = grad(l, (x, y))\n"
            "    return l, dx, dy\n}\n",
            lambda maker, size=size: [maker.normal(size), maker.normal(size)],
            torch_gradients(lambda x, y: (torch.tanh(x * y + 1) * torch.sigmoid(y) - torch.exp(-x**2)).sum()),
            lambda x, y: jax.value_and_grad(
                lambda x, y: (jnp.tanh(x * y + 1) * jax.nn.sigmoid(y) - jnp.exp(-x**2)).sum(), (0, 1))(x, y), goal)


def rows():
    return [
        perceptron([2, 8, 1], "tanh", "mse", 4, SGD, 80, 20),
        perceptron([4, 16, 3], "relu", "ce", 16, SGD, 40, 8),
        perceptron([64, 128, 10], "relu", "ce", 64, ADAM, 3.5, 2),
        perceptron([784, 128, 10], "relu", "ce", 32, SGD, 2.2, 1.8),
        perceptron([784, 128, 10], "relu", "ce", 256, ADAM, 1.6, 1.5),
        perceptron([784, 256, 128, 10], "relu", "ce", 128, ADAM, 1.5, 1.35),
        perceptron([1024, 4096, 1024], "gelu", "mse", 256, SGD, 1.4, many=False),
        physics(), lenet(), lstm(), gpt(), *functions()]

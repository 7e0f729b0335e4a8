"""The table of speed: training steps and functions of many shapes, gradc beside PyTorch and JAX, in one process.

    cmake -B build/shared -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DBUILD_TESTING=OFF && cmake --build build/shared
    python tests/bench/table.py build/shared/libgradc.so [--threads 2] [--only NAME] [--compile] [--json FILE]

Without PyTorch and JAX, or with --no-peers, gradc alone is timed. The runs are interleaved: every round times each
framework once, for as many steps as take about 20 ms. A line has the median over the rounds in microseconds, and how
many times faster than each peer gradc is. --second LIBRARY times another build of gradc in the same rounds.
"""
import argparse
import ctypes
import importlib.util
import json
import os
import statistics
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("library")
parser.add_argument("--rounds", type=int, default=10)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--only", help="rows whose names contain this")
parser.add_argument("--no-peers", action="store_true")
parser.add_argument("--compile", action="store_true", help="torch.compile, too")
parser.add_argument("--second", help="another build of gradc")
parser.add_argument("--json", help="write the medians to this file")
arguments = parser.parse_args()

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(arguments.threads)
if arguments.threads == 1:
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np

has_peers = not arguments.no_peers and all(importlib.util.find_spec(name) for name in ("torch", "jax"))
if has_peers:
    import jax
    import jax.numpy as jnp
    import torch
    from torch import nn
    from torch.nn import functional
    torch.set_num_threads(arguments.threads)

rng = np.random.default_rng(1)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def classes(count, *shape):
    return rng.integers(0, count, shape).astype(np.int32)


# ---- gradc, through its C interface

class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("shape", ctypes.c_int64 * 8), ("data", ctypes.c_void_p)]


DTYPES = {np.dtype("float32"): 0, np.dtype("float64"): 1, np.dtype("int32"): 2, np.dtype("int64"): 3}


class Gradc:
    def __init__(self, path):
        self.library = ctypes.CDLL(os.path.abspath(path))
        self.library.gradc_message.restype = ctypes.c_char_p
        self.library.gradc_diagnostics.restype = ctypes.c_char_p

    def check(self, program, status):
        if status:
            raise RuntimeError(self.library.gradc_message(program).decode())

    def compile(self, text):
        program, data = ctypes.c_void_p(), text.encode()
        options = (ctypes.c_int * 64)(0, 0, arguments.threads)   # gradc_options: floating, vector_bytes, threads
        status = self.library.gradc_compile_text(b"model.grad", data, ctypes.c_size_t(len(data)), options,
                                                 ctypes.byref(program))
        if status:
            raise RuntimeError(self.library.gradc_diagnostics(program, False).decode())
        return program

    def handle(self, program, kind, name, arrays):
        handle = ctypes.c_void_p()
        create, bind = getattr(self.library, f"gradc_{kind}_create"), getattr(self.library, f"gradc_{kind}_bind")
        self.check(program, create(program, name.encode(), ctypes.byref(handle)))
        for index, array in enumerate(arrays):
            tensor = Tensor(DTYPES[array.dtype], array.ndim, (ctypes.c_int64 * 8)(*array.shape), array.ctypes.data)
            self.check(program, bind(handle, index, ctypes.byref(tensor)))
        return handle

    def steps(self, text, arrays):
        program = self.compile(text)
        trainer, loss = self.handle(program, "trainer", "l", arrays), ctypes.c_double()
        step, reference = self.library.gradc_trainer_step, ctypes.byref(loss)
        self.check(program, step(trainer, reference))

        def run(count, arrays=arrays):   # which must live as long
            for _ in range(count):
                status = step(trainer, reference)
            self.check(program, status)

        return run

    def values(self, text, arrays):
        program = self.compile(text)
        call = self.handle(program, "call", "f", arrays)
        value = self.library.gradc_call_value
        self.check(program, value(call))

        def run(count, arrays=arrays):
            for _ in range(count):
                status = value(call)
            self.check(program, status)

        return run


# ---- peers

def torch_steps(parameters, loss_of, optimizer, arrays):
    def run(count):
        for _ in range(count):
            optimizer.zero_grad()
            loss_of(*arrays).backward()
            optimizer.step()

    return run


def torch_values(function, arrays):
    def run(count):
        for _ in range(count):
            function(*arrays)

    return run


def tensors(arrays):
    return [torch.from_numpy(a).long() if a.dtype == np.int32 else torch.from_numpy(a) for a in arrays]


def jax_values(function, arrays):
    jitted, arrays = jax.jit(function), [jnp.array(a) for a in arrays]

    def run(count):
        for _ in range(count):
            result = jitted(*arrays)
        jax.block_until_ready(result)

    return run


def jax_steps(parameters, loss_of, optimizer, arrays):
    """optimizer: ("sgd", lr), ("adam", lr) or ("adamw", lr)"""
    kind, lr = optimizer
    tree = jax.tree_util.tree_map

    def update(state, *arrays):
        parameters, m, v, t = state
        gradient = jax.grad(loss_of)(parameters, *arrays)
        if kind == "sgd":
            return tree(lambda p, g: p - lr * g, parameters, gradient), m, v, t
        t = t + 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        decay = 1 - lr * 0.01 if kind == "adamw" else 1
        step = lambda p, m, v: p * decay - lr * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return tree(step, parameters, m, v), m, v, t

    jitted = jax.jit(update, donate_argnums=0)
    zeros = lambda: tree(jnp.zeros_like, parameters)
    state, arrays = [(parameters, zeros(), zeros(), jnp.float32(0))], [jnp.array(a) for a in arrays]

    def run(count):
        for _ in range(count):
            state[0] = jitted(state[0], *arrays)
        jax.block_until_ready(state[0])

    return run


def torch_optimizer(parameters, optimizer):
    kind, lr = optimizer
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind](parameters, lr=lr)


# ---- rows: a name, and a function that makes {"gradc": run, ...}

ROWS = {}


def train_row(name, text, arrays, optimizer, torch_net, torch_loss, jax_net=None):
    """torch_net() gives a module, torch_loss(module, *arrays) a loss; jax_net() gives parameters and their loss"""
    def make(gradcs):
        data = arrays()
        runs = {key: gradc.steps(text, data) for key, gradc in gradcs.items()}
        if has_peers:
            variants = {"eager": lambda f: f}
            if arguments.compile:
                variants["compile"] = torch.compile
            for key, wrap in variants.items():
                module = torch_net()
                loss = wrap(lambda *a, module=module: torch_loss(module, *a))
                runs[key] = torch_steps(module, loss, torch_optimizer(module.parameters(), optimizer), tensors(data))
        if has_peers and jax_net:
            runs["jax"] = jax_steps(*jax_net(), optimizer, data)
        return runs

    ROWS[name] = make


def value_row(name, text, arrays, torch_function, jax_function, compiles=True):
    def make(gradcs):
        data = arrays()
        runs = {key: gradc.values(text, data) for key, gradc in gradcs.items()}
        if has_peers:
            runs["eager"] = torch_values(torch_function, tensors(data))
            if arguments.compile:
                runs["compile"] = torch_values(torch.compile(torch_function), tensors(data))
            runs["jax"] = jax_values(jax_function, data)
        return runs

    ROWS[name] = make


def perceptron(sizes, activation, kind, batch, optimizer):
    count, last = len(sizes) - 1, sizes[-1]
    lines = ["dim N", f"net mlp(x: f32[N, {sizes[0]}]) -> f32[N, {last}] {{"]
    call = "x"
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        lines.append(f"    use layer{i} = dense<{a}, {b}{', ' + activation if i < count - 1 else ''}>")
        call = f"layer{i}({call})"
    lines.append(f"    return {call}\n}}")
    y = {"ce": "i32[N]", "mse": f"f32[N, {last}]"}[kind]
    function = {"ce": "cross_entropy", "mse": "mse_loss"}[kind]
    lines.append(f"loss l(x: f32[N, {sizes[0]}], y: {y}) {{ return {function}(mlp(x), y) }}")
    lines.append(f"train l {{ optimizer {optimizer[0]}(lr = {optimizer[1]}); batch {batch} }}\n")

    def torch_net():
        parts = []
        for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
            parts += [nn.Linear(a, b)] + ([{"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}[activation]()]
                                          if i < count - 1 else [])
        return nn.Sequential(*parts)

    def torch_loss(net, x, y):
        return (functional.cross_entropy if kind == "ce" else functional.mse_loss)(net(x), y)

    def jax_net():
        act = {"relu": jax.nn.relu, "tanh": jnp.tanh, "gelu": lambda x: jax.nn.gelu(x, approximate=False)}[activation]
        parameters = [(jnp.array(normal(a, b) * (2 / a)**0.5), jnp.zeros(b, jnp.float32)) for a, b in zip(sizes, sizes[1:])]

        def loss(parameters, x, y):
            for i, (w, b) in enumerate(parameters):
                x = x @ w + b
                if i < count - 1:
                    x = act(x)
            if kind == "mse":
                return ((x - y)**2).mean()
            return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean()

        return parameters, loss

    name = f"{'-'.join(map(str, sizes))} {activation} {kind}, batch {batch}, {optimizer[0]}"
    target = (lambda: classes(last, batch)) if kind == "ce" else (lambda: normal(batch, last))
    train_row(name, "\n".join(lines), lambda: [normal(batch, sizes[0]), target()], optimizer, torch_net, torch_loss, jax_net)


perceptron([2, 8, 1], "tanh", "mse", 4, ("sgd", 1e-2))
perceptron([4, 16, 3], "relu", "ce", 16, ("sgd", 1e-2))
perceptron([64, 128, 10], "relu", "ce", 64, ("adam", 1e-3))
perceptron([784, 128, 10], "relu", "ce", 32, ("sgd", 1e-2))
perceptron([784, 128, 10], "relu", "ce", 256, ("adam", 1e-3))
perceptron([784, 256, 128, 10], "relu", "ce", 128, ("adam", 1e-3))
perceptron([1024, 4096, 1024], "gelu", "mse", 256, ("sgd", 1e-2))


def physics_row():
    text = ("dim N\nnet u(x: f32[N, 1]) -> f32[N, 1] {\n    use a = dense<1, 32, tanh>\n    use b = dense<32, 32, tanh>\n"
            "    use c = dense<32, 1>\n    return c(b(a(x)))\n}\nloss l(x: f32[N, 1] requires_grad) {\n    y = u(x)\n"
            "    d = grad(sum(y), x)\n    return mean((grad(sum(d), x) + y)^2)\n}\n"
            "train l { optimizer adam(lr = 1e-3); batch 64 }\n")

    def torch_loss(net, x):
        x = x.detach().requires_grad_()
        y = net(x)
        d = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
        return ((torch.autograd.grad(d.sum(), x, create_graph=True)[0] + y)**2).mean()

    def jax_net():
        sizes = [1, 32, 32, 1]
        parameters = [(jnp.array(normal(a, b) * (1 / a)**0.5), jnp.zeros(b, jnp.float32)) for a, b in zip(sizes, sizes[1:])]

        def loss(parameters, x):
            def u(t):
                h = t[None]
                for i, (w, b) in enumerate(parameters):
                    h = h @ w + b
                    h = jnp.tanh(h) if i < 2 else h
                return h[0]
            return ((jax.vmap(jax.grad(jax.grad(u)))(x[:, 0]) + jax.vmap(u)(x[:, 0]))**2).mean()

        return parameters, loss

    net = lambda: nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    train_row("u'' + u, 1-32-32-1 tanh, batch 64, adam", text, lambda: [normal(64, 1)], ("adam", 1e-3), net, torch_loss,
              jax_net)


physics_row()

train_row(
    "LeNet 28x28, batch 32, sgd", """dim N
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
""", lambda: [normal(32, 1, 28, 28), classes(10, 32)], ("sgd", 1e-2),
    lambda: nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                          nn.Linear(84, 10)), lambda net, x, y: functional.cross_entropy(net(x), y))


def lstm_jax():
    shapes = [(64, 512), (128, 512), (512,)]
    parameters = [jnp.array(normal(*s) * 0.08) for s in shapes]

    def loss(parameters, x, y):
        w, u, b = parameters

        def cell(carry, x):
            h, c = carry
            i, f, g, o = jnp.split(x @ w + h @ u + b, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((x.shape[0], 128), jnp.float32)
        return ((jax.lax.scan(cell, (zero, zero), x.swapaxes(0, 1))[1].swapaxes(0, 1) - y)**2).mean()

    return parameters, loss


train_row("LSTM 64-128, 32 steps, batch 32, adam", """dim N
loss l(x: f32[N, 32, 64], y: f32[N, 32, 128]) {
    use memory = lstm<64, 128>
    return mse_loss(memory(x), y)
}
train l { optimizer adam(lr = 0.001); batch 32 }
""", lambda: [normal(32, 32, 64), normal(32, 32, 128)], ("adam", 1e-3), lambda: nn.LSTM(64, 128, batch_first=True),
          lambda net, x, y: functional.mse_loss(net(x)[0], y), lstm_jax)


def gpt_torch():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(128), nn.LayerNorm(128)
            self.qkv, self.out = nn.Linear(128, 384), nn.Linear(128, 128)
            self.widen, self.narrow = nn.Linear(128, 512), nn.Linear(512, 128)

        def forward(self, x):
            q, k, v = [t.view(-1, 64, 4, 32).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(128, -1)]
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(-1, 64, 128))
            return x + self.narrow(functional.gelu(self.widen(self.norm2(x))))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.places = nn.Embedding(256, 128), nn.Parameter(torch.randn(64, 128) * 0.02)
            self.blocks = nn.Sequential(Block(), Block())
            self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 256)

        def forward(self, tokens):
            return self.head(self.norm(self.blocks(self.embed(tokens) + self.places)))

    return Gpt()


train_row("GPT 2 blocks, 128, 4 heads, 64 tokens, batch 8, adamw", """dim N
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
""", lambda: [classes(256, 8, 64), classes(256, 8, 64)], ("adamw", 1e-3), gpt_torch,
          lambda net, x, y: functional.cross_entropy(net(x).reshape(-1, 256), y.reshape(-1)))


def torch_gradients(function):
    def run(*arrays):
        inputs = [a.detach().requires_grad_() if a.is_floating_point() else a for a in arrays]
        value = function(*inputs)
        value.backward()
        return value, [a.grad for a in inputs]

    return run


value_row(
    "cross entropy [4096, 1000], value and gradient",
    "fn f(x: f32[4096, 1000] requires_grad, y: i32[4096]) -> (f32, f32[4096, 1000]) {\n"
    "    l = cross_entropy(x, y)\n    return l, grad(l, x)\n}\n", lambda: [normal(4096, 1000), classes(1000, 4096)],
    torch_gradients(lambda x, y: functional.cross_entropy(x, y)), lambda x, y: jax.value_and_grad(
        lambda x: -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean())(x))
value_row("softmax [4096, 1000]", "fn f(x: f32[4096, 1000]) -> f32[4096, 1000] { return softmax(x) }\n",
          lambda: [normal(4096, 1000)], lambda x: torch.softmax(x, -1), lambda x: jax.nn.softmax(x))


def normed(x, g, b):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(((x - mean)**2).mean(-1, keepdims=True) + 1e-5) * g + b


value_row(
    "sum(sin(layer_norm(x, g, b))) [4096, 512]",
    "fn f(x: f32[4096, 512] requires_grad, g: f32[512] requires_grad, b: f32[512] requires_grad) "
    "-> (f32, f32[4096, 512], f32[512], f32[512]) {\n    m = mean(x, axis = 1, keepdims = true)\n"
    "    v = mean((x - m)^2, axis = 1, keepdims = true)\n    l = sum(sin((x - m) / sqrt(v + 1e-5) * g + b))\n"
    "    dx, dg, db = grad(l, (x, g, b))\n    return l, dx, dg, db\n}\n",
    lambda: [normal(4096, 512), normal(512), normal(512)],
    torch_gradients(lambda x, g, b: torch.sin(functional.layer_norm(x, (512,), g, b)).sum()),
    lambda x, g, b: jax.value_and_grad(lambda x, g, b: jnp.sin(normed(x, g, b)).sum(), (0, 1, 2))(x, g, b))
for size in (1000, 100000, 4000000):
    value_row(
        f"sum(tanh(x y + 1) sigmoid(y) - exp(-x^2)), n = {size}",
        f"fn f(x: f32[{size}] requires_grad, y: f32[{size}] requires_grad) -> (f32, f32[{size}], f32[{size}]) {{\n"
        "    l = sum(tanh(x * y + 1) * sigmoid(y) - exp(-x^2))\n    dx, dy = grad(l, (x, y))\n    return l, dx, dy\n}\n",
        lambda size=size: [normal(size), normal(size)],
        torch_gradients(lambda x, y: (torch.tanh(x * y + 1) * torch.sigmoid(y) - torch.exp(-x**2)).sum()),
        lambda x, y: jax.value_and_grad(
            lambda x, y: (jnp.tanh(x * y + 1) * jax.nn.sigmoid(y) - jnp.exp(-x**2)).sum(), (0, 1))(x, y))


# ---- timing

def steps_for(run, milliseconds):
    run(1)
    count = 1
    while True:
        started = time.perf_counter()
        run(count)
        taken = (time.perf_counter() - started) * 1e3
        if taken >= milliseconds or count >= 100000:
            return count
        count = max(count + 1, int(count * min(10, 1.2 * milliseconds / max(taken, 1e-3))))


def measure(runs):
    counts = {name: steps_for(run, 20) for name, run in runs.items()}
    times = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run(counts[name])
            times[name].append((time.perf_counter() - started) / counts[name] * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def main():
    gradcs = {"gradc": Gradc(arguments.library)}
    if arguments.second:
        gradcs["second"] = Gradc(arguments.second)
    results = {}
    for name, make in ROWS.items():
        if arguments.only and arguments.only not in name:
            continue
        medians = results[name] = measure(make(gradcs))
        others = "".join(f", {key} {value:.1f} ({value / medians['gradc']:.2f}x)" for key, value in medians.items()
                         if key != "gradc")
        print(f"{name}: gradc {medians['gradc']:.1f} us{others}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"threads": arguments.threads, "microseconds": results}, file, indent=1)


main()

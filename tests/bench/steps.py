"""Whole training steps (forward, backward, update): gradc beside PyTorch eager, torch.compile and JAX, in one process.

    cmake -B build/shared -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DBUILD_TESTING=OFF && cmake --build build/shared
    pip install torch==2.13.0 jax jaxlib
    python tests/bench/steps.py build/shared/libgradc.so [--rounds 30] [--no-compile] [--only NAME]

One thread each. The runs are interleaved: every round times each framework once, for as many steps as take about 20 ms;
the table has the medians over the rounds, in microseconds a step, and how many times faster gradc is. gradc is called
from Python through ctypes, and the price of such a call (an empty one, timed apart) is not taken off.
"""
import argparse
import ctypes
import os
import statistics
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np


# ---- gradc, through its C interface

class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("shape", ctypes.c_int64 * 8), ("data", ctypes.c_void_p)]


DTYPES = {np.dtype("float32"): 0, np.dtype("float64"): 1, np.dtype("int32"): 2, np.dtype("int64"): 3}


class Gradc:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.gradc_message.restype = ctypes.c_char_p
        self.library.gradc_diagnostics.restype = ctypes.c_char_p

    def check(self, program, status):
        if status:
            raise RuntimeError(self.library.gradc_message(program).decode())

    def trainer(self, text, loss, arrays):
        """A function that takes one step, and one that returns the last loss."""
        program, trainer = ctypes.c_void_p(), ctypes.c_void_p()
        data = text.encode()
        started = time.perf_counter()
        status = self.library.gradc_compile_text(b"model.grad", data, ctypes.c_size_t(len(data)), None, ctypes.byref(program))
        if status:
            raise RuntimeError(self.library.gradc_diagnostics(program, False).decode())
        self.check(program, self.library.gradc_trainer_create(program, loss.encode(), ctypes.byref(trainer)))
        for index, array in enumerate(arrays):
            tensor = Tensor(DTYPES[array.dtype], array.ndim, (ctypes.c_int64 * 8)(*array.shape), array.ctypes.data)
            self.check(program, self.library.gradc_trainer_bind(trainer, index, ctypes.byref(tensor)))
        value = ctypes.c_double()
        step, reference = self.library.gradc_trainer_step, ctypes.byref(value)
        self.check(program, step(trainer, reference))
        compile_ms = (time.perf_counter() - started) * 1e3

        def run(count):
            for _ in range(count):
                step(trainer, reference)
            return value.value

        return run, compile_ms


# ---- the models

class Model:
    """sizes of a perceptron, its activation, its loss and optimizer, in all three languages"""

    def __init__(self, name, sizes, activation, kind, batch, optimizer, lr):
        self.name, self.sizes, self.activation, self.kind = name, sizes, activation, kind
        self.batch, self.optimizer, self.lr = batch, optimizer, lr
        generator = np.random.default_rng(1)
        self.x = generator.standard_normal((batch, sizes[0])).astype(np.float32)
        if kind == "ce":
            self.y = generator.integers(0, sizes[-1], batch).astype(np.int32)
        else:
            self.y = generator.standard_normal((batch, sizes[-1])).astype(np.float32)
        self.weights = [(generator.standard_normal((a, b)).astype(np.float32) * (2 / a) ** 0.5, np.zeros(b, np.float32))
                        for a, b in zip(sizes, sizes[1:])]

    def gradc_text(self):
        count = len(self.sizes) - 1
        lines = ["dim N", f"net mlp(x: f32[N, {self.sizes[0]}]) -> f32[N, {self.sizes[-1]}] {{"]
        for i, (a, b) in enumerate(zip(self.sizes, self.sizes[1:])):
            lines.append(f"    use layer{i} = dense<{a}, {b}{', ' + self.activation if i < count - 1 else ''}>")
        call = "x"
        for i in range(count):
            call = f"layer{i}({call})"
        lines.append(f"    return {call}\n}}")
        if self.kind == "ce":
            lines.append(f"loss l(x: f32[N, {self.sizes[0]}], y: i32[N]) {{ return cross_entropy(mlp(x), y) }}")
        elif self.kind == "mse":
            lines.append(f"loss l(x: f32[N, {self.sizes[0]}], y: f32[N, {self.sizes[-1]}]) {{ return mse_loss(mlp(x), y) }}")
        else:   # u'' + u = 0
            lines.append("loss l(x: f32[N, 1] requires_grad) {\n    u = mlp(x)\n    du = grad(sum(u), x)\n"
                         "    ddu = grad(sum(du), x)\n    return mean((ddu + u)^2)\n}")
        lines.append(f"train l {{ optimizer {self.optimizer}(lr = {self.lr}); batch {self.batch} }}")
        return "\n".join(lines) + "\n"

    def arrays(self):
        return [self.x] if self.kind == "pinn" else [self.x, self.y]


def torch_steps(model, compiled):
    import torch
    torch.set_num_threads(1)
    x, y = torch.from_numpy(model.x), torch.from_numpy(model.y)
    parameters = [torch.tensor(p, requires_grad=True) for pair in model.weights for p in pair]
    act = getattr(torch, model.activation)
    make = torch.optim.Adam if model.optimizer == "adam" else torch.optim.SGD
    optimizer = make(parameters, lr=model.lr)
    if model.kind == "ce":
        y = y.long()

    def forward(x):
        for i in range(0, len(parameters), 2):
            x = x @ parameters[i] + parameters[i + 1]
            if i < len(parameters) - 2:
                x = act(x)
        return x

    def loss_of(x, y):
        if model.kind == "ce":
            return torch.nn.functional.cross_entropy(forward(x), y)
        if model.kind == "mse":
            return torch.nn.functional.mse_loss(forward(x), y)
        x = x.detach().requires_grad_()
        u = forward(x)
        du = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        ddu = torch.autograd.grad(du.sum(), x, create_graph=True)[0]
        return ((ddu + u) ** 2).mean()

    loss_function = torch.compile(loss_of) if compiled else loss_of

    def run(count):
        for _ in range(count):
            optimizer.zero_grad()
            loss = loss_function(x, y)
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


def jax_steps(model):
    import jax
    import jax.numpy as jnp
    act = {"relu": jax.nn.relu, "tanh": jnp.tanh}[model.activation]

    def forward(parameters, x):
        for i, (w, b) in enumerate(parameters):
            x = x @ w + b
            if i < len(parameters) - 1:
                x = act(x)
        return x

    def loss_of(parameters, x, y):
        if model.kind == "ce":
            logs = jax.nn.log_softmax(forward(parameters, x))
            return -jnp.take_along_axis(logs, y[:, None], 1).mean()
        if model.kind == "mse":
            return ((forward(parameters, x) - y) ** 2).mean()
        u = lambda t: forward(parameters, t[None, None])[0, 0]
        ddu = jax.vmap(jax.grad(jax.grad(u)))(x[:, 0])
        return ((ddu + jax.vmap(u)(x[:, 0])) ** 2).mean()

    def update(state, x, y):
        parameters, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(parameters, x, y)
        tree = jax.tree_util.tree_map
        if model.optimizer == "adam":
            t = t + 1
            m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            step = lambda p, m, v: p - model.lr * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
            parameters = tree(step, parameters, m, v)
        else:
            parameters = tree(lambda p, g: p - model.lr * g, parameters, g)
        return (parameters, m, v, t), loss

    jitted = jax.jit(update, donate_argnums=0)
    parameters = [(jnp.array(w), jnp.array(b)) for w, b in model.weights]
    zeros = lambda: jax.tree_util.tree_map(jnp.zeros_like, parameters)
    state = [(parameters, zeros(), zeros(), jnp.float32(0))]
    x, y = jnp.array(model.x), jnp.array(model.y)

    def run(count):
        for _ in range(count):
            state[0], loss = jitted(state[0], x, y)
        loss.block_until_ready()
        return float(loss)

    return run


MODELS = [
    Model("2-8-1 tanh mse, batch 4, sgd", [2, 8, 1], "tanh", "mse", 4, "sgd", 1e-2),
    Model("4-16-3 relu ce, batch 16, sgd", [4, 16, 3], "relu", "ce", 16, "sgd", 1e-2),
    Model("64-128-10 relu ce, batch 64, adam", [64, 128, 10], "relu", "ce", 64, "adam", 1e-3),
    Model("u'' + u, 1-32-32-1 tanh, batch 64, adam", [1, 32, 32, 1], "tanh", "pinn", 64, "adam", 1e-3),
]


def steps_for(run, milliseconds):
    count = 1
    while True:
        started = time.perf_counter()
        run(count)
        taken = (time.perf_counter() - started) * 1e3
        if taken >= milliseconds or count >= 100000:
            return count
        count = max(count + 1, int(count * min(10, 1.2 * milliseconds / max(taken, 1e-3))))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--only", help="models whose names contain this")
    arguments = parser.parse_args()
    gradc = Gradc(os.path.abspath(arguments.library))

    calls = 100000
    version = gradc.library.gradc_version
    started = time.perf_counter()
    for _ in range(calls):
        version()
    print(f"an empty call through ctypes: {(time.perf_counter() - started) / calls * 1e6:.2f} us")

    for model in MODELS:
        if arguments.only and arguments.only not in model.name:
            continue
        run, compile_ms = gradc.trainer(model.gradc_text(), "l", model.arrays())
        runs = {"gradc": run, "eager": torch_steps(model, False)}
        if not arguments.no_compile and model.kind != "pinn":   # torch.compile has no double backward
            runs["compile"] = torch_steps(model, True)
        runs["jax"] = jax_steps(model)
        counts = {name: steps_for(run, 20) for name, run in runs.items()}
        times = {name: [] for name in runs}
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                started = time.perf_counter()
                run(counts[name])
                times[name].append((time.perf_counter() - started) / counts[name] * 1e6)
        medians = {name: statistics.median(values) for name, values in times.items()}
        row = ", ".join(f"{name} {value:.1f} us" + ("" if name == "gradc" else f" ({value / medians['gradc']:.2f}x)")
                        for name, value in medians.items())
        print(f"{model.name}: {row}; gradc text to first step {compile_ms:.0f} ms", flush=True)


if __name__ == "__main__":
    main()

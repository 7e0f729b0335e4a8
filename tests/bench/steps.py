"""Whole training steps (forward, backward, update): gradc beside PyTorch eager, torch.compile and JAX, in one process.

    cmake --preset release -DBUILD_TESTING=OFF && cmake --build --preset release
    pip install torch==2.13.0 jax jaxlib
    python tests/bench/steps.py build/release/libgradc.so [--rounds 30] [--no-compile] [--only NAME] [--json FILE]

One thread each. The runs are interleaved: every round times each of them once, for as many steps as take about 20 ms;
the table has the medians over the rounds, in microseconds a step. What is not installed is left out.

A step a call, always with the same batch:
    gradc           gradc_trainer_step, called from a loop in C (loop.c, which cc compiles here)
    gradc, ctypes   the same called from Python through ctypes, as a Python host would: what that adds is the caller's price
    eager, compile, jit
200 steps a call, over 200 batches in memory:
    gradc, 200      gradc_trainer_steps
    scan            lax.scan under jit
"""
import argparse
import ctypes
import json
import os
import statistics
import subprocess
import tempfile
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np


# ---- gradc, through its C interface

class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("shape", ctypes.c_int64 * 8), ("data", ctypes.c_void_p)]


class Options(ctypes.Structure):
    """gradc_options up to `threads`, and room for what may come behind it."""
    _fields_ = [("floating", ctypes.c_int), ("vector_bytes", ctypes.c_int), ("verify", ctypes.c_bool),
                ("diagnose", ctypes.c_void_p), ("diagnose_context", ctypes.c_void_p), ("allocate", ctypes.c_void_p),
                ("release", ctypes.c_void_p), ("allocate_context", ctypes.c_void_p), ("threads", ctypes.c_int),
                ("rest", ctypes.c_char * 256)]


class StepsOptions(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int64), ("batch", ctypes.c_int64), ("order", ctypes.c_void_p),
                ("order_count", ctypes.c_int64), ("position", ctypes.c_void_p), ("losses", ctypes.c_void_p)]


SCAN = 200   # steps of one call where many are made in one
DTYPES = {np.dtype("float32"): 0, np.dtype("float64"): 1, np.dtype("int32"): 2, np.dtype("int64"): 3}


class Gradc:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loop.c")
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", folder + "/loop.so"], check=True)
            self.loop = ctypes.CDLL(folder + "/loop.so").loop
        self.library.gradc_message.restype = ctypes.c_char_p
        self.library.gradc_diagnostics.restype = ctypes.c_char_p

    def check(self, program, status):
        if status:
            raise RuntimeError(self.library.gradc_message(program).decode())

    def create(self, text, loss):
        program, trainer = ctypes.c_void_p(), ctypes.c_void_p()
        data = text.encode()
        options = Options(threads=1)
        status = self.library.gradc_compile_text(b"model.grad", data, ctypes.c_size_t(len(data)), ctypes.byref(options),
                                                 ctypes.byref(program))
        if status:
            raise RuntimeError(self.library.gradc_diagnostics(program, False).decode())
        self.check(program, self.library.gradc_trainer_create(program, loss.encode(), ctypes.byref(trainer)))
        return program, trainer

    def bind(self, program, trainer, function, arrays):
        for index, array in enumerate(arrays):
            tensor = Tensor(DTYPES[array.dtype], array.ndim, (ctypes.c_int64 * 8)(*array.shape), array.ctypes.data)
            self.check(program, function(trainer, index, ctypes.byref(tensor)))

    def runs(self, text, loss, model):
        """What takes steps, by name, and how many ms there are from the text to the first step."""
        library = self.library
        started = time.perf_counter()
        program, trainer = self.create(text, loss)
        self.bind(program, trainer, library.gradc_trainer_bind, model.arrays())
        value = ctypes.c_double()
        step, reference = library.gradc_trainer_step, ctypes.byref(value)
        self.check(program, step(trainer, reference))
        compile_ms = (time.perf_counter() - started) * 1e3

        def in_c(count):
            self.check(program, self.loop(step, trainer, reference, ctypes.c_long(count)))
            return value.value

        def in_python(count):
            for _ in range(count):
                step(trainer, reference)
            return value.value

        many_program, many = self.create(text, loss)
        self.bind(many_program, many, library.gradc_trainer_bind_rows, model.rows())
        losses = (ctypes.c_double * SCAN)()
        options = StepsOptions(SCAN, model.batch, None, 0, None, ctypes.addressof(losses))

        def many_steps(count):
            for _ in range(count // SCAN):
                self.check(many_program, library.gradc_trainer_steps(many, ctypes.byref(options)))
            return losses[SCAN - 1]

        return {"gradc": in_c, "gradc, ctypes": in_python, f"gradc, {SCAN}": many_steps}, compile_ms


# ---- the models

class Model:
    """sizes of a perceptron, its activation, its loss and optimizer, in all three languages"""

    def __init__(self, name, sizes, activation, kind, batch, optimizer, lr):
        self.name, self.sizes, self.activation, self.kind = name, sizes, activation, kind
        self.batch, self.optimizer, self.lr = batch, optimizer, lr
        generator = np.random.default_rng(1)
        self.all_x = generator.standard_normal((SCAN, batch, sizes[0])).astype(np.float32)
        if kind == "ce":
            self.all_y = generator.integers(0, sizes[-1], (SCAN, batch)).astype(np.int32)
        else:
            self.all_y = generator.standard_normal((SCAN, batch, sizes[-1])).astype(np.float32)
        self.x, self.y = self.all_x[0].copy(), self.all_y[0].copy()
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
        """One batch for each input."""
        return [self.x] if self.kind == "pinn" else [self.x, self.y]

    def rows(self):
        """All batches, one behind the other; kept alive by the model."""
        arrays = [self.all_x] if self.kind == "pinn" else [self.all_x, self.all_y]
        return [array.reshape(-1, *array.shape[2:]) for array in arrays]


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

    def scan_all(state, xs, ys):
        return jax.lax.scan(lambda state, batch: update(state, *batch), state, (xs, ys))

    jitted = jax.jit(update, donate_argnums=0)
    scanned = jax.jit(scan_all, donate_argnums=0)
    def first_state():
        parameters = [(jnp.array(w), jnp.array(b)) for w, b in model.weights]
        zeros = lambda: jax.tree_util.tree_map(jnp.zeros_like, parameters)
        return (parameters, zeros(), zeros(), jnp.float32(0))

    state, scan_state = [first_state()], [first_state()]
    x, y = jnp.array(model.x), jnp.array(model.y)
    xs, ys = jnp.array(model.all_x), jnp.array(model.all_y)

    def run(count):
        for _ in range(count):
            state[0], loss = jitted(state[0], x, y)
        loss.block_until_ready()
        return float(loss)

    def run_scan(count):
        for _ in range(count // SCAN):
            scan_state[0], losses = scanned(scan_state[0], xs, ys)
        losses.block_until_ready()
        return float(losses[-1])

    return {"jit": run, "scan": run_scan}


MODELS = [
    Model("2-8-1 tanh mse, batch 4, sgd", [2, 8, 1], "tanh", "mse", 4, "sgd", 1e-2),
    Model("4-16-3 relu ce, batch 16, sgd", [4, 16, 3], "relu", "ce", 16, "sgd", 1e-2),
    Model("64-128-10 relu ce, batch 64, adam", [64, 128, 10], "relu", "ce", 64, "adam", 1e-3),
    Model("u'' + u, 1-32-32-1 tanh, batch 64, adam", [1, 32, 32, 1], "tanh", "pinn", 64, "adam", 1e-3),
]


def steps_for(run, milliseconds, at_once):
    count = at_once
    while True:
        started = time.perf_counter()
        run(count)
        taken = (time.perf_counter() - started) * 1e3
        if taken >= milliseconds or count >= 200000:
            return count
        larger = max(count + 1, int(count * min(10, 1.2 * milliseconds / max(taken, 1e-3))))
        count = (larger + at_once - 1) // at_once * at_once


def peers(model, arguments):
    runs = {}
    try:
        runs["eager"] = torch_steps(model, False)
        if not arguments.no_compile and model.kind != "pinn":   # torch.compile has no double backward
            runs["compile"] = torch_steps(model, True)
    except ImportError:
        pass
    try:
        runs.update(jax_steps(model))
    except ImportError:
        pass
    return runs


def time_model(gradc, model, arguments):
    """Medians in microseconds a step, by name, and the compile time."""
    runs, compile_ms = gradc.runs(model.gradc_text(), "l", model)
    runs.update(peers(model, arguments))
    at_once = {name: SCAN if name in ("scan", f"gradc, {SCAN}") else 1 for name in runs}
    counts = {name: steps_for(run, 20, at_once[name]) for name, run in runs.items()}
    times = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run(counts[name])
            times[name].append((time.perf_counter() - started) / counts[name] * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}, compile_ms


def ratio(medians, ours, theirs):
    found = [medians[name] for name in theirs if name in medians]
    return f"{min(found) / medians[ours]:.1f}x" if found else "-"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--only", help="models whose names contain this")
    parser.add_argument("--json", help="also write the numbers to this file")
    arguments = parser.parse_args()
    gradc = Gradc(os.path.abspath(arguments.library))

    calls = 100000
    version = gradc.library.gradc_version
    started = time.perf_counter()
    for _ in range(calls):
        version()
    empty = (time.perf_counter() - started) / calls * 1e6
    print(f"an empty call through ctypes: {empty:.2f} us")

    columns = ["gradc", "gradc, ctypes", "eager", "compile", "jit", f"gradc, {SCAN}", "scan"]
    print("us a step | " + " | ".join(columns) + f" | best peer / gradc | scan / gradc, {SCAN} | text to first step")
    results = {}
    for model in MODELS:
        if arguments.only and arguments.only not in model.name:
            continue
        medians, compile_ms = time_model(gradc, model, arguments)
        cells = [f"{medians[name]:.2f}" if name in medians else "-" for name in columns]
        print(" | ".join([model.name, *cells, ratio(medians, "gradc", ["eager", "compile", "jit"]),
                          ratio(medians, f"gradc, {SCAN}", ["scan"]), f"{compile_ms:.0f} ms"]), flush=True)
        results[model.name] = {"us": medians, "compile_ms": compile_ms}
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"empty_call_us": empty, "steps": results}, file, indent=2)


if __name__ == "__main__":
    main()

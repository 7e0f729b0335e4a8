"""PyTorch and JAX: what takes training steps and computes functions, from the parameters that gradc began with. `torch`
and `jax` are None where they are not installed or not wanted."""
import contextlib
import importlib.util
import time

from .gradc import STEPS

torch = nn = functional = jax = jnp = None


def load(threads):
    global torch, nn, functional, jax, jnp
    if importlib.util.find_spec("torch"):
        import torch
        from torch import nn
        from torch.nn import functional
        torch.set_num_threads(threads)
    if importlib.util.find_spec("jax"):
        import jax
        import jax.numpy as jnp


def versions():
    return {module.__name__: module.__version__ for module in (torch, jax) if module}


def product_rates():
    """Floating operations a second of a product of 256^3: more than the FMA peak, and the peer uses instructions that it
    was asked not to use."""
    def best(run):
        times = []
        for _ in range(30):
            started = time.perf_counter()
            run()
            times.append(time.perf_counter() - started)
        return 2 * 256**3 / min(times)

    rates = {}
    if torch:
        x = torch.ones(256, 256)
        rates["torch"] = best(lambda: torch.mm(x, x))
    if jax:
        y, product = jnp.ones((256, 256)), jax.jit(lambda y: y @ y)
        rates["jax"] = best(lambda: product(y).block_until_ready())
    return rates


# ---- PyTorch

def tensors(arrays):
    return [torch.from_numpy(a.numpy()).long() if a.dtype == "i32" else torch.from_numpy(a.numpy()) for a in arrays]


def torch_name(path, rules):
    """The path of gradc in PyTorch's words; with ' at its end: the matrix lies transposed there."""
    for ours, theirs in rules:
        path = path.replace(ours, theirs)
    return path.rstrip("'"), path.endswith("'")


def compiled_alone(function):
    """As if it were the process's first: what was compiled before for other rows would count against it."""
    torch.compiler.reset()
    return torch.compile(function)


class TorchSteps:
    def __init__(self, row, first, inputs, compiled):
        self.rules, self.module, self.inputs = row.torch_names, row.torch_net(), tensors(inputs)
        if row.floating == "f64":
            self.module.double()
        self.named = dict(self.module.named_parameters())
        with torch.no_grad():
            for path, values in first.items():
                name, turned = torch_name(path, self.rules)
                self.named[name].copy_(torch.from_numpy(values.T if turned else values))
        loss = lambda *inputs: row.torch_loss(self.module, *inputs)
        self.loss = compiled_alone(loss) if compiled else loss
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[row.optimizer[0]]
        self.optimizer = kind([p for p in self.module.parameters() if p.requires_grad], **row.optimizer[1])

    def steps(self, count):
        for _ in range(count):
            self.optimizer.zero_grad()
            self.last = self.loss(*self.inputs)
            self.last.backward()
            self.optimizer.step()

    def losses(self, count):
        found = []
        for _ in range(count):
            self.steps(1)
            found.append(self.last.item())
        return found

    def parameters(self, paths):
        found = {}
        for path in paths:
            name, turned = torch_name(path, self.rules)
            values = self.named[name].detach().numpy()
            found[path] = (values.T if turned else values).copy()
        return found


class TorchValues:
    def __init__(self, row, inputs, compiled):
        self.inputs, self.function = tensors(inputs), row.torch_function
        if compiled and hasattr(self.function, "value"):
            self.function = torch_gradients(compiled_alone(self.function.value))
        elif compiled:
            self.function = compiled_alone(self.function)

    def values(self, count):
        for _ in range(count):
            self.last = self.function(*self.inputs)

    def outputs(self):
        self.values(1)
        flat = [self.last] if torch.is_tensor(self.last) else [self.last[0], *self.last[1]]
        return [t.detach().numpy().copy() for t in flat]


def torch_gradients(function):
    """The value, and its gradients by all floating inputs."""
    def run(*arrays):
        inputs = [a.detach().requires_grad_() if a.is_floating_point() else a for a in arrays]
        value = function(*inputs)
        value.backward()
        return value, [a.grad for a in inputs if a.grad is not None]

    run.value = function
    return run


# ---- JAX

@contextlib.contextmanager
def precision(floating):
    """In which JAX knows the dtype: it must hold while a function is traced and while it is called."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", floating == "f64")
    yield
    jax.config.update("jax_enable_x64", before)


def jax_update(row):
    kind, settings = row.optimizer
    lr, momentum = settings["lr"], settings.get("momentum", 0)
    tree = jax.tree_util.tree_map

    def update(state, *inputs):
        parameters, m, v, t = state
        loss, gradient = jax.value_and_grad(row.jax_loss)(parameters, *inputs)
        if kind == "sgd" and not momentum:
            return (tree(lambda p, g: p - lr * g, parameters, gradient), m, v, t), loss
        if kind == "sgd":
            m = tree(lambda m, g: momentum * m + g, m, gradient)
            return (tree(lambda p, m: p - lr * m, parameters, m), m, v, t), loss
        t = t + 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        decay = 1 - lr * 0.01 if kind == "adamw" else 1
        step = lambda p, m, v: p * decay - lr * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return (tree(step, parameters, m, v), m, v, t), loss

    return update


class JaxSteps:
    """jit with donated buffers; waited for once, at the end of the steps."""

    def __init__(self, row, first, inputs):
        self.row = row
        with precision(row.floating):
            self.jitted = jax.jit(jax_update(row), donate_argnums=0)
            self.inputs = [jnp.array(a.numpy()) for a in inputs]
            parameters = {path: jnp.array(values) for path, values in first.items()}
            zeros = lambda: {path: jnp.zeros_like(values) for path, values in parameters.items()}
            self.state = parameters, zeros(), zeros(), jnp.zeros((), next(iter(parameters.values())).dtype)

    def steps(self, count):
        with precision(self.row.floating):
            for _ in range(count):
                self.state, self.last = self.jitted(self.state, *self.inputs)
            jax.block_until_ready(self.state)

    def losses(self, count):
        found = []
        for _ in range(count):
            self.steps(1)
            found.append(float(self.last))
        return found

    def parameters(self, paths):
        import numpy
        return {path: numpy.array(self.state[0][path]) for path in paths}


class JaxScan(JaxSteps):
    """lax.scan over STEPS batches in one call."""

    def __init__(self, row, first, rows):
        super().__init__(row, first, rows)
        update = jax_update(row)
        with precision(row.floating):
            self.inputs = [a.reshape(STEPS, row.batch, *a.shape[1:]) for a in self.inputs]
            scan = lambda state, *rows: jax.lax.scan(lambda state, batch: update(state, *batch), state, rows)
            self.jitted = jax.jit(scan, donate_argnums=0)

    def steps(self, count):
        super().steps(count // STEPS)

    def losses(self, count):
        self.steps(STEPS)
        return [float(loss) for loss in self.last[:count]]


class JaxValues:
    def __init__(self, row, inputs):
        self.jitted, self.inputs = jax.jit(row.jax_function), [jnp.array(a.numpy()) for a in inputs]

    def values(self, count):
        for _ in range(count):
            self.last = self.jitted(*self.inputs)
        jax.block_until_ready(self.last)

    def outputs(self):
        import numpy
        self.values(1)
        return [numpy.array(leaf) for leaf in jax.tree_util.tree_leaves(self.last)]

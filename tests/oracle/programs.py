# Writes tests/oracle/programs.txt: values and gradients of the programs in tests/programs, by JAX in f64.
# Run from the project's root: python tests/oracle/programs.py
#
# Each program is written here a second time, from its formulas and without gradc's library. A function named like the
# file gives the program's parameters, by their paths and in order, and its runs: the entry, its inputs (those in
# `tracked` are differentiated by, too) and a function of parameters and inputs. That function's first result is
# differentiated by all parameters, unless `gradient` is false.
from dataclasses import dataclass, field
from typing import Callable

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

generator = np.random.default_rng(20240609)


def random(*shape, low=-1.0, high=1.0):
    # Multiples of 2^-8: short to read.
    return np.round(generator.uniform(low, high, shape) * 256) / 256


def integers(count, *shape):
    return generator.integers(0, count, shape).astype(np.int32)


@dataclass
class Run:
    entry: str
    inputs: dict
    function: Callable  # of parameters and inputs
    training: bool = False
    gradient: bool = True
    tracked: tuple = ()


@dataclass
class Program:
    parameters: dict
    runs: list = field(default_factory=list)


# ---- what programs share


def dense(path, inputs, outputs):
    scale = 1 / np.sqrt(inputs)
    weight = random(inputs, outputs, low=-scale, high=scale)
    return {f"{path}.W": weight, f"{path}.b": random(outputs, low=-0.5, high=0.5)}


def apply(p, path, x):
    return x @ p[f"{path}.W"] + p[f"{path}.b"]


def perceptron(p, path, x):
    return apply(p, f"{path}.third", jnp.tanh(apply(p, f"{path}.second", jnp.tanh(apply(p, f"{path}.first", x)))))


def perceptron_parameters(path, inputs, hidden):
    return {
        **dense(f"{path}.first", inputs, hidden),
        **dense(f"{path}.second", hidden, hidden),
        **dense(f"{path}.third", hidden, 1),
    }


def cross_entropy(logits, classes):
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.mean(jnp.take_along_axis(log_p, classes[..., None], axis=-1))


# ---- the programs


def vae():
    parameters = {
        **dense("encoder.trunk", 12, 8),
        **dense("encoder.mean_head", 8, 3),
        **dense("encoder.log_variance_head", 8, 3),
        **dense("decoder.trunk", 3, 8),
        **dense("decoder.head", 8, 12),
    }

    def bound(p, x, noise):
        h = jnp.tanh(apply(p, "encoder.trunk", x))
        mu, log_variance = apply(p, "encoder.mean_head", h), apply(p, "encoder.log_variance_head", h)
        z = mu + jnp.exp(log_variance / 2) * noise
        logits = apply(p, "decoder.head", jnp.tanh(apply(p, "decoder.trunk", z)))
        reconstruction = -jnp.sum(x * jax.nn.log_sigmoid(logits) + (1 - x) * jax.nn.log_sigmoid(-logits))
        divergence = jnp.sum(jnp.exp(log_variance) + mu**2 - 1 - log_variance) / 2
        return (reconstruction + divergence) / len(x), reconstruction / len(x), divergence / len(x)

    inputs = {"x": random(5, 12, low=0), "noise": random(5, 3, low=-2, high=2)}
    return Program(parameters, [Run("bound", inputs, bound)])


def lstm():
    hidden = 5
    parameters = {
        "forecaster.memory.cell.W": random(2, 4 * hidden),
        "forecaster.memory.cell.U": random(hidden, 4 * hidden, low=-0.5, high=0.5),
        "forecaster.memory.cell.b": random(4 * hidden),
        **dense("forecaster.readout", hidden, 1),
    }

    def forecast(p, x, y):
        def step(state, x):
            h, c = state
            z = x @ p["forecaster.memory.cell.W"] + h @ p["forecaster.memory.cell.U"] + p["forecaster.memory.cell.b"]
            i, f, g, o = jnp.split(z, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((len(x), hidden))
        _, steps = jax.lax.scan(step, (start, start), jnp.swapaxes(x, 0, 1))
        return (jnp.mean((apply(p, "forecaster.readout", jnp.swapaxes(steps, 0, 1)) - y) ** 2),)

    inputs = {"x": random(3, 7, 2), "y": random(3, 7, 1)}
    return Program(parameters, [Run("forecast", inputs, forecast, tracked=("x",))])


def gru():
    hidden = 5
    parameters = {
        "classifier.cell.W": random(3, 3 * hidden),
        "classifier.cell.U": random(hidden, 3 * hidden, low=-0.5, high=0.5),
        "classifier.cell.b": random(3 * hidden),
        "classifier.cell.d": random(3 * hidden),
        **dense("classifier.readout", hidden, 4),
    }

    def logits(p, x):
        def step(h, x):
            u = jnp.split(x @ p["classifier.cell.W"] + p["classifier.cell.b"], 3, axis=-1)
            v = jnp.split(h @ p["classifier.cell.U"] + p["classifier.cell.d"], 3, axis=-1)
            r, z = jax.nn.sigmoid(u[0] + v[0]), jax.nn.sigmoid(u[1] + v[1])
            return (1 - z) * jnp.tanh(u[2] + r * v[2]) + z * h, None

        h, _ = jax.lax.scan(step, jnp.zeros((len(x), hidden)), jnp.swapaxes(x, 0, 1))
        return apply(p, "classifier.readout", h)

    def nll(p, x, y):
        return (cross_entropy(logits(p, x), y),)

    def accuracy(p, x, y):
        return (jnp.mean(jnp.argmax(logits(p, x), axis=-1) == y),)

    inputs = {"x": random(6, 4, 3), "y": integers(4, 6)}
    losses = Run("nll", inputs, nll, tracked=("x",))
    return Program(parameters, [losses, Run("accuracy", inputs, accuracy, gradient=False)])


def gpt_block():
    features, heads, depth = 8, 2, 2
    parameters = {"gpt.embed.W": random(11, features), "gpt.places": random(6, features)}

    def norm(path):
        return {f"{path}.gamma": random(features, low=0.5, high=1.5), f"{path}.beta": random(features)}

    for i in range(depth):
        block = f"gpt.blocks.{i}"
        parameters |= norm(f"{block}.norm1")
        for name in "query", "key", "value", "output":
            parameters |= dense(f"{block}.attention.{name}", features, features)
        parameters |= norm(f"{block}.norm2")
        parameters |= dense(f"{block}.widen", features, 4 * features)
        parameters |= dense(f"{block}.narrow", 4 * features, features)
    parameters |= norm("gpt.norm")

    def normalise(p, path, x):
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(centred**2, axis=-1, keepdims=True)
        return centred / jnp.sqrt(variance + 1e-5) * p[f"{path}.gamma"] + p[f"{path}.beta"]

    def attention(p, path, x):
        def split(name):
            return apply(p, f"{path}.{name}", x).reshape(*x.shape[:2], heads, features // heads)

        scores = jnp.einsum("nqhd,nkhd->nhqk", split("query"), split("key")) / np.sqrt(features // heads)
        scores = jnp.where(np.tri(x.shape[1], dtype=bool), scores, -jnp.inf)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores, axis=-1), split("value"))
        return apply(p, f"{path}.output", mixed.reshape(x.shape))

    def next_token(p, tokens):
        x = p["gpt.embed.W"][tokens] + p["gpt.places"][: tokens.shape[1]]
        for i in range(depth):
            block = f"gpt.blocks.{i}"
            x = x + attention(p, f"{block}.attention", normalise(p, f"{block}.norm1", x))
            wide = jax.nn.gelu(apply(p, f"{block}.widen", normalise(p, f"{block}.norm2", x)), approximate=False)
            x = x + apply(p, f"{block}.narrow", wide)
        logits = normalise(p, "gpt.norm", x) @ p["gpt.embed.W"].T
        return (cross_entropy(logits[:, :-1], tokens[:, 1:]),)

    return Program(parameters, [Run("next_token", {"tokens": integers(11, 3, 5)}, next_token)])


def batch_norm():
    parameters = {
        **dense("normalised.hidden", 3, 6),
        "normalised.norm.gamma": random(6, low=0.5, high=1.5),
        "normalised.norm.beta": random(6),
        **dense("normalised.output", 6, 2),
    }
    running_mean, running_variance = np.zeros(6), np.ones(6)

    def error_with(mean_and_variance):
        def error(p, x, y):
            h = apply(p, "normalised.hidden", x)
            mean, variance = mean_and_variance(h)
            h = (h - mean) / jnp.sqrt(variance + 1e-5) * p["normalised.norm.gamma"] + p["normalised.norm.beta"]
            return (jnp.mean((apply(p, "normalised.output", jax.nn.relu(h)) - y) ** 2),)

        return error

    runs = []
    for _ in range(2):  # each mode twice: what a training run leaves behind is seen by the next other one
        inputs = {"x": random(7, 3, high=2), "y": random(7, 2)}
        h = apply(parameters, "normalised.hidden", inputs["x"])
        frozen = (running_mean, running_variance)
        runs.append(Run("error", inputs, error_with(lambda h, frozen=frozen: frozen), tracked=("x",)))
        trained = error_with(lambda h: (jnp.mean(h, axis=0), jnp.var(h, axis=0)))
        runs.append(Run("error", inputs, trained, training=True, tracked=("x",)))
        running_mean = 0.9 * running_mean + 0.1 * np.mean(h, axis=0)
        running_variance = 0.9 * running_variance + 0.1 * np.var(h, axis=0, ddof=1)
    frozen = (running_mean, running_variance)
    runs.append(Run("error", runs[0].inputs, error_with(lambda h: frozen)))
    return Program(parameters, runs)


def wgan_gp():
    parameters = {
        **dense("generator.first", 3, 6),
        **dense("generator.second", 6, 2),
        **dense("critic.first", 2, 6),
        **dense("critic.second", 6, 6),
        **dense("critic.third", 6, 1),
    }

    def generate(p, z):
        return apply(p, "generator.second", jax.nn.relu(apply(p, "generator.first", z)))

    def critic(p, x):
        return perceptron(p, "critic", x)

    def critic_loss(p, x, z, mix):
        fake = jax.lax.stop_gradient(generate(p, z))
        between = fake + mix * (x - fake)
        slopes = jax.vmap(jax.grad(lambda x: critic(p, x)[0]))(between)
        penalty = jnp.mean((jnp.sqrt(jnp.sum(slopes**2, axis=1)) - 1) ** 2)
        return (jnp.mean(critic(p, fake)) - jnp.mean(critic(p, x)) + 10 * penalty,)

    def generator_loss(p, z):
        return (-jnp.mean(critic(p, generate(p, z))),)

    z = random(5, 3, low=-2, high=2)
    inputs = {"x": random(5, 2), "z": z, "mix": random(5, 1, low=0)}
    generator_run = Run("generator_loss", {"z": z}, generator_loss)
    return Program(parameters, [Run("critic_loss", inputs, critic_loss), generator_run])


def maml():
    parameters = perceptron_parameters("model", 1, 6)

    def adapted(p, xs, ys, us, vs):
        def error(p, x, y):
            return jnp.mean((perceptron(p, "model", x) - y) ** 2)

        def task(x, y, u, v):
            inner = jax.grad(error)(p, x, y)
            return error({path: p[path] - 0.1 * inner[path] for path in p}, u, v)

        return (jnp.mean(jax.vmap(task)(xs, ys, us, vs)),)

    inputs = {name: random(3, 4, 1, low=-2, high=2) for name in ("xs", "ys", "us", "vs")}
    return Program(parameters, [Run("adapted", inputs, adapted)])


def field_of(p):
    return lambda x, t: perceptron(p, "field", jnp.stack([x, t]))[0]


def equation(name, residual):
    """A network `field` of (x, t) that satisfies an equation at the points p, and is known at the points q."""

    def loss(parameters, p, q, known):
        u = field_of(parameters)
        inside = jax.vmap(lambda x, t: residual(u, x, t))(p[:, 0], p[:, 1])
        return (jnp.mean(inside**2) + jnp.mean((jax.vmap(u)(q[:, 0], q[:, 1]) - known) ** 2),)

    inputs = {"p": random(6, 2), "q": random(4, 2), "known": random(4)}
    return Program(perceptron_parameters("field", 2, 8), [Run(name, inputs, loss, tracked=("p", "q"))])


def heat():
    def residual(u, x, t):
        return jax.grad(u, 1)(x, t) - 0.1 * jax.grad(jax.grad(u, 0), 0)(x, t)

    return equation("heat", residual)


def burgers():
    def residual(u, x, t):
        bend = jax.grad(jax.grad(u, 0), 0)(x, t)
        return jax.grad(u, 1)(x, t) + u(x, t) * jax.grad(u, 0)(x, t) - 0.01 / np.pi * bend

    return equation("burgers", residual)


def beam():
    def bending(p, x, load, ends):
        def w(x):
            return perceptron(p, "deflection", x[None])[0]

        w1 = jax.grad(w)
        w4 = jax.vmap(jax.grad(jax.grad(jax.grad(w1))))(x)
        return (jnp.mean((w4 - load) ** 2) + jnp.sum(jax.vmap(w)(ends) ** 2) + jnp.sum(jax.vmap(w1)(ends) ** 2),)

    inputs = {"x": random(6, low=0), "load": random(6), "ends": np.array([0.0, 1.0])}
    return Program(perceptron_parameters("deflection", 1, 8), [Run("bending", inputs, bending, tracked=("x", "load"))])


def gaussian_mixture():
    components, size, gamma, m = 4, 3, 1.0, 0
    parameters = {
        "mixture.alphas": random(components),
        "mixture.means": random(components, size),
        "mixture.log_diagonal": random(components, size, low=-0.5, high=0.5),
        "mixture.below": random(components, size * (size - 1) // 2),
    }
    below = [(i, j) for j in range(size) for i in range(j + 1, size)]  # column by column

    def negative_log_likelihood(p, x):
        alphas, means, log_diagonal = p["mixture.alphas"], p["mixture.means"], p["mixture.log_diagonal"]
        terms = []
        for k in range(components):
            Q = jnp.diag(jnp.exp(log_diagonal[k]))
            for place, (i, j) in enumerate(below):
                Q = Q.at[i, j].set(p["mixture.below"][k, place])
            distance = jnp.sum((Q @ (x - means[k]).T) ** 2, axis=0)
            terms.append(alphas[k] + jnp.sum(log_diagonal[k]) - 0.5 * distance)
        likelihood = jnp.sum(jax.nn.logsumexp(jnp.stack(terms), axis=0)) - len(x) * jax.nn.logsumexp(alphas)
        squares = jnp.sum(jnp.exp(log_diagonal) ** 2) + jnp.sum(p["mixture.below"] ** 2)
        n = size + m + 1
        scale = n * size * (np.log(gamma) - 0.5 * np.log(2)) - float(jax.scipy.special.multigammaln(0.5 * n, size))
        prior = 0.5 * gamma**2 * squares - m * jnp.sum(log_diagonal) - components * scale
        return (-(likelihood - 0.5 * len(x) * size * np.log(2 * np.pi) + prior),)

    inputs = {"x": random(9, size, low=-2, high=2)}
    return Program(parameters, [Run("negative_log_likelihood", inputs, negative_log_likelihood, tracked=("x",))])


def kalman():
    parameters = {
        "filter.A": np.array([[0.9, 0.3], [-0.2, 0.8]]),
        "filter.C": random(2),
        "filter.log_process": random(2),
        "filter.log_noise": random(),
    }

    def negative_log_likelihood(p, y):
        A, C = p["filter.A"], p["filter.C"][None]
        Q, R = jnp.diag(jnp.exp(p["filter.log_process"])), jnp.exp(p["filter.log_noise"])[None, None]

        def step(state, y):
            m, P = state
            m, P = A @ m, A @ P @ A.T + Q
            S = C @ P @ C.T + R
            surprise = y[None] - C @ m
            gain = P @ C.T @ jnp.linalg.inv(S)
            value = jax.scipy.stats.multivariate_normal.logpdf(surprise, jnp.zeros(1), S)
            return (m + gain @ surprise, (jnp.eye(2) - gain @ C) @ P), value

        _, values = jax.lax.scan(step, (jnp.zeros(2), jnp.eye(2)), y)
        return (-jnp.sum(values),)

    inputs = {"y": random(20, low=-2, high=2)}
    return Program(parameters, [Run("negative_log_likelihood", inputs, negative_log_likelihood, tracked=("y",))])


def predator_prey():
    parameters = {"model.log_rates": np.log([1.5, 1.0, 1.0, 3.0])}

    def miss(p, start, end):
        a, b, c, d = jnp.exp(p["model.log_rates"])
        h = 5 / 1000

        def motion(y):
            return jnp.stack([a * y[0] - b * y[0] * y[1], c * y[0] * y[1] - d * y[1]])

        def step(y, _):
            k1 = motion(y)
            k2 = motion(y + h / 2 * k1)
            k3 = motion(y + h / 2 * k2)
            k4 = motion(y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        last, _ = jax.lax.scan(step, start, length=1000)
        return (jnp.sum((last - end) ** 2),)

    inputs = {"start": np.array([1.0, 0.75]), "end": np.array([2.0, 1.5])}
    return Program(parameters, [Run("miss", inputs, miss, tracked=("start",))])


def logistic():
    parameters = {"logits.w": random(4)}

    def nll(p, x, y):
        logits = x @ p["logits.w"]
        errors = y * jax.nn.log_sigmoid(logits) + (1 - y) * jax.nn.log_sigmoid(-logits)
        return (-jnp.mean(errors) + 0.005 * jnp.sum(p["logits.w"] ** 2),)

    def of_weights(p, x, y):
        return lambda w: nll({"logits.w": w}, x, y)[0], p["logits.w"]

    def curvature(p, x, y):
        function, w = of_weights(p, x, y)
        return jax.grad(function)(w), jax.hessian(function)(w)

    def flatness(p, x, y):
        function, w = of_weights(p, x, y)
        return (jnp.trace(jax.hessian(function)(w)),)

    inputs = {"x": random(8, 4, low=-2, high=2), "y": integers(2, 8).astype(float)}
    return Program(
        parameters,
        [
            Run("nll", inputs, nll, tracked=("x",)),
            Run("curvature", inputs, curvature, gradient=False),
            Run("flatness", inputs, flatness),
        ],
    )


def lenet():
    side, maps1, maps2, hidden1, hidden2, classes = 16, 3, 5, 12, 8, 4
    last = side // 4 - 2
    parameters = {
        "lenet.first.weight": random(maps1, 1, 5, 5, low=-0.5, high=0.5),
        "lenet.first.bias": random(maps1, low=-0.5, high=0.5),
        "lenet.second.weight": random(maps2, maps1, 5, 5, low=-0.25, high=0.25),
        "lenet.second.bias": random(maps2, low=-0.25, high=0.25),
        **dense("lenet.third", maps2 * last * last, hidden1),
        **dense("lenet.fourth", hidden1, hidden2),
        **dense("lenet.output", hidden2, classes),
    }

    def convolve(p, path, x, padding):
        y = jax.lax.conv_general_dilated(x, p[f"{path}.weight"], (1, 1), [(padding, padding)] * 2)
        return jnp.tanh(y + p[f"{path}.bias"][:, None, None])

    def windows(x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2)

    def logits(p, images):
        x = jnp.max(windows(convolve(p, "lenet.first", images, 2)), axis=(3, 5))
        x = jnp.mean(windows(convolve(p, "lenet.second", x, 0)), axis=(3, 5))
        x = jnp.tanh(apply(p, "lenet.third", x.reshape(len(x), -1)))
        return apply(p, "lenet.output", jnp.tanh(apply(p, "lenet.fourth", x)))

    def nll(p, images, labels):
        return (cross_entropy(logits(p, images), labels),)

    def accuracy(p, images, labels):
        return (jnp.mean(jnp.argmax(logits(p, images), axis=-1) == labels),)

    inputs = {"images": random(3, 1, side, side, low=0), "labels": integers(classes, 3)}
    return Program(parameters, [Run("nll", inputs, nll), Run("accuracy", inputs, accuracy, gradient=False)])


@jax.custom_vjp
def spike(x):
    return jnp.where(x > 0, 1.0, 0.0)


spike.defvjp(lambda x: (spike(x), x), lambda x, ct: (ct * jax.nn.relu(1 - jnp.abs(x)),))


def curvature():
    parameters = {**dense("mlp.hidden", 3, 5), **dense("mlp.output", 5, 4)}

    def mlp(p, x):
        return apply(p, "mlp.output", jnp.tanh(apply(p, "mlp.hidden", x)))

    def probabilities(p, x):
        return jax.nn.softmax(mlp(p, x))

    def entropy(p, x):
        return -jnp.sum(probabilities(p, x) * jnp.log(probabilities(p, x)))

    def matrices(p, row):
        return jax.jacrev(probabilities, 1)(p, row), jax.hessian(entropy, 1)(p, row)

    def roughness(p, x):
        first, second = jax.vmap(lambda row: matrices(p, row))(x)
        return (jnp.sum(first**2) / len(x) + 0.1 * jnp.sum(second**2) / len(x),)

    def along(p, x, v):
        def energy(x):
            return jnp.mean(jax.nn.logsumexp(mlp(p, x), axis=1))

        change = jax.jvp(lambda x: mlp(p, x), (x,), (v,))[1]
        return (jnp.sum(change**2) + jnp.sum(jax.jvp(jax.grad(energy), (x,), (v,))[1] ** 2),)

    def sensitivity(p, steps, start):
        def walk(h):
            return jax.lax.scan(lambda h, row: (jnp.tanh(row @ p["mlp.hidden.W"] + 0.5 * h), None), h, steps)[0]

        return (jnp.sum(jax.jacfwd(walk)(start) ** 2),)

    def spikes(p, x, y):
        return (jnp.mean((spike(mlp(p, x)) - y) ** 2),)

    x = random(6, 3)
    return Program(
        parameters,
        [
            Run("matrices", {"row": random(3)}, matrices, gradient=False),
            Run("roughness", {"x": x}, roughness),
            Run("along", {"x": x, "v": random(6, 3)}, along, tracked=("x", "v")),
            Run("sensitivity", {"steps": random(7, 3), "start": random(5)}, sensitivity, tracked=("start",)),
            Run("spikes", {"x": x, "y": random(6, 4)}, spikes, tracked=("x",)),
        ],
    )


def sensitivity():
    parameters = {**dense("cell.input", 2, 3), "cell.U": random(3, 3)}

    def step(p, x, h):
        return jnp.tanh(apply(p, "cell.input", x) + p["cell.U"] @ h)

    def states(p, xs, start):
        return jax.lax.scan(lambda h, x: (step(p, x, h),) * 2, start, xs)[1]

    def squared(jacobian):
        return sum(jnp.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(jacobian))

    def through_steps(p, xs, start):
        energies = lambda p, xs, start: jnp.sum(states(p, xs, start) ** 2, axis=1)
        by_weights, by_inputs, by_start = (squared(jax.jacrev(energies, i)(p, xs, start)) for i in range(3))
        return (jnp.sum(by_start) + jnp.sum(by_weights * by_inputs),)

    def through_rows(p, rows, start):
        flat = rows.reshape(-1, 2)
        a = squared(jax.jacrev(lambda start: jnp.sum(states(p, flat, start) ** 3, axis=1))(start))
        b = squared(jax.jacrev(lambda flat: jnp.sum(jnp.sin(states(p, flat, start)), axis=1))(flat))
        return (jnp.sum(a) + jnp.sum(b),)

    def learned(p, examples, answers, rate):
        error = lambda p, x, y: jnp.sum((step(p, x, y) - y) ** 2)

        def descend(p, example):
            slopes = jax.grad(error)(p, *example)
            return {path: p[path] - rate * slopes[path] for path in p}, 0.0

        after = jax.lax.scan(descend, p, (examples, answers))[0]
        return (jnp.mean(jax.vmap(lambda x, y: error(after, x, y))(examples, answers)),)

    start = random(3)
    steps = {"xs": random(6, 2), "start": start}
    rows = {"rows": random(3, 4, 2), "start": start}
    examples = {"examples": random(6, 2), "answers": random(6, 3), "rate": np.float64(0.125)}
    return Program(
        parameters,
        [
            Run("through_steps", steps, through_steps, tracked=("xs", "start")),
            Run("through_rows", rows, through_rows, tracked=("rows", "start")),
            Run("learned", examples, learned, tracked=("rate",)),
        ],
    )


PROGRAMS = (
    vae, lstm, gru, gpt_block, batch_norm, wgan_gp, maml, heat, burgers, beam, gaussian_mixture, kalman, predator_prey,
    logistic, lenet, curvature, sensitivity,
)


# ---- the file


def lines(name, array, role):
    array = np.asarray(array)
    dtype = "i32" if array.dtype == np.int32 else "f64"
    dims = "".join(f" {size}" for size in array.shape)
    numbers = " ".join(f"{number:.17g}" for number in array.flatten().tolist())
    return f"{name} {dtype} {role} {array.ndim}{dims}\n{numbers}\n"


def run_lines(program, run):
    mode = "training" if run.training else "evaluation"
    text = f"run {run.entry}\nmode {mode}\ninputs {len(run.inputs)}\n"
    for name, value in run.inputs.items():
        text += lines(name, value, "grad" if name in run.tracked else "fixed")
    results = run.function(program.parameters, **run.inputs)
    text += f"results {len(results)}\n" + "".join(lines("result", result, "expected") for result in results)
    variables = {**program.parameters, **{name: run.inputs[name] for name in run.tracked}} if run.gradient else {}

    def value(variables):
        parameters = {path: variables[path] for path in program.parameters}
        return run.function(parameters, **{**run.inputs, **{name: variables[name] for name in run.tracked}})[0]

    gradients = jax.grad(value)(variables) if run.gradient else {}
    text += f"gradients {len(variables)}\n"
    return text + "".join(lines(name, gradients[name], "expected") for name in variables)


def main():
    text = f"programs {len(PROGRAMS)}\n"
    for make in PROGRAMS:
        program = make()
        text += f"program {make.__name__}\nparameters {len(program.parameters)}\n"
        text += "".join(lines(path, value, "initial") for path, value in program.parameters.items())
        text += f"runs {len(program.runs)}\n" + "".join(run_lines(program, run) for run in program.runs)
    with open("tests/oracle/programs.txt", "w", encoding="utf-8") as file:
        file.write(text)


main()

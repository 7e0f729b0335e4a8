# Writes tests/oracle/training.txt: the losses of a small network trained by PyTorch in f64, for several optimizers.
# Run from the project's root: python tests/oracle/training.py
#
# The network is relu(x @ hidden.W + hidden.b) @ output.W + output.b, the loss its mean cross entropy with y. Every
# step sees all rows; a run's losses are those from before each update.
import math

import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler as lr

from lines import tensor_lines

torch.set_default_dtype(torch.float64)

ROWS, INPUTS, HIDDEN, CLASSES, STEPS = 32, 4, 16, 3, 100
RUNS = {
    "sgd(lr = 0.1)": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd(lr = 0.1, momentum = 0.9)": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam(lr = 1e-2)": lambda p: torch.optim.Adam(p, lr=1e-2),
    "sgd(lr = 0.05, momentum = 0.9, nesterov = true)": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "sgd(0.1, momentum = 0.8, dampening = 0.3, weight_decay = 0.01)": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.8, dampening=0.3, weight_decay=0.01),
    "sgd(lr = 0.2, dampening = 0.5)": lambda p: torch.optim.SGD(p, lr=0.2, dampening=0.5),
    "adam(beta1 = 0.8, weight_decay = 0.1)": lambda p: torch.optim.Adam(p, betas=(0.8, 0.999), weight_decay=0.1),
    "adamw(lr = 1e-2)": lambda p: torch.optim.AdamW(p, lr=1e-2),
    "adamax()": lambda p: torch.optim.Adamax(p),
    "rmsprop()": lambda p: torch.optim.RMSprop(p),
    "rmsprop(lr = 1e-3, momentum = 0.5, centered = true)": lambda p: torch.optim.RMSprop(
        p, lr=1e-3, momentum=0.5, centered=True),
    "adagrad(lr_decay = 0.01)": lambda p: torch.optim.Adagrad(p, lr_decay=0.01),
    "adadelta()": lambda p: torch.optim.Adadelta(p),
    "nadam()": lambda p: torch.optim.NAdam(p),
    "radam(lr = 1e-2, beta2 = 0.99)": lambda p: torch.optim.RAdam(p, lr=1e-2, betas=(0.9, 0.99)),
    "sgd(lr = 0.1 * 0.98^iteration)": lambda p: scheduled(p, 0.1, lr.ExponentialLR, 0.98),
    "sgd(lr = exponential_decay(iteration, 0.1, 0.98))": lambda p: scheduled(p, 0.1, lr.ExponentialLR, 0.98),
    "sgd(lr = step_decay(iteration, 0.1, 30, gamma = 0.5))": lambda p: scheduled(p, 0.1, lr.StepLR, 30, 0.5),
    "sgd(lr = cosine_annealing(iteration, 0.1, 100, least = 0.01))": lambda p: scheduled(
        p, 0.1, lr.CosineAnnealingLR, 100, 0.01),
    "sgd(lr = linear_warmup(iteration, 0.1, 40, start = 0.25))": lambda p: scheduled(p, 0.1, lr.LinearLR, 0.25, 1, 40),
    "sgd(lr = warmup_cosine(iteration, 0.1, 20, 100))": lambda p: scheduled(p, 0.1, lr.LambdaLR, lambda t: (
        t / 20 if t < 20 else (1 + math.cos(math.pi * (t - 20) / 80)) / 2)),
    "sgd(lr = one_cycle(iteration, 0.2, 100))": lambda p: scheduled(
        p, 0.2, lr.OneCycleLR, 0.2, 100, cycle_momentum=False),
    "adam(lr = 1e-2); gradient clip_norm(0.1)": lambda p: mapped(
        p, torch.optim.Adam(p, lr=1e-2), lambda: torch.nn.utils.clip_grad_norm_(p, 0.1)),
    "sgd(lr = 0.1); gradient clip_value(0.02)": lambda p: mapped(
        p, torch.optim.SGD(p, lr=0.1), lambda: torch.nn.utils.clip_grad_value_(p, 0.02)),
    "adamw(lr = 1e-2); optimizer sgd(lr = 0.1, momentum = 0.9) for \"*.b\"; gradient clip_value(0.05), clip_norm(0.1)":
        lambda p: mapped(p, several(torch.optim.AdamW(p[::2], lr=1e-2), torch.optim.SGD(p[1::2], 0.1, momentum=0.9)),
                         lambda: (torch.nn.utils.clip_grad_value_(p, 0.05), torch.nn.utils.clip_grad_norm_(p, 0.1))),
    "adam(lr = 1e-2, amsgrad = true)": lambda p: torch.optim.Adam(p, lr=1e-2, amsgrad=True),
    "adamw(lr = 1e-2, amsgrad = true)": lambda p: torch.optim.AdamW(p, lr=1e-2, amsgrad=True),
    "rprop()": lambda p: torch.optim.Rprop(p),
    "sgd(lr = multi_step_decay(iteration, 0.1, [30, 60], gamma = 0.5))": lambda p: scheduled(
        p, 0.1, lr.MultiStepLR, [30, 60], 0.5),
    "sgd(lr = polynomial_decay(iteration, 0.1, 80, power = 2))": lambda p: scheduled(p, 0.1, lr.PolynomialLR, 80, 2),
    "sgd(lr = cosine_restarts(iteration, 0.1, 30, least = 0.01))": lambda p: scheduled(
        p, 0.1, lr.CosineAnnealingWarmRestarts, 30, eta_min=0.01),
    "sgd(lr = cyclic(iteration, 0.01, 0.1, 20))": lambda p: scheduled(
        p, 0.01, lr.CyclicLR, 0.01, 0.1, step_size_up=20, cycle_momentum=False),
    "sgd(lr = inverse_sqrt(iteration, 0.1, 20))": lambda p: scheduled(
        p, 0.1, lr.LambdaLR, lambda t: min((t + 1) / 20, (20 / (t + 1)) ** 0.5)),
    "adam(); optimizer muon(lr = 0.02) for \"*.W\"": lambda p: several(muon(p[::2], 0.02), torch.optim.Adam(p[1::2])),
}


class several:
    """Optimizers that take their steps together."""

    def __init__(self, *optimizers):
        self.optimizers = optimizers

    def zero_grad(self):
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()


class mapped(several):
    """An optimizer that sees other gradients."""

    def __init__(self, parameters, optimizer, change):
        super().__init__(optimizer)
        self.change = change

    def step(self):
        self.change()
        super().step()


class scheduled(several):
    """Gradient descent with a learning rate that changes."""

    def __init__(self, parameters, rate, schedule, *arguments, **options):
        super().__init__(torch.optim.SGD(parameters, lr=rate))
        self.schedule = schedule(self.optimizers[0], *arguments, **options)

    def step(self):
        super().step()
        self.schedule.step()


class muon(torch.optim.Optimizer):
    """torch.optim.Muon, whose iterations are in bfloat16, in full precision."""

    def __init__(self, parameters, rate, momentum=0.95, decay=0.1):
        super().__init__(parameters, {})
        self.rate, self.momentum, self.decay = rate, momentum, decay

    @torch.no_grad()
    def step(self):
        for p in self.param_groups[0]["params"]:
            m = self.state[p].setdefault("m", torch.zeros_like(p))
            m.lerp_(p.grad, 1 - self.momentum)
            x = p.grad.lerp(m, self.momentum)
            tall = x.shape[0] > x.shape[1]
            x = x.T if tall else x
            x = x / x.norm().clamp(min=1e-7)
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            x = x.T if tall else x
            rate = self.rate * max(1, p.shape[0] / p.shape[1]) ** 0.5
            p.mul_(1 - self.rate * self.decay).sub_(rate * x)


generator = torch.Generator().manual_seed(20240608)


def normal(*shape):
    return torch.randn(*shape, generator=generator)


def loss_of(weights, x, y):
    hidden = torch.relu(x @ weights["hidden.W"] + weights["hidden.b"])
    return F.cross_entropy(hidden @ weights["output.W"] + weights["output.b"], y.long())


def train(initial, make_optimizer, x, y):
    weights = {path: tensor.clone().requires_grad_() for path, tensor in initial.items()}
    optimizer = make_optimizer(list(weights.values()))
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(weights, x, y)
        loss.backward()
        losses.append(loss.detach())
        optimizer.step()
    return torch.stack(losses), weights


if __name__ == "__main__":
    initial = {
        "hidden.W": normal(INPUTS, HIDDEN) * (2 / INPUTS) ** 0.5,
        "hidden.b": normal(HIDDEN) * 0.1,
        "output.W": normal(HIDDEN, CLASSES) * (2 / HIDDEN) ** 0.5,
        "output.b": normal(CLASSES) * 0.1,
    }
    x = normal(ROWS, INPUTS)
    y = (x[:, :CLASSES] + 0.5 * normal(ROWS, CLASSES)).argmax(1).to(torch.int32)

    with open("tests/oracle/training.txt", "w", newline="\n") as out:
        out.write(f"rows {ROWS} inputs {INPUTS} hidden {HIDDEN} classes {CLASSES} steps {STEPS} runs {len(RUNS)}\n")
        for path, tensor in initial.items():
            out.write(tensor_lines(path, tensor, "initial"))
        out.write(tensor_lines("x", x, "fixed"))
        out.write(tensor_lines("y", y, "fixed"))
        for optimizer, make in RUNS.items():
            losses, weights = train(initial, make, x, y)
            out.write(f"optimizer {optimizer}\n")
            out.write(tensor_lines("losses", losses, "expected"))
            for path, tensor in weights.items():
                out.write(tensor_lines(path, tensor, "expected"))

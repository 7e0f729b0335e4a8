# Writes tests/oracle/training.txt: the losses of a small network trained by PyTorch in f64, for several optimizers.
# Run from the project's root: python tests/oracle/training.py
#
# The network is relu(x @ hidden.W + hidden.b) @ output.W + output.b, the loss its mean cross entropy with y. Every
# step sees all rows; a run's losses are those from before each update.
import torch
import torch.nn.functional as F

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
    "sgd(lr = 0.1 * 0.98^iteration)": lambda p: scheduled(torch.optim.SGD(p, lr=0.1), 0.98),
}


class scheduled:
    """An optimizer whose learning rate is multiplied after each step."""

    def __init__(self, optimizer, factor):
        self.optimizer, self.schedule = optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, factor)
        self.zero_grad = optimizer.zero_grad

    def step(self):
        self.optimizer.step()
        self.schedule.step()


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

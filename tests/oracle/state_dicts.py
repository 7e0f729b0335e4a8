"""Weights as PyTorch saves them, small ones: tests/weights/*.safetensors, and expected.txt, what their modules make of an
input. With the argument `check FILE`, loads a file that gradc saved with the same names into the module of `mlp`, and
compares what that makes of the input.

Needs torch and safetensors; run in the project's root."""

import sys

import safetensors.torch
import torch

FOLDER = "tests/weights/"


class Mlp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))

    def forward(self, x):
        return self.layers(x)


class Normal(torch.nn.Module):
    """Square matrices, whose transposition no shape gives away, and a batch norm's running statistics."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)
        self.first = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.first(self.norm(x))


def rows(count):
    return torch.arange(4 * count, dtype=torch.float32).reshape(count, 4).sin()


def modules():
    torch.manual_seed(5)
    mlp, normal = Mlp(), Normal()
    for _ in range(3):
        normal(rows(8) * torch.tensor([1.0, 2.0, 0.5, 3.0]) + 1)
    return {"mlp": mlp.eval(), "normal": normal.eval()}


def make():
    with open(FOLDER + "expected.txt", "w", encoding="ascii") as file:
        for name, module in modules().items():
            state = module.state_dict()
            safetensors.torch.save_file(state, f"{FOLDER}{name}.safetensors")
            with torch.no_grad():
                output = module(rows(2))
            file.write(f"{name} {output.numel()} {' '.join(f'{v:.9g}' for v in output.flatten().tolist())}\n")
    halves = {name: value.to(torch.bfloat16) for name, value in modules()["mlp"].state_dict().items()}
    safetensors.torch.save_file(halves, FOLDER + "bf16.safetensors")
    halves = {name: value.to(torch.float16) for name, value in modules()["mlp"].state_dict().items()}
    safetensors.torch.save_file(halves, FOLDER + "f16.safetensors")


def check(path):
    module = Mlp().eval()
    module.load_state_dict(safetensors.torch.load_file(path), strict=True)
    with torch.no_grad():
        difference = (module(rows(2)) - modules()["mlp"](rows(2))).abs().max().item()
    print(f"loaded, all names and shapes as they should be; greatest difference {difference:.3g}")
    return difference > 1e-6


if sys.argv[1:2] == ["check"]:
    sys.exit(check(sys.argv[2]))
make()

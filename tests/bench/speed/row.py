"""A row of the table: one computation in gradc's language, in PyTorch and in JAX; whether they agree; what runs it."""
from dataclasses import dataclass, field
from typing import Callable

from . import peers
from .gradc import STEPS, Call, ManySteps, Trainer

CHECKED = 5   # steps after which the parameters are compared


@dataclass
class TrainRow:
    """A training step: forward, backward, update."""
    name: str
    text: str                       # its loss is `l`
    batch: int
    inputs: Callable                # (maker, rows) -> arrays, the first axis of each being the rows
    optimizer: tuple                # "sgd", "adam" or "adamw", and its settings
    torch_net: Callable             # () -> module
    torch_loss: Callable            # (module, *inputs) -> loss
    torch_names: list               # pairs of what to replace in gradc's paths: see peers.torch_name
    jax_loss: Callable = None       # (parameters by gradc's paths, *inputs) -> loss
    goal: float = None              # a step a call against the best peer
    many_goal: float = None         # STEPS steps a call against lax.scan
    many: bool = False              # whether STEPS steps a call are timed
    compiles: bool = True           # whether torch.compile takes it
    floating: str = "f32"
    without_chance: "TrainRow" = None   # the same without random numbers, which differ: compared in its place

    def runs(self, arguments, libraries, maker):
        """{name: steps(count)}, what the step costs, how far the peers are from gradc, and what frees all of it"""
        distances, trainers = {}, []
        inputs = self.inputs(maker, self.batch)
        ours, runs = Trainer(libraries["gradc"], self.text, self.floating, inputs), {}
        runs["gradc"], runs["gradc, ctypes"] = ours.steps, ours.steps_from_python
        for name, library in libraries.items():
            if name != "gradc":
                trainers.append(Trainer(library, self.text, self.floating, inputs))
                runs[name] = trainers[-1].steps
        first = ours.parameters() if peers.torch or peers.jax else None
        others = self.others(arguments, first, inputs)
        compared = self.without_chance.others(arguments, first, inputs) if self.without_chance else others
        for name, other in others.items():
            distances[name] = (self.without_chance or self).compare(libraries["gradc"], inputs, compared[name])
            runs[name] = other.steps
        if self.many:
            rows = self.inputs(maker, STEPS * self.batch)
            for name in libraries:
                if name != "gradc, one thread":
                    trainers.append(ManySteps(libraries[name], self.text, self.floating, rows, self.batch))
                    runs[f"{name}, {STEPS}"] = trainers[-1].steps
            if peers.jax and self.jax_loss:
                scan = peers.JaxScan(self, first, rows)
                distances["scan"] = self.compare_many(libraries["gradc"], rows, scan)
                runs["scan"] = scan.steps
        return runs, ours.costs(), distances, lambda: [trainer.free() for trainer in [ours, *trainers]]

    def others(self, arguments, first, inputs):
        found = {}
        if peers.torch:
            found["eager"] = peers.TorchSteps(self, first, inputs, False)
            if arguments.compile and self.compiles:
                found["compile"] = peers.TorchSteps(self, first, inputs, True)
        if peers.jax and self.jax_loss:
            found["jit"] = peers.JaxSteps(self, first, inputs)
        return found

    def compare(self, library, inputs, theirs):
        """After the first steps of both: the greatest relative difference of the losses, and how far the parameters
        are from each other, as a share of how far they have moved. Noise may turn the sign of a gradient that is all
        but zero, which adam makes a whole step of; a few such do not matter, and a wrong gradient does."""
        ours = Trainer(library, self.text, self.floating, inputs)
        first = ours.parameters()
        losses = difference(ours.losses(CHECKED), theirs.losses(CHECKED))
        found, expected, apart, moved = ours.parameters(), theirs.parameters(first), 0.0, 0.0
        ours.free()
        for path, values in found.items():
            apart += float(((values - expected[path]).astype("f8")**2).sum())
            moved += float(((values - first[path]).astype("f8")**2).sum())
        return agree(self.name, losses, (apart / max(moved, 1e-300))**0.5)

    def compare_many(self, library, rows, theirs):
        ours = ManySteps(library, self.text, self.floating, rows, self.batch)
        losses = difference(ours.losses(CHECKED), theirs.losses(CHECKED))
        ours.free()
        return agree(self.name, losses, 0.0)


@dataclass
class ValueRow:
    """A function's value, or value and gradients."""
    name: str
    text: str                       # its function is `f`
    inputs: Callable                # (maker) -> arrays
    torch_function: Callable
    jax_function: Callable
    goal: float = None
    compiles: bool = True
    many_goal: float = field(default=None, init=False)

    def runs(self, arguments, libraries, maker):
        inputs = self.inputs(maker)
        calls = {name: Call(library, self.text, "f32", inputs) for name, library in libraries.items()}
        runs = {name: call.values for name, call in calls.items()}
        runs["gradc, ctypes"] = calls["gradc"].values_from_python
        others = {}
        if peers.torch:
            others["eager"] = peers.TorchValues(self, inputs, False)
            if arguments.compile and self.compiles:
                others["compile"] = peers.TorchValues(self, inputs, True)
        if peers.jax:
            others["jit"] = peers.JaxValues(self, inputs)
        distances = {}
        for name, other in others.items():
            distances[name] = self.compare(calls["gradc"].outputs(), other.outputs())
            runs[name] = other.values
        return runs, calls["gradc"].costs(), distances, lambda: [call.free() for call in calls.values()]

    def compare(self, found, expected):
        if len(found) != len(expected):
            raise RuntimeError(f"{self.name}: gradc has {len(found)} results, a peer {len(expected)}")
        return agree(self.name, 0.0, max(
            float(((a - b).astype("f8")**2).sum() / max((b.astype("f8")**2).sum(), 1e-300))**0.5
            for a, b in zip(found, expected)))


def difference(ours, theirs):
    return max(abs(a - b) / max(abs(b), 1e-6) for a, b in zip(ours, theirs))


def agree(name, losses, distance):
    if not (losses <= 1e-4 and distance <= 0.01):
        raise RuntimeError(f"{name}: gradc and a peer differ: losses by {losses:.2g}, results by {distance:.2g}")
    return {"losses": losses, "results": distance}

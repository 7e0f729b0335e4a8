# The form of the committed numbers: lines that C reads with fscanf. README.md in this folder describes it.
import torch


def tensor_lines(name, tensor, role):
    """A header `NAME DTYPE ROLE RANK DIMS...`, then the numbers, row-major, one line."""
    dtype = "f64" if tensor.dtype == torch.float64 else "i32"
    dims = "".join(f" {size}" for size in tensor.shape)
    numbers = " ".join(f"{number:.17g}" for number in tensor.detach().flatten().tolist())
    return f"{name} {dtype} {role} {tensor.dim()}{dims}\n{numbers}\n"

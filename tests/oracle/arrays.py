"""Files of arrays as NumPy writes them, for tests/unit/npz_test.c: `python3 tests/oracle/arrays.py` in the root."""

import io
import pathlib

import numpy as np
from numpy.lib import format

folder = pathlib.Path("tests/oracle/arrays")
folder.mkdir(exist_ok=True)

# Of each type: the least, zero and the greatest number, and for floats one that only f64 holds before it is rounded.
arrays = {"bool": np.array([True, False, True])}
for name in ["i1", "u1", "i2", "u2", "i4", "u4"]:
    info = np.iinfo(name)
    arrays[name] = np.array([info.min, 0, info.max], name)
arrays["i8"] = np.array([-(2**53), 0, 2**53], "i8")
arrays["u8"] = np.array([1, 0, 2**53], "u8")
for name in ["f2", "f4", "f8"]:
    arrays[name] = np.array([np.finfo(name).smallest_subnormal, -0.1, np.finfo(name).max], name)
arrays["cube"] = np.arange(24, dtype="f4").reshape(2, 3, 4)
arrays["fortran"] = np.asfortranarray(np.arange(24, dtype="i4").reshape(2, 3, 4))
arrays["number"] = np.array(1.5)
arrays["none"] = np.zeros((0, 3), "f4")
np.savez_compressed(folder / "types.npz", **arrays)
np.savez(folder / "plain.npz", x=np.arange(6, dtype="f8").reshape(3, 2), y=np.array([2, 0, 1]))

for version in [(1, 0), (2, 0), (3, 0)]:
    with open(folder / f"version{version[0]}.npy", "wb") as stream:
        format.write_array(stream, np.arange(6, dtype="f4").reshape(3, 2), version=version)

# What is refused.
refused = {
    "big_endian": np.arange(3, dtype=">f4"),
    "complex": np.zeros(3, "c8"),
    "text": np.array(["a", "bc"]),
    "bytes": np.array([b"a", b"bc"]),
    "dates": np.zeros(3, "M8[D]"),
    "fields": np.zeros(3, [("a", "f4"), ("b", "i4")]),
    "many_axes": np.zeros((1,) * 9, "f4"),
    "objects": np.array([None, 1], dtype=object),
}
np.savez_compressed(folder / "refused.npz", **refused)

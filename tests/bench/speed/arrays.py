"""Arrays that gradc and its peers share, filled with numbers that are the same in every run. They need no NumPy: gradc
alone is timed with nothing but Python and a C compiler."""
import ctypes
import math

DTYPES = {"f32": (0, 4), "f64": (1, 8), "i32": (2, 4)}   # gradc_dtype, bytes


class Array:
    def __init__(self, dtype, shape):
        self.dtype, self.shape, self.count = dtype, shape, math.prod(shape)
        self.number, size = DTYPES[dtype]
        self.buffer = (ctypes.c_char * (self.count * size + 64))()
        self.offset = -ctypes.addressof(self.buffer) % 64
        self.address = ctypes.addressof(self.buffer) + self.offset

    def numpy(self):
        import numpy
        dtype = {"f32": numpy.float32, "f64": numpy.float64, "i32": numpy.int32}[self.dtype]
        return numpy.frombuffer(self.buffer, dtype, self.count, self.offset).reshape(self.shape)


class Maker:
    """normal(shape) and classes(limit, shape), with the driver's help"""

    def __init__(self, driver):
        self.driver, self.seed = driver, 0

    def normal(self, *shape, dtype="f32"):
        array, self.seed = Array(dtype, shape), self.seed + 1
        fill = getattr(self.driver, "fill_" + dtype)
        fill(ctypes.c_void_p(array.address), ctypes.c_int64(array.count), ctypes.c_uint64(self.seed))
        return array

    def classes(self, limit, *shape):
        array, self.seed = Array("i32", shape), self.seed + 1
        count, seed = ctypes.c_int64(array.count), ctypes.c_uint64(self.seed)
        self.driver.fill_i32(ctypes.c_void_p(array.address), count, seed, limit)
        return array

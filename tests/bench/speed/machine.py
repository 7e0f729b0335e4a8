"""The C driver, and what the machine can do at most: chains of multiply-adds, copies, and what a second core gains."""
import ctypes
import os
import platform
import statistics
import subprocess
import tempfile

COPY_BYTES = 64 << 20


def load_driver(cpu):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "driver.c")
    with tempfile.TemporaryDirectory() as folder:
        command = ["cc", "-O3", "-shared", "-fPIC", "-pthread", source, "-o", folder + "/driver.so"]
        if subprocess.run([*command, f"-march={cpu or 'native'}"], stderr=subprocess.DEVNULL).returncode:
            subprocess.run(command, check=True)   # a compiler that knows no such processor
        driver = ctypes.CDLL(folder + "/driver.so")
    driver.fma_rate.restype = driver.copy_rate.restype = ctypes.c_double
    driver.fma_rate.argtypes = [ctypes.c_int, ctypes.c_double]
    driver.copy_rate.argtypes = [ctypes.c_int64, ctypes.c_double, ctypes.c_int]
    return driver


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


class Probe:
    """Measured before, between and after the rows: the best of all counts, for the gain of further cores the median."""

    def __init__(self, driver, threads):
        self.driver, self.threads, self.peaks, self.copies, self.gains = driver, threads, [], [], []

    def measure(self):
        one = self.driver.fma_rate(1, 0.03)
        self.peaks.append(one)
        self.copies += [self.driver.copy_rate(COPY_BYTES, 0.1, streaming) for streaming in (0, 1)]
        if self.threads > 1:
            several = self.driver.fma_rate(self.threads, 0.1)
            self.gains.append(several / max(one, self.driver.fma_rate(1, 0.1)))

    def facts(self):
        return {"fma_peak": max(self.peaks), "copy": max(self.copies),
                "fma_gain": statistics.median(self.gains) if self.gains else 1.0}

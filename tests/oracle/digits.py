# Writes examples/digits.csv: the UCI handwritten digits as scikit-learn carries them, in its order.
# Each row is 64 pixels (0 to 16, row by row) and the class. Run from the project's root: python tests/oracle/digits.py
from sklearn.datasets import load_digits

digits = load_digits()
with open("examples/digits.csv", "w", newline="\n") as out:
    for pixels, digit in zip(digits.data, digits.target, strict=True):
        assert all(pixel.is_integer() for pixel in pixels)
        out.write(",".join(str(int(number)) for number in [*pixels, digit]) + "\n")

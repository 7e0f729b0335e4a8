"""Makes compiler/math/coefficients.h: the polynomials of compiler/math/recipes.h.

Each interpolates its function at Chebyshev nodes of the interval in 60 digits, which is within a small factor of the
best polynomial of that degree; the coefficients are then rounded to the dtype. Needs mpmath.

    python3 tests/oracle/coefficients.py > compiler/math/coefficients.h
"""
import struct

from mpmath import mp, mpf, cos, pi, log, exp, sin, erf, erfc, sqrt, matrix, lu_solve

mp.dps = 60


def interpolate(function, low, high, degree):
    low, high, count = mpf(low), mpf(high), degree + 1
    nodes = [(low + high) / 2 + (high - low) / 2 * cos((2 * k + 1) * pi / (2 * count)) for k in range(count)]
    powers = matrix([[x**i for i in range(count)] for x in nodes])
    return list(lu_solve(powers, matrix([function(x) for x in nodes])))


def rounded(value, bits):
    if bits == 64:
        return float(value)
    return struct.unpack("f", struct.pack("f", float(value)))[0]


def table(name, comment, function, low, high, degrees):
    print(f"// {comment}")
    for bits, degree in zip((32, 64), degrees):
        values = [rounded(value, bits).hex() for value in interpolate(function, low, high, degree)]
        lines, line = [], "   "
        for value in values:
            if len(line) + len(value) > 110:
                lines.append(line)
                line = "   "
            line += f" {value},"
        lines.append(line)
        print(f"static const double {name}_f{bits}[] = {{")
        print("\n".join(lines) + "\n};")


print("""// Polynomials, lowest power first, by tests/oracle/coefficients.py: not to be edited.
#ifndef GRADC_MATH_COEFFICIENTS_H
#define GRADC_MATH_COEFFICIENTS_H
// clang-format off
""")
half = log(2) / 2 * mpf("1.001")
table("EXP", "(exp(x) - 1 - x) / x^2 for |x| <= ln(2)/2",
      lambda x: (exp(x) - 1 - x) / x**2 if x else mpf(1) / 2, -half, half, (5, 11))
table("LOG", "f32: (log(1 + x) - x + x^2/2) / x^3 for 1 + x from sqrt(1/2) to sqrt(2)",
      lambda x: (log(1 + x) - x + x**2 / 2) / x**3 if abs(x) > mpf(10)**-15 else mpf(1) / 3,
      sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1, (8, 8))


def log_series(first):
    """2 (z^first / (2 first + 3) + ...) / z^first with z = s^2: the tail of log((1 + s)/(1 - s)) = 2 s + 2/3 s^3 + ..."""
    return lambda z: 2 * sum(z**k / (2 * (k + first) + 3) for k in range(60))


table("LOG_ODD", "(log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, for |s| <= 0.1716", log_series(0), 0, mpf("0.02945"), (4, 7))
table("LOG_TAIL", "(log((1 + s) / (1 - s)) - 2 s - 2/3 s^3) / s^5 in s^2", log_series(1), 0, mpf("0.02945"), (4, 8))
quarter = (pi / 4 * mpf("1.001"))**2
table("SIN", "(sin(x) - x) / x^3 in x^2, for |x| <= pi/4",
      lambda z: (sin(sqrt(z)) - sqrt(z)) / sqrt(z)**3, 0, quarter, (2, 6))
table("COS", "(cos(x) - 1 + x^2/2) / x^4 in x^2, for |x| <= pi/4",
      lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, 0, quarter, (2, 6))
table("ERF", "erf(x) / x in x^2, for |x| <= 1", lambda z: erf(sqrt(z)) / sqrt(z), 0, 1, (6, 12))
table("ERFC", "-log(erfc(x)) in x - 3, f32: x from 1 to 4, f64: from 1 to 6",
      lambda x: -log(erfc(x + 3)), -2, 1, (8, 8))
# The f64 one spans more.
print("#define ERFC_f64 ERFC_WIDE_f64")
table("ERFC_WIDE", "the same, x from 1 to 6", lambda x: -log(erfc(x + 3)), -2, 3, (8, 22))
print("""
// clang-format on
#endif""")

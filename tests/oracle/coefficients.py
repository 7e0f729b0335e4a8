"""Makes compiler/math/coefficients.h: the polynomials of compiler/math/recipes.h.

Each polynomial interpolates its function at Chebyshev nodes of the interval in 60 digits, which is within a small
factor of the best one of that degree; where the error has a weight, least squares are reweighted until the
largest error is about the least. Coefficients are then rounded to the dtype. Needs mpmath.

    python3 tests/oracle/coefficients.py > compiler/math/coefficients.h
"""
import struct

from mpmath import mp, mpf, atan, cos, erf, erfc, exp, log, lu_solve, matrix, pi, polyval, sin, sqrt

mp.dps = 60


def nodes(samples):
    return [(1 - cos(pi * (k + mpf(1) / 2) / samples)) / 2 for k in range(samples)]


def interpolate(function, low, high, degree):
    low, high, count = mpf(low), mpf(high), degree + 1
    points = [low + (high - low) * t for t in nodes(count)]
    powers = matrix([[x**i for i in range(count)] for x in points])
    return list(lu_solve(powers, matrix([function(x) for x in points])))


def weighted(function, weight, high, degree, samples=100, rounds=12):
    """The polynomial whose largest error times weight(x) is about the least, for x from 0 to high: least squares,
    reweighted by the errors (Lawson)."""
    points = nodes(samples)
    values, base = [function(high * t) for t in points], [weight(high * t) for t in points]
    weights, best = [mpf(1)] * samples, None
    for _ in range(rounds):
        scales = [sqrt(weight) * factor for weight, factor in zip(weights, base)]
        a = matrix([[scale * t**j for j in range(degree + 1)] for scale, t in zip(scales, points)])
        b = matrix([scale * value for scale, value in zip(scales, values)])
        solved = list(lu_solve(a.T * a, a.T * b))
        errors = [abs(polyval(solved[::-1], t) - value) * factor for t, value, factor in zip(points, values, base)]
        if best is None or max(errors) < best[0]:
            best = max(errors), solved
        weights = [weight * (error + max(errors) / 1000) for weight, error in zip(weights, errors)]
        total = sum(weights) / samples
        weights = [weight / total for weight in weights]
    return [c / mpf(high)**j for j, c in enumerate(best[1])]


def rounded(value, bits):
    if bits == 64:
        return float(value)
    return struct.unpack("f", struct.pack("f", float(value)))[0]


def table(name, bits, coefficients):
    lines, line = [], "   "
    for value in (rounded(value, bits).hex() for value in coefficients):
        if len(line) + len(value) > 110:
            lines.append(line)
            line = "   "
        line += f" {value},"
    lines.append(line)
    print(f"static const double {name}_f{bits}[] = {{")
    print("\n".join(lines) + "\n};")


def polynomial(name, comment, function, low, high, f32=None, f64=None):
    print(f"// {comment}")
    for bits, degree in ((32, f32), (64, f64)):
        if degree is not None:
            table(name, bits, interpolate(function, low, high, degree))


def log_series(first):
    """With z = s^2, from its term of z^first on, the series of log((1 + s) / (1 - s)) = s (2 + 2/3 z + 2/5 z^2 + ...),
    divided by s z^(first + 1)."""
    return lambda z: 2 * sum(z**k / (2 * (k + first) + 3) for k in range(60))


def erf_exponent(x):
    return -log(erfc(x)) / x if x > mpf(10) ** -30 else 2 / sqrt(pi)


print("""// Polynomials, lowest power first, by tests/oracle/coefficients.py: not to be edited.
#ifndef GRADC_MATH_COEFFICIENTS_H
#define GRADC_MATH_COEFFICIENTS_H
// clang-format off
""")
half = log(2) / 2 * mpf("1.001")
polynomial("EXP", "(exp(x) - 1 - x) / x^2 for |x| <= ln(2)/2",
           lambda x: (exp(x) - 1 - x) / x**2 if abs(x) > mpf(10) ** -20 else mpf(1) / 2, -half, half, f32=4, f64=9)
polynomial("LOG", "(log(1 + x) - x) / x^2 for 1 + x from sqrt(1/2) to sqrt(2)",
           lambda x: (log(1 + x) - x) / x**2 if abs(x) > mpf(10) ** -20 else -mpf(1) / 2,
           sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1, f32=9)
polynomial("LOG_ODD", "(log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, for |s| <= 0.1716", log_series(0),
           0, mpf("0.02945"), f64=7)
polynomial("LOG_TAIL", "(log((1 + s) / (1 - s)) - 2 s - 2/3 s^3) / s^5 in s^2", log_series(1), 0, mpf("0.02945"), f64=8)
quarter = (pi / 4 * mpf("1.001"))**2
polynomial("SIN", "(sin(x) - x) / x^3 in x^2, for |x| <= pi/4",
           lambda z: (sin(sqrt(z)) - sqrt(z)) / sqrt(z)**3, 0, quarter, f32=2, f64=6)
polynomial("COS", "(cos(x) - 1 + x^2/2) / x^4 in x^2, for |x| <= pi/4",
           lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, 0, quarter, f32=2, f64=6)
polynomial("ATAN", "(atan(x) - x) / x^3 in x^2, for |x| <= tan(pi/8)",
           lambda z: (atan(sqrt(z)) - sqrt(z)) / sqrt(z)**3 if z > mpf(10) ** -20 else -mpf(1) / 3,
           0, mpf("0.1717"), f32=4, f64=11)
print("// -log(erfc(x)) / x, f32: for x from 0 to 4, f64: to 6; closest where it matters to erf")
for bits, high, degree in ((32, 4, 8), (64, 6, 24)):
    table("ERF", bits, weighted(erf_exponent, lambda x: x * erfc(x) / erf(x), high, degree))
print("""
// clang-format on
#endif""")

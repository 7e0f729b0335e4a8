# Writes tests/oracle/primitives.txt: values, first and second derivatives of PyTorch's functions, in f64.
# Run from the project's root: python tests/oracle/primitives.py
#
# Each case gives the expression in gradc's language beside PyTorch's, its inputs x, y, ... and then
#   value        the expression
#   cotangent    a fixed tensor c of value's shape
#   first_x      d sum(value * c) / dx, for each input marked `grad`
#   direction_x  a fixed tensor v of x's shape
#   second_x     d (sum over the inputs of sum(first * v)) / dx     (left out where `order` is 1)
import io
import math

import torch
import torch.nn.functional as F

from lines import tensor_lines

torch.set_default_dtype(torch.float64)

AROUND_ZERO = [-6.0, -3.5, -2.25, -1.0, -0.625, -0.1, -1e-3, 1e-3, 0.1, 0.3, 0.75, 1.0, 1.5, 2.0, 3.25, 5.5]
POSITIVE = [1e-3, 0.02, 0.1, 0.3, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0, 2.718281828459045, 4.0, 7.5, 20.0, 1000.0]
ABOVE_MINUS_ONE = [-0.99, -0.9, -0.5, -0.25, -0.1, -1e-3, -1e-6, 1e-6, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 30.0, 1000.0]
ANGLES = [-100.0, -6.5, -3.0, -1.7, -0.8, -0.1, 1e-3, 0.2, 0.7, 1.5, 1.6, 2.5, 3.3, 5.0, 12.0, 1000.0]

generator = torch.Generator().manual_seed(20240607)


def points(values):
    return torch.tensor(values)


def random(*shape, low=-2.0, high=2.0):
    # Multiples of 2^-10: short to read, and no two equal values where a maximum is looked for.
    count = torch.Size(shape).numel()
    places = torch.randperm(4096, generator=generator)[:count].reshape(shape)
    return torch.round((low + (high - low) * places / 4096) * 1024) / 1024


def elementwise(function, values, expression=None, name=None):
    word = name or function.__name__
    return word, expression or f"{word}(x)", lambda x: function(x), [points(values)], 2


def binary(name, expression, function, x, y, order=2):
    return name, expression, function, [x, y], order


def piecewise(x):
    # The inner where keeps PyTorch's gradient finite; gradc needs none (semantics: the branch not taken is 0).
    return torch.where(x > 1, torch.log(torch.where(x > 1, x, 2.0)), torch.where(x > 0, x**3, torch.exp(x)))


def classes(*numbers):
    return torch.tensor(numbers, dtype=torch.int32)


def scalar_cases():
    yield elementwise(torch.relu, AROUND_ZERO)
    yield elementwise(torch.sigmoid, AROUND_ZERO)
    yield elementwise(torch.tanh, AROUND_ZERO)
    yield elementwise(torch.exp, AROUND_ZERO)
    yield elementwise(torch.log, POSITIVE)
    yield elementwise(torch.log1p, ABOVE_MINUS_ONE)
    yield elementwise(torch.expm1, AROUND_ZERO)
    yield elementwise(torch.sqrt, POSITIVE)
    yield elementwise(torch.rsqrt, POSITIVE)
    yield elementwise(torch.abs, AROUND_ZERO)
    yield elementwise(torch.sin, ANGLES)
    yield elementwise(torch.cos, ANGLES)
    yield elementwise(torch.erf, AROUND_ZERO)
    yield elementwise(F.softplus, AROUND_ZERO)
    yield elementwise(F.gelu, AROUND_ZERO)
    yield elementwise(F.silu, AROUND_ZERO)
    yield elementwise(lambda x: x**2, AROUND_ZERO, "x^2", "square")
    yield elementwise(lambda x: x**3, AROUND_ZERO, "x^3", "cube")
    yield elementwise(lambda x: x**-2, AROUND_ZERO, "x^-2", "inverse_square")
    yield elementwise(lambda x: x**0.5, POSITIVE, "x^0.5", "half_power")
    yield elementwise(lambda x: x**2.5, POSITIVE, "x^2.5", "power_2_5")
    yield elementwise(lambda x: 1.5**x, AROUND_ZERO, "1.5^x", "power_of_1_5")
    yield elementwise(lambda x: 1 / x, AROUND_ZERO, "1 / x", "reciprocal")
    yield elementwise(lambda x: torch.where(x > 0, x**2, torch.sin(x)), AROUND_ZERO,
                      "where(x > 0, x^2, sin(x))", "where_square_sin")
    yield elementwise(piecewise, AROUND_ZERO, "where(x > 1, log(x), where(x > 0, x^3, exp(x)))", "where_three_pieces")
    yield elementwise(lambda x: torch.tanh(torch.exp(-x * x) * torch.sin(3 * x)), AROUND_ZERO,
                      "tanh(exp(-x * x) * sin(3 * x))", "chain")


def binary_cases():
    x, y = random(3, 5), random(3, 5)
    row, column = random(5), random(3, 1)
    yield binary("add", "x + y", lambda x, y: x + y, x, row)
    yield binary("subtract", "x - y", lambda x, y: x - y, column, y)
    yield binary("multiply", "x * y", lambda x, y: x * y, x, column)
    yield binary("divide", "x / y", lambda x, y: x / y, x, random(5, low=0.5, high=3.0))
    yield binary("maximum", "maximum(x, y)", torch.maximum, x, y)
    yield binary("minimum", "minimum(x, y)", torch.minimum, x, column)
    yield binary("pow", "pow(x, y)", torch.pow, random(3, 5, low=0.25, high=3.0), row)
    yield binary("pow_operator", "x^y", torch.pow, random(5, low=0.25, high=3.0), y)
    yield binary("matmul", "x @ y", torch.matmul, random(3, 4), random(4, 2))
    yield binary("matmul_batched", "x @ y", torch.matmul, random(2, 3, 4), random(4, 2))
    yield binary("where_chain", "where(x < y, x * y, where(x < 1, exp(x) - y, log(x) * y))",
                 lambda x, y: torch.where(x < y, x * y, torch.where(
                     x < 1, torch.exp(x) - y, torch.log(torch.where(x < 1, 1.0, x)) * y)), x, y)


def reduction_cases():
    x = random(3, 4)
    for name, expression, function in [
        ("sum_all", "sum(x)", lambda x: torch.sum(x)),
        ("sum_rows", "sum(x, axis = 1)", lambda x: torch.sum(x, 1)),
        ("sum_columns", "sum(x, axis = 0)", lambda x: torch.sum(x, 0)),
        ("mean_all", "mean(x)", lambda x: torch.mean(x)),
        ("mean_rows", "mean(x^2, axis = -1)", lambda x: torch.mean(x**2, -1)),
        ("amax_rows", "amax(x, axis = 1)", lambda x: torch.amax(x, 1)),
        ("softmax", "softmax(x, axis = -1)", lambda x: F.softmax(x, -1)),
        ("softmax_columns", "softmax(x, axis = 0)", lambda x: F.softmax(x, 0)),
        ("log_softmax", "log_softmax(x, axis = -1)", lambda x: F.log_softmax(x, -1)),
        ("log_softmax_columns", "log_softmax(x, axis = 0)", lambda x: F.log_softmax(x, 0)),
        ("logsumexp", "logsumexp(x, axis = -1)", lambda x: torch.logsumexp(x, -1)),
        ("logsumexp_columns", "logsumexp(x, axis = 0)", lambda x: torch.logsumexp(x, 0)),
    ]:
        yield name, expression, function, [x], 2


def loss_cases():
    prediction, target = random(3, 4), random(3, 4)
    yield binary("mse_loss", "mse_loss(x, y)", F.mse_loss, prediction, target)
    yield binary("mse_loss_sum", "mse_loss(x, y, reduction = sum)",
                 lambda x, y: F.mse_loss(x, y, reduction="sum"), prediction, target)
    logits, digits = random(5, 4, low=-4.0, high=4.0), classes(0, 3, 1, 1, 2)
    yield binary("cross_entropy", "cross_entropy(x, y)", lambda x, y: F.cross_entropy(x, y.long()), logits, digits)
    yield binary("cross_entropy_sum", "cross_entropy(x, y, reduction = sum)",
                 lambda x, y: F.cross_entropy(x, y.long(), reduction="sum"), logits, digits)
    yield binary("cross_entropy_large", "cross_entropy(x, y)", lambda x, y: F.cross_entropy(x, y.long()),
                 points([[1e4, -1e4, 0.0, 5.0], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, -1e4, 1e4]]), classes(1, 2, 0))
    yield binary("nll_loss", "nll_loss(x, y)", lambda x, y: F.nll_loss(x, y.long()),
                 F.log_softmax(logits, -1), digits)
    yield binary("nll_of_log_softmax", "nll_loss(log_softmax(x), y)",
                 lambda x, y: F.nll_loss(F.log_softmax(x, -1), y.long()), logits, digits)


def edge_cases():
    """At kinks and borders, where a convention decides; first derivatives only."""
    zero = [-1.0, 0.0, 1.0]
    for name, expression, function, values in [
        ("relu_at_0", "relu(x)", torch.relu, zero),
        ("abs_at_0", "abs(x)", torch.abs, zero),
        ("sqrt_at_0", "sqrt(x)", torch.sqrt, [0.0, 1.0]),
        ("power_2_5_at_0", "x^2.5", lambda x: x**2.5, [0.0, 1.0]),
        ("power_0_at_0", "x^0", lambda x: x**0, [0.0, 1.0]),
        ("sigmoid_far", "sigmoid(x)", torch.sigmoid, [-800.0, 800.0]),
        ("tanh_far", "tanh(x)", torch.tanh, [-800.0, 800.0]),
        ("exp_far", "exp(x)", torch.exp, [-800.0, 800.0]),
        ("softplus_far", "softplus(x)", F.softplus, [-800.0, 21.0, 800.0]),
        ("logsumexp_far", "logsumexp(x, axis = 0)", lambda x: torch.logsumexp(x, 0), [1e4, -1e4, 1e4]),
    ]:
        yield name, expression, function, [points(values)], 1
    tie = points([1.0, 2.0, 3.0]), points([2.0, 2.0, 2.0])
    yield binary("maximum_at_a_tie", "maximum(x, y)", torch.maximum, *tie, order=1)
    yield binary("minimum_at_a_tie", "minimum(x, y)", torch.minimum, *tie, order=1)
    yield "amax_at_a_tie", "amax(x)", lambda x: torch.amax(x), [points([1.0, 2.0, 2.0])], 1


def activation_cases():
    for name, expression, function in [
        ("relu6", "relu6(x)", F.relu6),
        ("leaky_relu", "leaky_relu(x)", F.leaky_relu),
        ("leaky_relu_slope", "leaky_relu(x, negative_slope = 0.25)", lambda x: F.leaky_relu(x, 0.25)),
        ("elu", "elu(x)", F.elu),
        ("elu_alpha", "elu(x, alpha = 0.5)", lambda x: F.elu(x, 0.5)),
        ("celu_alpha", "celu(x, alpha = 2)", lambda x: F.celu(x, 2.0)),
        ("selu", "selu(x)", F.selu),
        ("mish", "mish(x)", F.mish),
        ("gelu_tanh", 'gelu(x, approximate = "tanh")', lambda x: F.gelu(x, approximate="tanh")),
        ("softplus_beta", "softplus(x, beta = 2, threshold = 5)", lambda x: F.softplus(x, 2.0, 5.0)),
        ("log_sigmoid", "log_sigmoid(x)", F.logsigmoid),
        ("softsign", "softsign(x)", F.softsign),
        ("hardtanh", "hardtanh(x)", F.hardtanh),
        # PyTorch's own derivative of hardsigmoid takes 1/6 in f32.
        ("hardsigmoid", "hardsigmoid(x)", lambda x: F.relu6(x + 3) / 6),
        ("hardswish", "hardswish(x)", F.hardswish),
        ("clamp", "clamp(x, min = -2, max = 3)", lambda x: torch.clamp(x, -2.0, 3.0)),
    ]:
        # 1 and -1 are kinks of hardtanh. PyTorch has no second derivative of hardswish.
        values = [v for v in AROUND_ZERO if name != "hardtanh" or abs(v) != 1]
        yield name, expression, function, [points(values)], 1 if name == "hardswish" else 2
    yield "square_function", "square(x)", torch.square, [points(AROUND_ZERO)], 2
    yield "reciprocal_function", "reciprocal(x)", torch.reciprocal, [points(AROUND_ZERO)], 2
    yield "tan", "tan(x)", torch.tan, [points([-1.2, -0.5, 0.0, 0.3, 1.1, 2.5])], 2
    yield "lerp", "lerp(x, y, 0.25)", lambda x, y: torch.lerp(x, y, 0.25), [random(3, 4), random(3, 4)], 2


def spread_cases():
    x = random(3, 4)
    for name, expression, function in [
        ("var_all", "var(x)", lambda x: torch.var(x)),
        ("var_rows", "var(x, axis = 1)", lambda x: torch.var(x, 1)),
        ("var_biased", "var(x, axis = 0, correction = 0)", lambda x: torch.var(x, 0, correction=0)),
        ("std_all", "std(x)", lambda x: torch.std(x)),
        ("std_rows", "std(x, axis = -1, keepdims = true)", lambda x: torch.std(x, -1, keepdim=True)),
        ("norm_all", "norm(x)", lambda x: torch.linalg.vector_norm(x)),
        ("norm_rows", "norm(x, axis = 1)", lambda x: torch.linalg.vector_norm(x, dim=1)),
        ("norm_1", "norm(x, axis = 0, p = 1)", lambda x: torch.linalg.vector_norm(x, 1, dim=0)),
        ("norm_3", "norm(x, axis = 1, p = 3)", lambda x: torch.linalg.vector_norm(x, 3, dim=1)),
        ("norm_inf", "norm(x, axis = 1, p = inf)", lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1)),
        ("amin_columns", "amin(x, axis = 0)", lambda x: torch.amin(x, 0)),
        ("mean_both", "mean(x, axis = [0, 1], keepdims = true)", lambda x: torch.mean(x, (0, 1), keepdim=True)),
        ("logsumexp_kept", "logsumexp(x, axis = 1, keepdims = true)", lambda x: torch.logsumexp(x, 1, keepdim=True)),
    ]:
        yield name, expression, function, [x], 2
    variance = "var(x, axis = -1, correction = 0, keepdims = true)"
    yield ("layer_norm", f"(x - mean(x, axis = -1, keepdims = true)) / sqrt({variance} + 1e-5)",
           lambda x: F.layer_norm(x, (4,)), [x], 2)


def further_loss_cases():
    x, y = random(3, 4), random(3, 4)
    yield binary("l1_loss", "l1_loss(x, y)", F.l1_loss, x, y)
    yield binary("huber_loss", "huber_loss(x, y)", F.huber_loss, x, y)
    yield binary("huber_loss_delta", "huber_loss(x, y, reduction = sum, delta = 0.5)",
                 lambda x, y: F.huber_loss(x, y, reduction="sum", delta=0.5), x, y)
    yield binary("smooth_l1_loss", "smooth_l1_loss(x, y, beta = 2)", lambda x, y: F.smooth_l1_loss(x, y, beta=2.0), x, y)
    yield binary("mse_loss_none", "mse_loss(x, y, reduction = none)",
                 lambda x, y: F.mse_loss(x, y, reduction="none"), x, y)
    logits, digits = random(5, 4, low=-4.0, high=4.0), classes(0, 3, 1, 1, 2)
    target = F.softmax(random(5, 4), -1)
    yield binary("cross_entropy_none", "cross_entropy(x, y, reduction = none)",
                 lambda x, y: F.cross_entropy(x, y.long(), reduction="none"), logits, digits)
    yield binary("cross_entropy_smooth", "cross_entropy(x, y, label_smoothing = 0.1)",
                 lambda x, y: F.cross_entropy(x, y.long(), label_smoothing=0.1), logits, digits)
    yield binary("cross_entropy_probabilities", "cross_entropy(x, y)", F.cross_entropy, logits, target)
    yield binary("cross_entropy_probabilities_smooth", "cross_entropy(x, y, label_smoothing = 0.2, reduction = sum)",
                 lambda x, y: F.cross_entropy(x, y, label_smoothing=0.2, reduction="sum"), logits, target)
    share = random(5, 4, low=0.0, high=1.0)
    yield binary("bce_with_logits", "binary_cross_entropy_with_logits(x, y)",
                 F.binary_cross_entropy_with_logits, logits, share)
    yield binary("bce_with_logits_far", "binary_cross_entropy_with_logits(x, y, reduction = none)",
                 lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
                 points([-800.0, -1.0, 0.0, 1.0, 800.0]), points([0.0, 1.0, 0.25, 0.0, 1.0]))
    yield binary("bce", "binary_cross_entropy(x, y)", lambda x, y: F.binary_cross_entropy(x, y),
                 random(5, 4, low=0.05, high=0.95), share)
    yield binary("kl_div", "kl_div(x, y)", lambda x, y: F.kl_div(x, y), F.log_softmax(logits, -1), target)
    yield binary("kl_div_batchmean", "kl_div(x, y, reduction = batchmean)",
                 lambda x, y: F.kl_div(x, y, reduction="batchmean"), F.log_softmax(logits, -1), target)


def kink_cases():
    for name, expression, function, values in [
        ("step_has_no_gradient", "step(x) + 0 * x", lambda x: torch.heaviside(x.detach(), torch.tensor(0.0)) + 0 * x,
         [-1.0, 0.0, 1.0]),
        ("relu6_kinks", "relu6(x)", F.relu6, [0.0, 6.0]),
        ("leaky_relu_at_0", "leaky_relu(x)", F.leaky_relu, [0.0]),
        ("elu_at_0", "elu(x, alpha = 0.5)", lambda x: F.elu(x, 0.5), [0.0]),
        ("celu_at_0", "celu(x)", F.celu, [0.0]),
        ("selu_at_0", "selu(x)", F.selu, [0.0]),
        ("gelu_at_0", "gelu(x)", F.gelu, [0.0]),
        ("silu_at_0", "silu(x)", F.silu, [0.0]),
        ("mish_at_0", "mish(x)", F.mish, [0.0]),
        ("log_sigmoid_far", "log_sigmoid(x)", F.logsigmoid, [-800.0, 0.0, 800.0]),
        ("hardtanh_kinks", "hardtanh(x)", F.hardtanh, [-1.0, 1.0]),
        ("hardsigmoid_kinks", "hardsigmoid(x)", F.hardsigmoid, [-3.0, 3.0]),
        ("hardswish_kinks", "hardswish(x)", F.hardswish, [-3.0, 3.0]),
        ("clamp_kinks", "clamp(x, min = -1, max = 2)", lambda x: torch.clamp(x, -1.0, 2.0), [-1.0, 2.0]),
        ("clamp_below", "clamp(x, min = 0)", lambda x: torch.clamp(x, min=0.0), [-1.0, 0.0, 1.0]),
        ("norm_of_zeros", "norm(x)", lambda x: torch.linalg.vector_norm(x), [0.0, 0.0, 0.0]),
        ("std_of_equals", "std(x)", lambda x: torch.std(x), [2.0, 2.0, 2.0]),
    ]:
        yield name, expression, function, [points(values)], 1
    yield ("isnan", "where(isnan(log(x)), -1, x)", lambda x: torch.where(torch.isnan(torch.log(x)), -1.0, x),
           [points([-2.0, 0.5, 3.0])], 2)


def tensors(flat, *shapes):
    """The tensors of these shapes that lie one after the other in `flat`, as a net's parameters do."""
    result, at = [], 0
    for shape in shapes:
        count = torch.Size(shape).numel()
        result.append(flat[at:at + count].reshape(shape))
        at += count
    return result


def dense(x, flat):
    W, b = tensors(flat, (3, 4), (4,))
    return torch.tanh(x @ W + b)


def linear(x, flat):
    return F.linear(x, *tensors(flat, (4, 3), (4,)))


def layer_norm(x, flat):
    return F.layer_norm(x, (4,), *tensors(flat, (4,), (4,)))


def rms_norm(x, flat):
    return F.rms_norm(x, (4,), flat, eps=1.1920928955078125e-07)


def batch_norm(x, flat):
    return F.batch_norm(x, torch.zeros(4), torch.ones(4), *tensors(flat, (4,), (4,)))


def lstm(x, flat):
    W, U, b = tensors(flat, (3, 16), (4, 16), (16,))
    h = c = torch.zeros(x.shape[0], 4)
    steps = []
    for t in range(x.shape[1]):
        h, c = torch.lstm_cell(x[:, t], (h, c), W.T, U.T, b, torch.zeros(16))
        steps.append(h)
    return torch.stack(steps, 1)


def gru(x, flat):
    W, U, b, d = tensors(flat, (3, 12), (4, 12), (12,), (12,))
    h = torch.zeros(x.shape[0], 4)
    steps = []
    for t in range(x.shape[1]):
        h = torch.gru_cell(x[:, t], h, W.T, U.T, b, d)
        steps.append(h)
    return torch.stack(steps, 1)


def layer_cases():
    """Layers of tests/unit/library_test.c, called with y as their parameters."""
    for name, function, rows, size in [("dense", dense, (2, 3), 16), ("linear", linear, (2, 3), 16),
                                       ("layer_norm", layer_norm, (2, 4), 8), ("rms_norm", rms_norm, (2, 4), 4),
                                       ("batch_norm", batch_norm, (2, 4), 8), ("lstm", lstm, (2, 5, 3), 128),
                                       ("gru", gru, (2, 5, 3), 108)]:
        yield binary(f"layer_{name}", f"{name}_layer(x, parameters = y)", function, random(*rows), random(size))


def placed(x, low, step, size):
    """x's rows at low + step * i of `size` rows, zeros elsewhere."""
    return torch.zeros(size, *x.shape[1:]).index_add(0, low + step * torch.arange(x.shape[0]), x)


def shape_cases():
    x, y, cube = random(3, 4), random(3, 4), random(2, 3, 4)
    for name, expression, function in [
        ("reshape", "reshape(x, [4, 3])", lambda x: x.reshape(4, 3)),
        ("reshape_rest", "reshape(x, [2, -1])", lambda x: x.reshape(2, -1)),
        ("flatten", "flatten(x)", torch.flatten),
        ("squeeze", "squeeze(x[:, 1:2], 1)", lambda x: x[:, 1:2].squeeze(1)),
        ("unsqueeze", "unsqueeze(x, -1)", lambda x: x.unsqueeze(-1)),
        ("transpose", "transpose(x) * [1, 2, 3]", lambda x: x.T * points([1.0, 2.0, 3.0])),
        ("flip", "flip(x, 1) * x", lambda x: x.flip(1) * x),
        ("broadcast", "broadcast(x, [2, 3, 4])", lambda x: x.expand(2, 3, 4)),
        ("expand", "expand(x[:, 0:1], [3, 5])", lambda x: x[:, 0:1].expand(3, 5)),
        ("sum_to_row", "sum_to(x^2, [4])", lambda x: (x**2).sum(0)),
        ("sum_to_column", "sum_to(x^2, [3, 1])", lambda x: (x**2).sum(1, keepdim=True)),
        ("index_row", "x[1] * x[-1]", lambda x: x[1] * x[-1]),
        ("index_steps", "x[::2, 3:0:-2]", lambda x: x[::2, [3, 1]]),
        ("index_reversed", "x[::-1] * x", lambda x: x.flip(0) * x),
        ("index_ellipsis", "x[..., 1:] * x[..., none, 0]", lambda x: x[..., 1:] * x[..., None, 0]),
        ("index_none", "x[:, none, :] - x[none]", lambda x: x[:, None, :] - x[None]),
        ("einsum_transpose", 'einsum("ij->ji", x)', lambda x: x.T),
        ("einsum_sum", 'einsum("ij->j", x)', lambda x: x.sum(0)),
        ("einsum_outer", 'einsum("ij,kj->ik", x, x)', lambda x: x @ x.T),
        ("arange", "x * arange(4) + x * arange(8, 0, -2)",
         lambda x: x * torch.arange(4) + x * torch.arange(8, 0, -2)),
        ("filled", "x * full([4], 1.5) + ones([3, 1]) * x + zeros(shape(x))", lambda x: 2.5 * x),
        ("size", "x * size(x) + x * size(x, 0) - identity(x)", lambda x: 14 * x),
        ("argmax", "x * f64(argmax(x, axis = 1))[:, none]", lambda x: x * x.argmax(1)[:, None]),
        ("argmin", "x * f64(argmin(x, axis = 0, keepdims = true)) + f64(argmax(x))",
         lambda x: x * x.argmin(0, keepdim=True) + x.argmax()),
        ("max_min", "max(x, axis = 1, keepdims = true) - min(x, 0)",
         lambda x: x.amax(1, keepdim=True) - x.amin(0)),
        ("pad", "pad(x, [1, 0], [2, 1], [6, 5])", lambda x: F.pad(placed(x, 1, 2, 6), (0, 1))),
        ("floor", "x * floor(x * 3)", lambda x: x * torch.floor(x * 3)),
        ("ceil", "x * ceil(x * 3)", lambda x: x * torch.ceil(x * 3)),
        ("round", "x * round(x * 2)", lambda x: x * torch.round(x * 2)),
        ("sign", "x * sign(x)", lambda x: x * torch.sign(x)),
        ("fma", "fma(x, x, 2 * x)", lambda x: x * x + 2 * x),
        ("stop_gradient", "x * stop_gradient(x) + detach(x^2)", lambda x: x * x.detach() + (x**2).detach()),
        ("track", "track(x)^2", lambda x: x**2),
    ]:
        yield name, expression, function, [x], 2
    yield "logic", "where(x > 1 or not (x < 0.5 and x != -1), x^2, 3 * x)", lambda x: torch.where(
        (x > 1) | ~((x < 0.5) & (x != -1)), x**2, 3 * x), [x], 2
    yield "permute", "permute(x, [2, 0, 1]) * [1, 2, 3]", lambda x: x.permute(2, 0, 1) * points([1.0, 2.0, 3.0]), [cube], 2
    yield "transpose_axes", "transpose(x, 0, 2)", lambda x: x.transpose(0, 2), [cube], 2
    yield binary("concat", "concat([x, 2 * y, x], axis = 1)", lambda x, y: torch.cat([x, 2 * y, x], 1), x, y)
    yield binary("stack", "stack([x, x * y], axis = 1)", lambda x, y: torch.stack([x, x * y], 1), x, y)
    yield binary("einsum_batched", 'einsum("bij,bj->bi", x, y)', lambda x, y: torch.einsum("bij,bj->bi", x, y),
                 cube, random(2, 4))
    yield binary("einsum_rows", 'einsum("ij,ij->i", x, y)', lambda x, y: (x * y).sum(1), x, y)
    yield binary("einsum_all", 'einsum("ij,ij->", x, y)', lambda x, y: (x * y).sum(), x, y)
    yield binary("matmul_vector", "matmul(x, y)", torch.matmul, x, random(4))
    yield binary("remainder", "x % y + x // y", lambda x, y: torch.remainder(x, y) + torch.floor_divide(x, y).detach(),
                 x, random(3, 4, low=0.5, high=1.5))
    yield binary("vjp", "vjp(exp(x) * y, x, x^2)", lambda x, y: torch.exp(x) * y * x**2, x, y)
    yield binary("gather", "x[y] * x[0]", lambda x, y: x[y.long()] * x[0], x, classes(2, 0, 2, 1))
    yield binary("gather_columns", "x[:, y]", lambda x, y: x[:, y.long()], x, classes(3, 3, 0))
    yield binary("scatter_add", "scatter_add(y, x^2, [5, 4])",
                 lambda x, y: torch.zeros(5, 4).index_add(0, y.long(), x**2), x, classes(4, 1, 4))
    yield binary("one_hot", "one_hot(y, 4) * x + f64(is_class(y, 4))", lambda x, y: F.one_hot(y.long(), 4) * (x + 1),
                 x, classes(2, 0, 3))


def convolution_cases():
    signal, plane = random(2, 4, 7), random(2, 2, 5, 6)
    for name, settings, x, w, function in [
        ("conv1d", {}, signal, random(3, 4, 3), F.conv1d),
        ("conv1d_settings", {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}, signal, random(4, 2, 3), F.conv1d),
        ("conv2d", {}, plane, random(3, 2, 3, 2), F.conv2d),
        ("conv2d_padded", {"padding": [1, 2]}, plane, random(2, 2, 3, 3), F.conv2d),
        ("conv2d_settings", {"stride": [2, 1], "padding": 1, "dilation": [1, 2], "groups": 2}, plane,
         random(4, 1, 2, 3), F.conv2d),
        ("conv_transpose1d", {}, signal, random(4, 2, 3), F.conv_transpose1d),
        ("conv_transpose1d_settings", {"stride": 3, "padding": 1, "output_padding": 2, "dilation": 2, "groups": 2},
         signal, random(4, 1, 3), F.conv_transpose1d),
        ("conv_transpose2d", {"stride": 2, "padding": [0, 1], "output_padding": 1}, plane, random(2, 2, 3, 2),
         F.conv_transpose2d),
    ]:
        words = "".join(f", {word} = {value}" for word, value in settings.items())
        yield binary(name, f"{function.__name__}(x, y{words})",
                     lambda x, y, function=function, settings=settings: function(x, y, None, **settings), x, w)
    x = random(2, 3, 6, 7)
    for name, expression, function in [
        ("max_pool1d", "max_pool1d(x, 2)", lambda x: F.max_pool1d(x.flatten(0, 1), 2).reshape(2, 3, 6, 3)),
        ("max_pool1d_settings", "max_pool1d(x, 3, stride = 2, padding = 1)",
         lambda x: F.max_pool1d(x.flatten(0, 1), 3, 2, 1).reshape(2, 3, 6, 4)),
        ("max_pool2d", "max_pool2d(x, 2)", lambda x: F.max_pool2d(x, 2)),
        ("max_pool2d_settings", "max_pool2d(x, [3, 2], stride = [1, 2], padding = [1, 0], dilation = [1, 3])",
         lambda x: F.max_pool2d(x, (3, 2), (1, 2), (1, 0), (1, 3))),
        ("avg_pool1d", "avg_pool1d(x, 3, stride = 2, padding = 1)",
         lambda x: F.avg_pool1d(x.flatten(0, 1), 3, 2, 1).reshape(2, 3, 6, 4)),
        ("avg_pool2d", "avg_pool2d(x, 3, stride = 2, padding = 1)", lambda x: F.avg_pool2d(x, 3, 2, 1)),
        ("avg_pool2d_whole", "avg_pool2d(x, [6, 7])", lambda x: F.avg_pool2d(x, (6, 7))),
        ("adaptive_avg_pool1d", "adaptive_avg_pool1d(x, 3)",
         lambda x: F.adaptive_avg_pool1d(x.flatten(0, 1), 3).reshape(2, 3, 6, 3)),
        ("adaptive_avg_pool2d", "adaptive_avg_pool2d(x, [4, 3])", lambda x: F.adaptive_avg_pool2d(x, (4, 3))),
        ("window", "sum(exp(window(x, [2, 3], axis = [1, 3], stride = [1, 2], dilation = [1, 2])), axis = [2, 5])",
         lambda x: torch.exp(x).unfold(1, 2, 1).unfold(3, 5, 2)[..., ::2].sum((4, 5))),
        ("max_first", "max(x, axis = 2)[0] * max(x, axis = 0, keepdims = true)[0][:, 0:1] + max(x, axis = [0, 1])[0]",
         lambda x: x.max(2)[0][0] * x.max(0, True)[0][0][:, :1] + x.amax((0, 1))[0]),
        ("min_first", "min(x, axis = -1) + min(x)", lambda x: x.min(-1)[0] + x.min()),
        ("pad_value", "pad(x[0], [1, [0, 2]], axis = [2, 0], value = 3)",
         lambda x: F.pad(x[0], (1, 1, 0, 0, 0, 2), value=3.0)),
    ]:
        yield name, expression, function, [x], 2
    ties = points([[1.0, 2.0, 2.0], [0.0, 0.0, 2.0]])
    yield "max_ties", "max(x, axis = 1) + 3 * max(x, axis = 0)[0] + max(x)", lambda x: (
        x.max(1)[0] + 3 * x.max(0)[0][0] + x.max()), [ties], 1
    yield "min_ties", "min(x, axis = 1) + 3 * min(x, axis = 0)[2]", lambda x: (
        x.min(1)[0] + 3 * x.min(0)[0][2]), [ties], 1
    yield "max_pool_ties", "max_pool2d(x, 2, stride = 1)", lambda x: F.max_pool2d(x[None], 2, 1)[0], [ties], 1
    yield "fold", "fold(x, 9, axis = 1, stride = 2, dilation = 2)", lambda x: torch.stack([
        sum(x[:, p, k] for p in range(3) for k in range(3) if 2 * p + 2 * k == i) + 0 * x[:, 0, 0]
        for i in range(9)], 1), [random(2, 3, 3)], 2


def arrangement_cases():
    x, y, matrix = random(2, 3, 4), random(3, 4), random(2, 3, 3)
    for name, expression, function in [
        ("flip_all", "flip(x) * x", lambda x: x.flip(0, 1, 2) * x),
        ("moveaxis", "moveaxis(x, 0, 2)", lambda x: x.movedim(0, 2)),
        ("roll", "roll(x, [1, -2], axis = [0, 2])", lambda x: x.roll((1, -2), (0, 2))),
        ("roll_all", "roll(x, 5, axis = 2) + roll(x, 0)", lambda x: x.roll(5, 2) + x),
        ("flatten_middle", "flatten(x, 1, 2) * 2", lambda x: x.flatten(1, 2) * 2),
        ("unflatten", "unflatten(x, 2, [2, -1])[:, :, 1]", lambda x: x.unflatten(2, (2, -1))[:, :, 1]),
        ("repeat", "repeat(x, 2, axis = 1)", lambda x: x.repeat(1, 2, 1)),
        ("tile", "tile(x, 3)", lambda x: x.tile(3, 1, 1)),
        ("repeat_interleave", "repeat_interleave(x, 2, axis = -1)", lambda x: x.repeat_interleave(2, -1)),
        ("prod", "prod(x)", lambda x: x.prod()),
        ("prod_columns", "prod(x, axis = 1, keepdims = true)", lambda x: x.prod(1, True)),
        ("cumsum", "cumsum(x, axis = 1)", lambda x: x.cumsum(1)),
        ("cumprod", "cumprod(x)", lambda x: x.cumprod(-1)),
        ("any_all", "f64(any(x > 1, axis = 0)) + f64(all(x > -1, axis = [0, 1], keepdims = true)[0]) * x[0]",
         lambda x: (x > 1).any(0).double() + (x > -1).all(0).all(0) * x[0]),
    ]:
        yield name, expression, function, [x], 2
    some_zeros = points([[1.5, 0.0, -2.0], [0.0, 0.5, 0.0]])
    yield "prod_zeros", "prod(x, axis = 1) + prod(x, axis = 0)[0]", lambda x: x.prod(1) + x.prod(0)[0], [some_zeros], 2
    for name, expression, function in [
        ("tril", "tril(x) + 2 * tril(x, 1)", lambda x: x.tril() + 2 * x.tril(1)),
        ("triu", "triu(x, -1) * triu(x)", lambda x: x.triu(-1) * x.triu()),
        ("eye", "x @ eye(3) + eye(3)", lambda x: x + torch.eye(3)),
        ("diagonal", "diagonal(x, 1) * diagonal(x, -1)", lambda x: x.diagonal(1, 1, 2) * x.diagonal(-1, 1, 2)),
        ("trace", "trace(x) * x[:, 0, 1]", lambda x: x.diagonal(0, 1, 2).sum(-1) * x[:, 0, 1]),
        ("diag", "diag(x[0, 1]) @ x[1]", lambda x: torch.diag(x[0, 1]) @ x[1]),
        ("einsum_diagonal", 'einsum("iijj->j", x[0][:, :, none, none] * x[1]) + einsum("...ii->...", x)[0]',
         lambda x: torch.einsum("iijj->j", x[0][:, :, None, None] * x[1]) + torch.einsum("...ii->...", x)[0]),
    ]:
        yield name, expression, function, [matrix], 2
    yield binary("einsum_three", 'einsum("aij,ij,bkj->bk", x, y, x)', lambda x, y: torch.einsum("aij,ij,bkj->bk", x, y, x), x, y)
    yield binary("einsum_ellipsis", 'einsum("...j,kj->k...", x, y)', lambda x, y: torch.einsum("...j,kj->k...", x, y),
                 x, y)
    yield binary("einsum_broadcast", 'einsum("...j,...j->...", x, y[none, 0:1])',
                 lambda x, y: torch.einsum("...j,...j->...", x, y[None, :1]), x, y)
    yield binary("split", "concat(split(x * y, 1), axis = 1) * 2",
                 lambda x, y: torch.cat((x * y).split(1), 1) * 2, x, y)
    yield binary("chunk", "concat(chunk(x * y, 3, axis = 2), axis = 1)[:, :, 0]",
                 lambda x, y: torch.cat((x * y).chunk(3, 2), 1)[:, :, 0], x, y)
    yield binary("unbind", "stack(unbind(x * y, axis = 1))", lambda x, y: torch.stack((x * y).unbind(1)), x, y)
    yield binary("take_along_axis", "take_along_axis(x, y, axis = 1) * x[:, 0:2]",
                 lambda x, y: torch.gather(x, 1, y.long()) * x[:, :2], x,
                 classes(2, 0, 1, 2, 0, 0, 2, 1, 1, 1, 0, 2, 2, 0, 1, 0).reshape(2, 2, 4))
    for name, expression, function in [
        ("sort", "sort(x) * [1, 2, 3, 4]", lambda x: x.sort(-1)[0] * points([1.0, 2.0, 3.0, 4.0])),
        ("sort_down", "sort(x, axis = 1, descending = true)[:, 0:2] * x[:, 0:2]",
         lambda x: x.sort(1, True)[0][:, :2] * x[:, :2]),
        ("argsort", "f64(argsort(x, axis = 0)) * x", lambda x: x.argsort(0) * x),
        ("median", "median(x, axis = 1)", lambda x: x.median(1)[0]),
        ("topk", "sorted_top(x)", lambda x: (lambda top: top[0] * (1 + top[1]))(x.topk(2, 1))),
    ]:
        yield name, expression, function, [x], 2
    yield binary("gather_torch", "gather(x, 1, y) + x[:, 0:1]", lambda x, y: torch.gather(x, 1, y.long()) + x[:, :1], x,
                 classes(2, 0, 1, 2, 0, 0, 2, 1).reshape(2, 1, 4))
    yield binary("matmul_broadcast", "matmul(x, y)", torch.matmul, random(2, 1, 3, 2), random(3, 2, 3))
    yield binary("matmul_vectors", "(x @ y) * (y @ transpose(x))", lambda x, y: (x @ y) * (y @ x.T), random(3, 4),
                 random(4))


def function_cases():
    unit = [-0.999, -0.9, -0.5, -0.1, -1e-3, 1e-3, 0.1, 0.3, 0.7, 0.99]
    for function, values in [
        (torch.atan, ANGLES), (torch.asin, unit), (torch.acos, unit), (torch.atanh, unit), (torch.sinh, AROUND_ZERO),
        (torch.cosh, AROUND_ZERO), (torch.asinh, AROUND_ZERO + [-1e12]), (torch.log2, POSITIVE),
        (torch.log10, POSITIVE), (torch.exp2, AROUND_ZERO), (torch.erfc, AROUND_ZERO + [12.0]),
        (torch.trunc, AROUND_ZERO), (torch.frac, AROUND_ZERO),
    ]:
        yield elementwise(function, values)
    yield elementwise(torch.acosh, [1.001, 1.1, 1.5, 2.0, 7.5, 1000.0, 1e12])
    yield elementwise(torch.logit, [0.001, 0.1, 0.3, 0.5, 0.9, 0.999])
    yield elementwise(lambda x: torch.where(x.isfinite(), x, 0 * x.isinf() + 3.0), AROUND_ZERO,
                      "where(isfinite(x) and not isinf(x), x, 3)", "isfinite")
    x, y, row = random(3, 4), random(3, 4), random(4, low=0.5, high=2.0)
    yield binary("atan2", "atan2(x, y)", torch.atan2, x, y)
    yield binary("atan2_row", "atan2(x, y)", torch.atan2, row, x)
    yield binary("hypot", "hypot(x, y)", torch.hypot, x, row)
    yield binary("logaddexp", "logaddexp(x, y) + logaddexp(x, x)",
                 lambda x, y: torch.logaddexp(x, y) + torch.logaddexp(x, x), x, row)
    yield binary("xlogy", "xlogy(x, y)", torch.xlogy, points([0.0, 1.5, -2.0, 0.0]), row)


def derivative_cases():
    functional = torch.autograd.functional
    x, y = random(3), random(3, low=0.5)
    yield binary("jacobian", "jacobian(exp(x) * y * sum(x), x)", lambda x, y: functional.jacobian(
        lambda v: torch.exp(v) * y * v.sum(), x, create_graph=True), x, y)
    yield binary("hessian", "hessian(sum(x^3 * y) * sum(x), x)", lambda x, y: functional.hessian(
        lambda v: (v**3 * y).sum() * v.sum(), x, create_graph=True), x, y)
    yield binary("jvp", "jvp(sin(x) * sum(x^2), x, y)", lambda x, y: functional.jvp(
        lambda v: torch.sin(v) * (v**2).sum(), x, y, create_graph=True)[1], x, y)


def schedule_cases():
    def annealing(t, rate, steps, least):
        return least + (rate - least) * (1 + torch.cos(torch.pi * torch.clamp(t / steps, max=1))) / 2

    def one_cycle(t, peak):   # of 20 steps
        top, last, low = 0.3 * 20 - 1, 19, peak / 25
        if t <= top:
            return low + (peak - low) * (1 - torch.cos(torch.pi * t / top)) / 2
        return low / 1e4 + (peak - low / 1e4) * (1 + torch.cos(torch.pi * (t - top) / (last - top))) / 2

    rate = torch.tensor(0.75)
    for t in (2.0, 7.0, 13.0):
        at = torch.tensor(t)
        yield binary(f"step_decay_{t:g}", "step_decay(x, y, 5, gamma = 0.5)", lambda x, y: y * 0.5**torch.floor(x / 5), at, rate)
        yield binary(f"exponential_decay_{t:g}", "exponential_decay(x, y, 0.9)", lambda x, y: y * 0.9**x, at, rate)
        yield binary(f"cosine_annealing_{t:g}", "cosine_annealing(x, y, 10, least = 0.1)",
                     lambda x, y: annealing(x, y, 10, 0.1), at, rate)
        yield binary(f"linear_warmup_{t:g}", "linear_warmup(x, y, 10, start = 0.2)",
                     lambda x, y: y * (0.2 + 0.8 * torch.clamp(x / 10, max=1)), at, rate)
        yield binary(f"warmup_cosine_{t:g}", "warmup_cosine(x, y, 5, 12)",
                     lambda x, y: y * x / 5 if x < 5 else annealing(x - 5, y, 7, 0), at, rate)
        yield binary(f"one_cycle_{t:g}", "one_cycle(x, y, 20)", one_cycle, at, rate)
    x = random(3, 4)
    yield "clip_norm", "clip_norm(x, 0.5)", lambda x: x * torch.clamp(0.5 / (x.norm() + 1e-6), max=1), [x], 2
    yield "clip_norm_not", "clip_norm(x, 50)", lambda x: x * torch.clamp(50 / (x.norm() + 1e-6), max=1), [x], 2
    yield "clip_value", "clip_value(x, 0.5)", lambda x: torch.clamp(x, -0.5, 0.5), [x], 2


def group_norm(x, flat):
    return F.group_norm(x, 2, *tensors(flat, (4,), (4,)))


def rnn(x, flat):
    W, U, b = tensors(flat, (3, 4), (4, 4), (4,))
    h = torch.zeros(x.shape[0], 4)
    steps = []
    for t in range(x.shape[1]):
        h = torch.rnn_tanh_cell(x[:, t], h, W.T, U.T, b, torch.zeros(4))
        steps.append(h)
    return torch.stack(steps, 1)


def attention(x, memory, flat, hidden=None):
    """With 2 heads over 4 numbers; `hidden` are the places that each place may not look at."""
    in_weight, in_bias, out_weight, out_bias = tensors(flat, (12, 4), (12,), (4, 4), (4,))
    result, _ = F.multi_head_attention_forward(
        x.transpose(0, 1), memory.transpose(0, 1), memory.transpose(0, 1), 4, 2, in_weight, in_bias, None, None, False,
        0.0, out_weight, out_bias, need_weights=True, attn_mask=hidden)
    return result.transpose(0, 1)


def hidden_future(count):
    return torch.ones(count, count, dtype=torch.bool).triu(1)


def block(x, flat):
    """Of 4 numbers, 2 heads, 6 numbers between."""
    attend, b1, b2, wide, wide_bias, narrow, narrow_bias, g1, g2 = tensors(
        flat, (80,), (4,), (4,), (6, 4), (6,), (4, 6), (4,), (4,), (4,))
    h = F.layer_norm(x, (4,), b1, b2)
    x = x + attention(h, h, attend, hidden_future(x.shape[1]))
    h = F.layer_norm(x, (4,), g1, g2)
    return x + F.linear(F.gelu(F.linear(h, wide, wide_bias)), narrow, narrow_bias)


def weighted_loss_cases():
    logits, digits = random(5, 3), classes(0, 2, 1, 2, 0)
    ignored = classes(0, -100, 1, 2, -100)
    for reduction in ("mean", "sum", "none"):
        yield binary(f"cross_entropy_weight_{reduction}",
                     f"cross_entropy(x, y, reduction = {reduction}, weight = [0.5, 1.25, 2.0])",
                     lambda x, y, reduction=reduction: F.cross_entropy(x, y.long(), torch.tensor([0.5, 1.25, 2.0]), reduction=reduction),
                     logits, digits)
        yield binary(f"cross_entropy_ignore_{reduction}",
                     f"cross_entropy(x, y, reduction = {reduction}, ignore_index = -100)",
                     lambda x, y, reduction=reduction: F.cross_entropy(x, y.long(), reduction=reduction), logits, ignored)
        yield binary(f"cross_entropy_all_{reduction}", f"cross_entropy(x, y, reduction = {reduction}, "
                     "weight = [0.5, 1.25, 2.0], ignore_index = 2, label_smoothing = 0.25)",
                     lambda x, y, reduction=reduction: F.cross_entropy(x, y.long(), torch.tensor([0.5, 1.25, 2.0]), reduction=reduction,
                                                  ignore_index=2, label_smoothing=0.25), logits, digits)
        yield binary(f"nll_weight_{reduction}", f"nll_loss(x, y, reduction = {reduction}, "
                     "weight = [0.5, 1.25, 2.0], ignore_index = -100)",
                     lambda x, y, reduction=reduction: F.nll_loss(x, y.long(), torch.tensor([0.5, 1.25, 2.0]), reduction=reduction),
                     logits, ignored)


def attention_cases():
    yield binary("layer_group_norm", "group_norm_layer(x, parameters = y)", group_norm, random(2, 4, 3), random(8))
    yield binary("layer_rnn", "rnn_layer(x, parameters = y)", rnn, random(2, 5, 3), random(32))
    yield binary("layer_attention", "attention_layer(x, x, x, parameters = y)",
                 lambda x, y: attention(x, x, y), random(2, 3, 4), random(80))
    yield binary("layer_attention_causal", "causal_layer(x, x, x, parameters = y)",
                 lambda x, y: attention(x, x, y, hidden_future(3)), random(2, 3, 4), random(80))
    yield ("layer_attention_masked", "attention_layer(x, z, z, arange(5) <= 2 + arange(3)[:, none], parameters = y)",
           lambda x, y, z: attention(x, z, y, torch.ones(3, 5, dtype=torch.bool).triu(3)),
           [random(2, 3, 4), random(80), random(2, 5, 4)], 2)
    yield binary("layer_block", "block_layer(x, parameters = y)", block, random(2, 3, 4), random(154))
    q, k, v = random(2, 3, 4), random(2, 5, 4), random(2, 5, 6)
    for name, mask, given in (("", None, ""), ("_masked", torch.ones(3, 5, dtype=torch.bool).tril(1),
                                              ", mask = arange(5) <= 1 + arange(3)[:, none]")):
        yield (f"attention{name}", f"scaled_dot_product_attention(x, y, z{given})",
               lambda x, y, z, mask=mask: torch.softmax((x @ y.mT / 2).masked_fill(
                   torch.zeros(3, 5, dtype=torch.bool) if mask is None else ~mask, -torch.inf), -1) @ z, [q, k, v], 2)


def index_cases():
    x, y = random(3, 4, 2), classes(1, 0, 1)
    i, j = torch.tensor([1, 0, 1]), torch.tensor([0, 2, 3])
    yield binary("index_three", "x[y, [0, 2, 3], 1 - y]", lambda x, y: x[i, j, 1 - i], x, y)
    yield binary("index_apart", "x[y, :, 1 - y]", lambda x, y: x[i, :, 1 - i], x, y)
    yield binary("index_apart_new", "x[:, y, none, 1 - y]", lambda x, y: x[:, i, None, 1 - i], x, y)
    yield binary("index_number_between", "x[y, 2, 1 - y]", lambda x, y: x[i, 2, 1 - i], x, y)
    yield binary("index_broadcast", "x[y[:, none], [[0, 3]], :]", lambda x, y: x[i[:, None], torch.tensor([[0, 3]])], x, y)
    yield ("argmax_axes", "x * f64(argmax(x, axis = [0, 2]))[:, none]",
           lambda x: x * x.transpose(0, 1).reshape(4, 6).argmax(1)[:, None], [x], 2)


def further_function_cases():
    for function, values, expression in [
        (F.softshrink, AROUND_ZERO, None), (F.hardshrink, AROUND_ZERO, None), (F.tanhshrink, AROUND_ZERO, None),
        (torch.sinc, [v for v in AROUND_ZERO if abs(v) > 0.01], None), (torch.deg2rad, ANGLES, None), (torch.rad2deg, ANGLES, None),
        (torch.erfinv, [-0.9995, -0.9, -0.5, -1e-3, 1e-3, 0.25, 0.7, 0.99, 0.999], None),
        (lgamma, POSITIVE[1:] + [-0.3, -1.5, -2.75, 12.0], None),
        (digamma, POSITIVE[1:] + [-0.3, -1.5, -2.75, 12.0], None),
        (lambda x: F.threshold(x, 0.2, 3.0), AROUND_ZERO, "threshold(x, 0.2, 3)"),
        (lambda x: x.sign() * x.abs()**(1 / 3), AROUND_ZERO, "cbrt(x)"),
    ]:
        word = expression.split("(")[0] if expression else function.__name__
        yield elementwise(function, values, expression, word)
    x, y, row = random(3, 4), random(3, 4), random(4, low=0.5, high=2.0)
    yield "sinc_0", "sinc(x)", torch.sinc, [points([0.0])], 1
    yield ("nan_to_num", "nan_to_num(x, nan = 2, posinf = 3, neginf = -1)",
           lambda x: x.nan_to_num(2.0, 3.0, -1.0), [points([0.5, float("inf"), -float("inf"), -2.0])], 1)
    yield binary("copysign", "copysign(x, y)", torch.copysign, x, y)
    yield "glu", "glu(x)", F.glu, [x], 2
    yield "glu_act", "glu(x, axis = 1, act = silu)", lambda x: x[:, :2] * F.silu(x[:, 2:]), [x], 2
    yield "softmin", "softmin(x)", lambda x: F.softmin(x, -1), [x], 2
    yield "normalize", "normalize(x) + normalize(x, p = 3, axis = 0)", lambda x: F.normalize(x) + F.normalize(x, 3.0, 0), [x], 2
    yield "diff", "diff(x) * diff(x[:, 1:3], axis = 0)[1, 0]", lambda x: x.diff() * x[:, 1:3].diff(dim=0)[1, 0], [x], 2
    yield ("trapezoid", "trapezoid(x^2, dx = 0.5) + sum(trapezoid(x, axis = 0))",
           lambda x: torch.trapezoid(x**2, dx=0.5) + torch.trapezoid(x, dim=0).sum(), [x], 2)
    yield "cummax", "cummax(x) * x", lambda x: x.cummax(1).values * x, [x], 2
    yield "cummin", "cummin(x, axis = 0) * x", lambda x: x.cummin(0).values * x, [x], 2
    yield "logcumsumexp", "logcumsumexp(x)", lambda x: x.logcumsumexp(1), [x], 2
    yield ("count_nonzero", "x * count_nonzero(x - x[0], axis = 1)[:, none]",
           lambda x: x * torch.tensor([0, 4, 4])[:, None], [x], 2)
    yield "cov", "cov(x) + cov(x, correction = 0)", lambda x: x.cov() + x.cov(correction=0), [x], 2
    yield "corrcoef", "corrcoef(x)", torch.corrcoef, [x], 2
    yield ("prod_axes", "prod(reshape(x, [2, 3, 2]), axis = [0, -1], keepdims = true) * x[0, 0] + prod(x, [0, 1])",
           lambda x: x.reshape(2, 3, 2).prod(2, True).prod(0, True) * x[0, 0] + x.prod(), [x], 2)
    yield binary("outer", "outer(x, y)", lambda x, y: x[..., None] * y[:, None], x, random(3, 2))
    yield binary("cross", "cross(x, y)", lambda x, y: torch.linalg.cross(x, y), random(2, 3), random(2, 3))
    yield binary("kron", "kron(x, y)", torch.kron, random(2, 3), random(3, 2))
    yield binary("positions_rotary", "rotary(x) + positions(3, 4) * y", rotated, x, y)


# PyTorch's polygamma has ten digits, and none for negative numbers. These go up to where few terms of the series do.
def above(x):
    z = torch.where(x < 0.5, 1 - x, x)
    return z, z + 40


def digamma(x):
    z, y = above(x)
    series = y.log() - 1 / (2 * y) - 1 / (12 * y**2) + 1 / (120 * y**4) - 1 / (252 * y**6) + 1 / (240 * y**8)
    right = series - sum(1 / (z + k) for k in range(40))
    found = torch.where(x < 0.5, right - torch.pi * torch.cos(torch.pi * x) / torch.sin(torch.pi * x), right)
    assert torch.allclose(found, torch.digamma(x), rtol=1e-12, atol=1e-12)
    return found


def lgamma(x):
    z, y = above(x)
    series = 1 / (12 * y) - 1 / (360 * y**3) + 1 / (1260 * y**5) - 1 / (1680 * y**7)
    right = (y - 0.5) * y.log() - y + 0.5 * math.log(2 * math.pi) + series - sum((z + k).log() for k in range(40))
    found = torch.where(x < 0.5, torch.log(torch.pi / torch.sin(torch.pi * x).abs()) - right, right)
    assert torch.allclose(found, torch.lgamma(x), rtol=1e-12, atol=1e-12)
    return found


def rotated(x, y):
    rate = 10000 ** (-2 * torch.arange(2.0) / 4)
    angle = torch.arange(3.0)[:, None] * rate
    waves = torch.stack([angle.sin(), angle.cos()], -1).reshape(3, 4)
    turned = torch.view_as_real(torch.complex(x[:, :2], x[:, 2:]) * torch.polar(torch.ones(3, 2), angle))
    return torch.cat([turned[..., 0], turned[..., 1]], 1) + waves * y


def margin_cases():
    x, y, z = random(3, 4), random(3, 4), random(3, 4)
    signs = points([1.0, -1.0, 1.0])
    many = torch.where(random(3, 4) > 0, 1.0, -1.0)
    for reduction in ("mean", "sum", "none"):
        last = f", reduction = {reduction}"
        yield (f"margin_ranking_{reduction}", f"margin_ranking_loss(x, y, [1, -1, 1, 1], margin = 0.5{last})",
               lambda x, y, reduction=reduction: F.margin_ranking_loss(x, y, torch.tensor([1.0, -1, 1, 1]), 0.5, reduction=reduction),
               [x[0], y[0]], 2)
        yield (f"cosine_embedding_{reduction}", f"cosine_embedding_loss(x, y, [1, -1, 1], margin = 0.1{last})",
               lambda x, y, reduction=reduction: F.cosine_embedding_loss(x, y, signs, 0.1, reduction=reduction), [x, y], 2)
        yield (f"triplet_margin_{reduction}", f"triplet_margin_loss(x, y, z{last})",
               lambda x, y, z, reduction=reduction: F.triplet_margin_loss(x, y, z, reduction=reduction), [x, y, z], 2)
        yield (f"multi_margin_{reduction}", f"multi_margin_loss(x, y{last})",
               lambda x, y, reduction=reduction: reduced(multi_margin(x, y.long()), reduction), [x, classes(0, 3, 1)], 2)
        yield (f"soft_margin_{reduction}", f"soft_margin_loss(x, where(y > 0, 1, -1){last})",
               lambda x, y, reduction=reduction: F.soft_margin_loss(x, torch.where(y > 0, 1.0, -1.0), reduction=reduction), [x, y], 2)
        yield (f"hinge_embedding_{reduction}", f"hinge_embedding_loss(x, where(y > 0, 1, -1){last})",
               lambda x, y, reduction=reduction: F.hinge_embedding_loss(x, torch.where(y > 0, 1.0, -1.0), reduction=reduction), [x, y], 2)
        yield (f"poisson_{reduction}", f"poisson_nll_loss(x, y^2{last})",
               lambda x, y, reduction=reduction: F.poisson_nll_loss(x, y**2, reduction=reduction), [x, y], 2)
        yield (f"gaussian_{reduction}", f"gaussian_nll_loss(x, y, z^2{last})",
               lambda x, y, z, reduction=reduction: F.gaussian_nll_loss(x, y, z**2, reduction=reduction), [x, y, z], 2)
        yield (f"multilabel_soft_margin_{reduction}", f"multilabel_soft_margin_loss(x, where(y > 0, 1, 0){last})",
               lambda x, y, reduction=reduction: F.multilabel_soft_margin_loss(x, (y > 0).double(), reduction=reduction), [x, y], 2)
    yield ("poisson_plain", "poisson_nll_loss(x^2, y, log_input = false)",
           lambda x, y: F.poisson_nll_loss(x**2, y, log_input=False), [x, y], 2)
    yield ("gaussian_bound", "gaussian_nll_loss(x, y, [1e-9, 1e-9, 1, 2])",
           lambda x, y: F.gaussian_nll_loss(x, y, torch.tensor([1e-9, 1e-9, 1, 2]).expand(3, 4)), [x, y], 2)
    yield ("bce_weights", "binary_cross_entropy_with_logits(x, sigmoid(y), weight = [1, 2, 0.5, 1], pos_weight = 3)",
           lambda x, y: F.binary_cross_entropy_with_logits(x, y.sigmoid(), torch.tensor([1, 2, 0.5, 1]),
                                                           pos_weight=torch.tensor(3.0)), [x, y], 2)
    yield ("bce_weight", "binary_cross_entropy(sigmoid(x), sigmoid(y), weight = [1, 2, 0.5, 1])",
           lambda x, y: F.binary_cross_entropy(x.sigmoid(), y.sigmoid(), torch.tensor([1, 2, 0.5, 1])), [x, y], 2)
    yield "focal", "focal_loss(x, where(y > 0, 1, 0))", focal, [x, y], 2
    yield binary("cosine_similarity", "cosine_similarity(x, y) + sum(cosine_similarity(x, y, axis = 0))",
                 lambda x, y: F.cosine_similarity(x, y, -1) + F.cosine_similarity(x, y, 0).sum(), x, y)
    yield binary("pairwise_distance", "pairwise_distance(x, y) + pairwise_distance(x, y, p = 1)",
                 lambda x, y: F.pairwise_distance(x, y) + F.pairwise_distance(x, y, 1.0), x, y)
    yield binary("cdist", "cdist(x, y) + cdist(x, y, p = 1)",
                 lambda x, y: (x[:, None] - y).norm(dim=-1) + (x[:, None] - y).abs().sum(-1), x, random(2, 4))


def multi_margin(x, y):
    # PyTorch's own has no second derivative.
    others = 1 - F.one_hot(y, 4)
    losses = (torch.relu(1 - x.gather(1, y[:, None]) + x) * others).sum(1) / 4
    assert torch.equal(losses, F.multi_margin_loss(x, y, reduction="none"))
    return losses


def reduced(losses, reduction):
    return losses if reduction == "none" else getattr(losses, reduction)()


def focal(x, y):
    y, p = (y > 0).double(), x.sigmoid()
    right = p * y + (1 - p) * (1 - y)
    loss = F.binary_cross_entropy_with_logits(x, y, reduction="none") * (1 - right) ** 2
    return ((0.25 * y + 0.75 * (1 - y)) * loss).mean()


def pool_cases():
    x, line, cube = random(2, 5, 7), random(1, 2, 7), random(1, 2, 5, 4, 6)
    for name, text, options in [("same", "padding = \"same\"", {"padding": "same"}),
                                ("same_dilated", "padding = \"same\", dilation = 2", {"padding": "same", "dilation": 2})]:
        yield binary(f"conv1d_{name}", f"conv1d(x, y, {text})", lambda x, y, options=options: F.conv1d(x, y, **options), line, random(3, 2, 4))
        yield binary(f"conv2d_{name}", f"conv2d(x, y, {text})", lambda x, y, options=options: F.conv2d(x, y, **options),
                     x[None], random(3, 2, 2, 3))
    yield binary("conv3d", "conv3d(x, y, stride = [1, 2, 1], padding = [1, 0, 2])",
                 lambda x, y: F.conv3d(x, y, stride=(1, 2, 1), padding=(1, 0, 2)), cube, random(3, 2, 2, 3, 2))
    yield binary("conv3d_groups", "conv3d(x, y, groups = 2, padding = \"same\", dilation = 2)",
                 lambda x, y: F.conv3d(x, y, groups=2, padding="same", dilation=2), cube[:, :, :3], random(4, 1, 2, 2, 3))
    for name, text, options in [("ceil", "2, ceil_mode = true", {"kernel_size": 2, "ceil_mode": True}),
                                ("ceil_padded", "2, 2, 1, ceil_mode = true", {"kernel_size": 2, "padding": 1, "ceil_mode": True}),
                                ("ceil_stride", "3, 2, 1, ceil_mode = true", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
                                ("ceil_far", "2, 5, ceil_mode = true", {"kernel_size": 2, "stride": 5, "ceil_mode": True})]:
        for pool, function in [("max_pool1d", F.max_pool1d), ("max_pool2d", F.max_pool2d), ("avg_pool1d", F.avg_pool1d),
                               ("avg_pool2d", F.avg_pool2d)]:
            yield (f"{pool}_{name}", f"{pool}(x, {text})",
                   lambda x, function=function, options=options: function(x, **options), [x], 2)
    yield ("avg_pool1d_inside", "avg_pool1d(x, 3, 2, 1, count_include_pad = false)",
           lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False), [x], 2)
    yield ("avg_pool2d_inside", "avg_pool2d(x, [3, 2], [2, 3], 1, ceil_mode = true, count_include_pad = false)",
           lambda x: F.avg_pool2d(x, (3, 2), (2, 3), 1, ceil_mode=True, count_include_pad=False), [x], 2)
    yield "max_pool3d", "max_pool3d(x, [2, 1, 3], stride = 2)", lambda x: F.max_pool3d(x, (2, 1, 3), 2), [cube], 2
    yield ("max_pool3d_ceil", "max_pool3d(x, 2, stride = 2, padding = 1, ceil_mode = true)",
           lambda x: F.max_pool3d(x, 2, 2, 1, ceil_mode=True), [cube], 2)
    yield "avg_pool3d", "avg_pool3d(x, 2, stride = [1, 2, 3], padding = 1)", lambda x: F.avg_pool3d(x, 2, (1, 2, 3), 1), [cube], 2
    yield "adaptive_max_pool1d", "adaptive_max_pool1d(x, 3)", lambda x: F.adaptive_max_pool1d(x, 3), [x], 2
    yield "adaptive_max_pool2d", "adaptive_max_pool2d(x, [2, 3])", lambda x: F.adaptive_max_pool2d(x, (2, 3)), [x], 2
    yield "upsample_nearest1d", "upsample_nearest1d(x, 9)", lambda x: F.interpolate(x, 9), [x], 2
    yield "upsample_nearest2d", "upsample_nearest2d(x, [8, 5])", lambda x: F.interpolate(x[None], (8, 5))[0], [x], 2
    for corners in (False, True):
        word = str(corners).lower()
        yield (f"upsample_linear1d_{word}", f"upsample_linear1d(x, 9, align_corners = {word})",
               lambda x, corners=corners: F.interpolate(x, 9, mode="linear", align_corners=corners), [x], 2)
        yield (f"upsample_bilinear2d_{word}", f"upsample_bilinear2d(x, [8, 5], align_corners = {word})",
               lambda x, corners=corners: F.interpolate(x[None], (8, 5), mode="bilinear", align_corners=corners)[0], [x], 2)
    yield "pixel_shuffle", "pixel_shuffle(x, 2)", lambda x: F.pixel_shuffle(x, 2), [random(2, 8, 2, 3)], 2
    yield "pixel_unshuffle", "pixel_unshuffle(x, 2)", lambda x: F.pixel_unshuffle(x, 2), [random(2, 2, 4, 6)], 2
    yield "pad_reflect", "pad_reflect(x, [3, 1])", lambda x: F.pad(x, (3, 1), mode="reflect"), [x], 2
    yield "pad_replicate", "pad_replicate(x, [3, 1])", lambda x: F.pad(x, (3, 1), mode="replicate"), [x], 2
    yield "pad_circular", "pad_circular(x, 2)", lambda x: F.pad(x, (2, 2), mode="circular"), [x], 2


def solving_cases():
    x, y = random(4, 4), random(4, 2)
    batch, several = random(2, 3, 3), random(2, 3, 2)
    yield ("cholesky", "cholesky(x @ transpose(x, -1, -2) + 2 * eye(3))",
           lambda x: torch.linalg.cholesky(x @ x.mT + 2 * torch.eye(3)), [batch], 2)
    yield binary("solve_triangular", "solve_triangular(x + 3 * eye(3), y)",
                 lambda x, y: torch.linalg.solve_triangular((x + 3 * torch.eye(3)).tril(), y, upper=False), batch, several)
    yield binary("solve_triangular_upper", "solve_triangular(x + 3 * eye(3), y, upper = true)",
                 lambda x, y: torch.linalg.solve_triangular((x + 3 * torch.eye(3)).triu(), y, upper=True), batch, several)
    yield binary("solve", "solve(x, y)", torch.linalg.solve, x, y)
    yield "inverse", "inverse(x)", torch.linalg.inv, [x], 2
    yield "det", "det(x) * x", lambda x: torch.linalg.det(x) * x, [x], 2
    yield "slogdet", "log_size(x) * x", lambda x: (torch.linalg.slogdet(x)[1] + torch.linalg.slogdet(x)[0].detach()) * x, [x], 2


def further_layer_cases():
    yield binary("layer_prelu", "prelu_layer(x, parameters = y)", lambda x, y: F.prelu(x, y), random(2, 3, 4), random(3))
    yield ("layer_bilinear", "bilinear_layer(x, y, parameters = z)",
           lambda x, y, z: F.bilinear(x, y, *tensors(z, (2, 3, 4), (2,))), [random(5, 3), random(5, 4), random(26)], 2)
    yield ("instance_norm", "instance_norm(x)", F.instance_norm, [random(2, 3, 4)], 2)
    yield binary("layer_conv3d", "conv3d_layer(x, parameters = y)",
                 lambda x, y: F.conv3d(x, *tensors(y, (2, 2, 2, 2, 2), (2,))), random(1, 2, 3, 3, 2), random(34))
    yield binary("layer_conv_transpose1d", "conv_transpose1d_layer(x, parameters = y)",
                 lambda x, y: F.conv_transpose1d(x, *tensors(y, (4, 1, 3), (2,)), stride=2, output_padding=1, groups=2),
                 random(2, 4, 3), random(14))
    yield binary("layer_conv_transpose2d", "conv_transpose2d_layer(x, parameters = y)",
                 lambda x, y: F.conv_transpose2d(x, *tensors(y, (2, 3, 2, 2), (3,)), padding=1), random(1, 2, 3, 4), random(27))
    yield binary("layer_bidirectional", "bidirectional_layer(x, parameters = y)",
                 lambda x, y: torch.cat([rnn(x, y[:32]), rnn(x.flip(1), y[32:]).flip(1)], -1), random(2, 5, 3), random(64))
    yield ("layer_decoder", "decoder_layer(x, y, parameters = z)", decoder, [random(2, 3, 4), random(2, 5, 4), random(242)], 2)
    yield binary("layer_batch_norm_pictures", "batch_norm_layer(x, parameters = y)",
                 lambda x, y: F.batch_norm(x, torch.zeros(4), torch.ones(4), *tensors(y, (4,), (4,))), random(2, 4, 2, 3), random(8))


def decoder(x, memory, flat):
    """Of 4 numbers, 2 heads, 6 numbers between."""
    attend, look_up, g1, b1, g2, b2, wide, wide_bias, narrow, narrow_bias, g3, b3 = tensors(
        flat, (80,), (80,), (4,), (4,), (4,), (4,), (6, 4), (6,), (4, 6), (4,), (4,), (4,))
    h = F.layer_norm(x, (4,), g1, b1)
    x = x + attention(h, h, attend, hidden_future(x.shape[1]))
    x = x + attention(F.layer_norm(x, (4,), g2, b2), memory, look_up)
    h = F.layer_norm(x, (4,), g3, b3)
    return x + F.linear(F.gelu(F.linear(h, wide, wide_bias)), narrow, narrow_bias)


def further_schedule_cases():
    rate = torch.tensor(0.75)
    for t in (2.0, 7.0, 13.0):
        at = torch.tensor(t)
        yield binary(f"multi_step_decay_{t:g}", "multi_step_decay(x, y, [5, 12], gamma = 0.5)",
                     lambda x, y: y * 0.5 ** ((x >= 5).double() + (x >= 12).double()), at, rate)
        yield binary(f"polynomial_decay_{t:g}", "polynomial_decay(x, y, 10, power = 2)",
                     lambda x, y: y * torch.clamp(1 - x / 10, min=0) ** 2, at, rate)
        yield binary(f"inverse_sqrt_{t:g}", "inverse_sqrt(x, y, 5)",
                     lambda x, y: y * torch.minimum((x + 1) / 5, (5 / (x + 1)).sqrt()), at, rate)
        yield binary(f"cosine_restarts_{t:g}", "cosine_restarts(x, y, 5, least = 0.1)",
                     lambda x, y: 0.1 + (y - 0.1) * (1 + torch.cos(torch.pi * (x % 5) / 5)) / 2, at, rate)
        yield binary(f"cyclic_{t:g}", "cyclic(x, 0.1, y, 4)",
                     lambda x, y: 0.1 + (y - 0.1) * torch.clamp(1 - (x / 4 - 2 * torch.floor(1 + x / 8) + 1).abs(), min=0), at, rate)


def gradients(outputs, inputs, cotangents, create_graph):
    found = torch.autograd.grad(outputs, inputs, cotangents, create_graph=create_graph, allow_unused=True)
    # PyTorch may hand back None, or a zero without storage; adding it to zeros gives numbers.
    return [torch.zeros_like(x) if g is None else torch.zeros_like(x) + g for x, g in zip(inputs, found)]


def write_case(out, case):
    name, expression, function, inputs, order = case
    letters = "xyz"
    inputs = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    tracked = {letter: x for letter, x in zip(letters, inputs) if x.requires_grad}
    variables = list(tracked.values())
    value = function(*inputs)
    cotangent = random(*value.shape) if value.dim() else torch.tensor(1.25)
    first = gradients([value], variables, [cotangent], create_graph=True)

    out.write(f"case {name}\nexpression {expression}\norder {order}\ninputs {len(inputs)}\n")
    for letter, x in zip(letters, inputs):
        out.write(tensor_lines(letter, x, "grad" if x.requires_grad else "fixed"))
    out.write(tensor_lines("value", value, "expected"))
    out.write(tensor_lines("cotangent", cotangent, "fixed"))
    for letter, gradient in zip(tracked, first):
        out.write(tensor_lines(f"first_{letter}", gradient, "expected"))
    if order < 2:
        return
    directions = [random(*x.shape) for x in variables]
    reached = [(g, v) for g, v in zip(first, directions) if g.requires_grad]
    second = [torch.zeros_like(x) for x in variables]
    if reached:
        second = gradients([g for g, _ in reached], variables, [v for _, v in reached], create_graph=False)
    for letter, direction, gradient in zip(tracked, directions, second):
        out.write(tensor_lines(f"direction_{letter}", direction, "fixed"))
        out.write(tensor_lines(f"second_{letter}", gradient, "expected"))


if __name__ == "__main__":
    # In parts, so that what is added to the last leaves the random numbers of the others as they are.
    parts = [(scalar_cases, binary_cases, reduction_cases, loss_cases, edge_cases),
             (activation_cases, spread_cases, further_loss_cases, kink_cases, layer_cases,
              shape_cases),
             (derivative_cases,),
             (convolution_cases, arrangement_cases),
             (function_cases,),
             (schedule_cases,),
             (weighted_loss_cases, attention_cases),
             (index_cases, further_function_cases, margin_cases, pool_cases, solving_cases, further_layer_cases,
              further_schedule_cases)]
    out = io.StringIO()
    count = 0
    for part in parts:
        for case in [case for cases in part for case in cases()]:
            write_case(out, case)
            count += 1
    with open("tests/oracle/primitives.txt", "w", newline="\n") as file:
        file.write(f"cases {count}\n{out.getvalue()}")

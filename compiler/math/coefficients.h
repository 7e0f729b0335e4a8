// Polynomials, lowest power first, by tests/oracle/coefficients.py: not to be edited.
#ifndef GRADC_MATH_COEFFICIENTS_H
#define GRADC_MATH_COEFFICIENTS_H
// clang-format off

// (exp(x) - 1 - x) / x^2 for |x| <= ln(2)/2
static const double EXP_f32[] = {
    0x1.0000000000000p-1, 0x1.5554dc0000000p-3, 0x1.5555180000000p-5, 0x1.120be20000000p-7,
    0x1.6d117c0000000p-10,
};
static const double EXP_f64[] = {
    0x1.0000000000001p-1, 0x1.5555555555556p-3, 0x1.5555555553d37p-5, 0x1.11111111109a6p-7,
    0x1.6c16c1789d1d7p-10, 0x1.a01a01a7cebcdp-13, 0x1.a019b8ca26fcfp-16, 0x1.71de0d85293b8p-19,
    0x1.2891d4ffbb0f9p-22, 0x1.af390ba7e6f47p-26,
};
// (log(1 + x) - x) / x^2 for 1 + x from sqrt(1/2) to sqrt(2)
static const double LOG_f32[] = {
    -0x1.0000000000000p-1, 0x1.55554e0000000p-2, -0x1.0000080000000p-2, 0x1.99a1300000000p-3,
    -0x1.5559e60000000p-3, 0x1.237a560000000p-3, -0x1.fcc1ae0000000p-4, 0x1.e3d33a0000000p-4,
    -0x1.d962f20000000p-4, 0x1.15425c0000000p-4,
};
// (log((1 + s) / (1 - s)) - 2 s) / s^3 in s^2, for |s| <= 0.1716
static const double LOG_ODD_f64[] = {
    0x1.5555555555555p-1, 0x1.9999999999a38p-2, 0x1.2492492476ba1p-2, 0x1.c71c72017a15cp-3,
    0x1.745cf8f6c9119p-3, 0x1.3b1c38474d3eep-3, 0x1.0fbe478772696p-3, 0x1.0c06cf14c641bp-3,
};
// (log((1 + s) / (1 - s)) - 2 s - 2/3 s^3) / s^5 in s^2
static const double LOG_TAIL_f64[] = {
    0x1.999999999999ap-2, 0x1.2492492492491p-2, 0x1.c71c71c71cfdep-3, 0x1.745d174512f5ep-3,
    0x1.3b13b1bcae4fap-3, 0x1.1110df9bb9145p-3, 0x1.e1f80050fe02dp-4, 0x1.ac4a0689e4f11p-4,
    0x1.b8d8d83f51283p-4,
};
// (sin(x) - x) / x^3 in x^2, for |x| <= pi/4
static const double SIN_f32[] = {
    -0x1.5555520000000p-3, 0x1.110c240000000p-7, -0x1.9ac6fc0000000p-13,
};
static const double SIN_f64[] = {
    -0x1.5555555555555p-3, 0x1.1111111111110p-7, -0x1.a01a01a019926p-13, 0x1.71de3a545e700p-19,
    -0x1.ae64540f0ba18p-26, 0x1.61217c1864fa1p-33, -0x1.ab161757f0c63p-41,
};
// (cos(x) - 1 + x^2/2) / x^4 in x^2, for |x| <= pi/4
static const double COS_f32[] = {
    0x1.5555540000000p-5, -0x1.6c12ce0000000p-10, 0x1.9bd6700000000p-16,
};
static const double COS_f64[] = {
    0x1.5555555555555p-5, -0x1.6c16c16c16c16p-10, 0x1.a01a01a019d02p-16, -0x1.27e4fb7711e1dp-22,
    0x1.1eed8de9ef73ep-29, -0x1.9394b76d1f265p-37, 0x1.ab76cf6e9b365p-45,
};
// (atan(x) - x) / x^3 in x^2, for |x| <= tan(pi/8)
static const double ATAN_f32[] = {
    -0x1.5555540000000p-2, 0x1.9997300000000p-3, -0x1.241ffa0000000p-3, 0x1.b80b480000000p-4,
    -0x1.08351c0000000p-4,
};
static const double ATAN_f64[] = {
    -0x1.5555555555555p-2, 0x1.9999999999953p-3, -0x1.249249248d768p-3, 0x1.c71c71c2fe5d9p-4,
    -0x1.745d165cb83aap-4, 0x1.3b1392b641b06p-4, -0x1.110e858a72e28p-4, 0x1.e199da4156fd9p-5,
    -0x1.ac78ec6b8cb98p-5, 0x1.74d64aa665b0ap-5, -0x1.1b2058fb5da30p-5, 0x1.0aa87c56e3eb5p-6,
};
// -log(erfc(x)) / x, f32: for x from 0 to 4, f64: to 6; closest where it matters to erf
static const double ERF_f32[] = {
    0x1.20dd760000000p+0, 0x1.45f2fa0000000p-1, 0x1.a4fa5c0000000p-4, -0x1.39cd9a0000000p-6,
    -0x1.508c940000000p-13, 0x1.b506600000000p-10, -0x1.4bd10e0000000p-11, 0x1.ed7d6e0000000p-14,
    -0x1.36a6f40000000p-17,
};
static const double ERF_f64[] = {
    0x1.20dd750429b6dp+0, 0x1.45f306dc9c898p-1, 0x1.a4f4e2a1b1f2ep-4, -0x1.39668593d2601p-6,
    -0x1.b6b68c0901940p-13, 0x1.bca67be70bb8ap-10, -0x1.3565506ca94b6p-11, 0x1.b22c1f3e9d25ap-16,
    0x1.0e7f5db4a31dbp-14, -0x1.f2add12f051cep-16, 0x1.c93749e4097e2p-19, 0x1.7ca6ceb1dce44p-19,
    -0x1.d3bec15981adfp-20, 0x1.69fab8757aea4p-22, 0x1.258c7f2dc5d0cp-23, -0x1.2fe31233901e4p-23,
    0x1.19de6a3c18fb4p-24, -0x1.6787b0e6f3b08p-26, 0x1.56cd1a7864474p-28, -0x1.f2406cdefe7e2p-31,
    0x1.11df348be34b3p-33, -0x1.ba80f65abaa2bp-37, 0x1.f06db4f49c606p-41, -0x1.599f640eb53c9p-45,
    0x1.c1dc17a22cfacp-51,
};

// clang-format on
#endif

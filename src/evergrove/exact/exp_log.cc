// exp: x = k ln 2 + r with |r| <= ln 2 / 2. r comes from subtracting k ln 2 in two parts, the
// first of which has so few bits that its product with k is exact. exp(r) is the Taylor
// polynomial to r^13 (what is left out is below 0.05 ulp), of which 1 is added last; then the
// result is multiplied by 2^k in two steps, so that it may become subnormal or infinite.
//
// log: x = 2^k m with m in [sqrt 1/2, sqrt 2), f = m - 1, s = f / (2 + f), and
// log(1 + f) = 2 atanh(s) = f - (f^2/2 - s (f^2/2 + R)), where R is the series of atanh from s^3.
//
// The scalar and the SIMD code do the same operations in the same order; a sum of products is
// written as such, never as a fused multiply-add.
// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/exact/exp_log.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include "evergrove/exact/exp-inl.h"
#include "evergrove/exact/exp_log.h"

#ifndef EVERGROVE_EXACT_LOG_CONSTANTS
#define EVERGROVE_EXACT_LOG_CONSTANTS

#include <cstdint>
#include <limits>

namespace evergrove::exact::log_constants {

constexpr double kTwo54 = 0x1p54;  // makes a subnormal number normal
// Adding what is missing from sqrt(1/2) to 1 lets the exponent say whether m is below it.
constexpr uint64_t kOne = 0x3ff0000000000000;
constexpr uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
constexpr uint64_t kMantissa = 0x000fffffffffffff;

}  // namespace evergrove::exact::log_constants

#endif  // EVERGROVE_EXACT_LOG_CONSTANTS

HWY_BEFORE_NAMESPACE();
namespace evergrove::exact::HWY_NAMESPACE {

// Runs a vector function over spans of any length; the tail goes through a padded buffer, so that
// every element sees the same code.
template <typename Function>
HWY_INLINE void map(const double* in, double* out, size_t size, Function function) {
  const hn::ScalableTag<double> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= size; i += lanes) hn::StoreU(function(hn::LoadU(d, in + i)), d, out + i);
  if (i == size) return;
  HWY_ALIGN double tail[HWY_MAX_BYTES / sizeof(double)] = {};
  for (size_t j = i; j < size; ++j) tail[j - i] = in[j];
  hn::Store(function(hn::Load(d, tail)), d, tail);
  for (size_t j = i; j < size; ++j) out[j] = tail[j - i];
}

// The operations of the scalar log, special cases last.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V vector_log(D d, V x_in) {
  using namespace log_constants;  // NOLINT(google-build-using-namespace)
  const hn::RebindToUnsigned<D> du;
  const auto number = [&](double value) HWY_ATTR { return hn::Set(d, value); };
  const auto is_small = hn::Lt(x_in, number(std::numeric_limits<double>::min()));
  const V x = hn::IfThenElse(is_small, hn::Mul(x_in, number(kTwo54)), x_in);
  const auto bits = hn::Add(hn::BitCast(du, x), hn::Set(du, kOne - kSqrtHalf));
  // The exponent as a double: the low bits of 2^52, less 2^52 and its own bias.
  const V biased =
      hn::BitCast(d, hn::Or(hn::ShiftRight<52>(bits), hn::BitCast(du, number(0x1p52))));
  const V k =
      hn::Sub(biased, hn::IfThenElse(is_small, number(0x1p52 + 1023 + 54), number(0x1p52 + 1023)));
  const V m =
      hn::BitCast(d, hn::Add(hn::And(bits, hn::Set(du, kMantissa)), hn::Set(du, kSqrtHalf)));

  const V f = hn::Sub(m, number(1.0));
  const V half_f2 = hn::Mul(hn::Mul(number(0.5), f), f);
  const V s = hn::Div(f, hn::Add(number(2.0), f));
  const V z = hn::Mul(s, s);
  V series = hn::Zero(d);
  for (int n = 11; n >= 1; --n) {
    series = hn::Add(number(2.0 / (2 * n + 1)), hn::Mul(z, series));
  }
  const V low = hn::Add(hn::Mul(s, hn::Add(half_f2, hn::Mul(z, series))),
                        hn::Mul(k, number(exp_constants::kLn2Low)));
  V result =
      hn::Sub(hn::Mul(k, number(exp_constants::kLn2High)), hn::Sub(hn::Sub(half_f2, low), f));
  result = hn::IfThenElse(hn::Gt(x_in, number(std::numeric_limits<double>::max())), x_in, result);
  result = hn::IfThenElse(hn::Eq(x_in, hn::Zero(d)),
                          number(-std::numeric_limits<double>::infinity()), result);
  return hn::IfThenElse(hn::Ge(x_in, hn::Zero(d)), result,
                        number(std::numeric_limits<double>::quiet_NaN()));
}

void exp_span(const double* in, double* out, size_t size) {
  const hn::ScalableTag<double> d;
  map(in, out, size, [&](auto x) HWY_ATTR { return vector_exp(d, x); });
}

void log_span(const double* in, double* out, size_t size) {
  const hn::ScalableTag<double> d;
  map(in, out, size, [&](auto x) HWY_ATTR { return vector_log(d, x); });
}

void sigmoid_span(const double* in, double* out, size_t size) {
  const hn::ScalableTag<double> d;
  map(in, out, size, [&](auto x) HWY_ATTR { return vector_sigmoid(d, x); });
}

}  // namespace evergrove::exact::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <bit>
#include <limits>

#include "evergrove/base/check.h"

namespace evergrove::exact {

double exp(double x) {
  using namespace exp_constants;  // NOLINT(google-build-using-namespace)
  if (x != x) return std::numeric_limits<double>::quiet_NaN();
  x = x < kLowest ? kLowest : x;
  x = x > kHighest ? kHighest : x;
  const double shifted = x * kLog2E + kShift;
  const int64_t k = static_cast<int64_t>(std::bit_cast<uint64_t>(shifted) - kShiftBits);
  const double k_number = shifted - kShift;
  const double r = (x - k_number * kLn2High) - k_number * kLn2Low;

  const double r2 = r * r;
  const double r4 = r2 * r2;
  const double p01 = kC2 + kC3 * r;
  const double p23 = kC4 + kC5 * r;
  const double p45 = kC6 + kC7 * r;
  const double p67 = kC8 + kC9 * r;
  const double p89 = kC10 + kC11 * r;
  const double pab = kC12 + kC13 * r;
  const double p03 = p01 + p23 * r2;
  const double p47 = p45 + p67 * r2;
  const double p8b = p89 + pab * r2;
  const double p = p03 + (p47 + p8b * r4) * r4;
  const double exp_r = 1.0 + (r + r2 * p);

  const int64_t k_half = k >> 1;
  const auto power_of_two = [](int64_t exponent) {
    return std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
  };
  return exp_r * power_of_two(k_half) * power_of_two(k - k_half);
}

double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

double log(double x) {
  using namespace log_constants;  // NOLINT(google-build-using-namespace)
  if (x != x || x < 0) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0) return -std::numeric_limits<double>::infinity();
  if (x > std::numeric_limits<double>::max()) return x;
  int64_t k = 0;
  if (x < std::numeric_limits<double>::min()) {
    x *= kTwo54;
    k = -54;
  }
  const uint64_t bits = std::bit_cast<uint64_t>(x) + (kOne - kSqrtHalf);
  k += static_cast<int64_t>(bits >> 52) - 1023;
  const double m = std::bit_cast<double>((bits & kMantissa) + kSqrtHalf);

  const double f = m - 1.0;
  const double half_f2 = 0.5 * f * f;
  const double s = f / (2.0 + f);
  const double z = s * s;
  double series = 0;  // 2/3 + 2/5 z + ... + 2/23 z^10
  for (int n = 11; n >= 1; --n) series = 2.0 / (2 * n + 1) + z * series;
  const double k_number = static_cast<double>(k);
  const double low = s * (half_f2 + z * series) + k_number * exp_constants::kLn2Low;
  return k_number * exp_constants::kLn2High - ((half_f2 - low) - f);
}

HWY_EXPORT(exp_span);
HWY_EXPORT(log_span);
HWY_EXPORT(sigmoid_span);

void exp(std::span<const double> in, std::span<double> out) {
  CHECK(in.size() == out.size());
  HWY_DYNAMIC_DISPATCH(exp_span)(in.data(), out.data(), in.size());
}

void log(std::span<const double> in, std::span<double> out) {
  CHECK(in.size() == out.size());
  HWY_DYNAMIC_DISPATCH(log_span)(in.data(), out.data(), in.size());
}

void sigmoid(std::span<const double> in, std::span<double> out) {
  CHECK(in.size() == out.size());
  HWY_DYNAMIC_DISPATCH(sigmoid_span)(in.data(), out.data(), in.size());
}

}  // namespace evergrove::exact

#endif  // HWY_ONCE

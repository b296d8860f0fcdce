// exp and sigmoid of a whole vector, for kernels that are compiled once a SIMD target.
//
// Included again for every target by Highway's foreach_target.h; the same bits as exact::exp.
// exp_log.cc has the algorithm.
// SPDX-License-Identifier: Apache-2.0

#ifndef EVERGROVE_EXACT_EXP_CONSTANTS
#define EVERGROVE_EXACT_EXP_CONSTANTS

#include <cstdint>
#include <limits>

namespace evergrove::exact::exp_constants {

inline constexpr double kLowest = -746.0;  // exp is 0 from here down
inline constexpr double kHighest = 710.0;  // exp is infinite from here up
inline constexpr double kLog2E = 0x1.71547652b82fep+0;
inline constexpr double kLn2High = 0x1.62e42feep-1;  // 32 bits, so that k * kLn2High is exact
inline constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
// Adding it rounds to an integer, which is then in the low bits: 1.5 * 2^52.
inline constexpr double kShift = 6755399441055744.0;
inline constexpr uint64_t kShiftBits = 0x4338000000000000;
// 1 / n!
inline constexpr double kC2 = 1.0 / 2;
inline constexpr double kC3 = 1.0 / 6;
inline constexpr double kC4 = 1.0 / 24;
inline constexpr double kC5 = 1.0 / 120;
inline constexpr double kC6 = 1.0 / 720;
inline constexpr double kC7 = 1.0 / 5040;
inline constexpr double kC8 = 1.0 / 40320;
inline constexpr double kC9 = 1.0 / 362880;
inline constexpr double kC10 = 1.0 / 3628800;
inline constexpr double kC11 = 1.0 / 39916800;
inline constexpr double kC12 = 1.0 / 479001600;
inline constexpr double kC13 = 1.0 / 6227020800;

}  // namespace evergrove::exact::exp_constants

#endif  // EVERGROVE_EXACT_EXP_CONSTANTS

#if defined(EVERGROVE_EXACT_EXP_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef EVERGROVE_EXACT_EXP_INL
#undef EVERGROVE_EXACT_EXP_INL
#else
#define EVERGROVE_EXACT_EXP_INL
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace evergrove::exact::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V = hn::Vec<D>>
HWY_INLINE V vector_exp(D d, V x_in) {
  using namespace exp_constants;  // NOLINT(google-build-using-namespace)
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const auto number = [&](double value) HWY_ATTR { return hn::Set(d, value); };

  V x = hn::IfThenElse(hn::Lt(x_in, number(kLowest)), number(kLowest), x_in);
  x = hn::IfThenElse(hn::Gt(x, number(kHighest)), number(kHighest), x);
  const V shifted = hn::Add(hn::Mul(x, number(kLog2E)), number(kShift));
  const auto k = hn::BitCast(di, hn::Sub(hn::BitCast(du, shifted), hn::Set(du, kShiftBits)));
  const V k_number = hn::Sub(shifted, number(kShift));
  const V r =
      hn::Sub(hn::Sub(x, hn::Mul(k_number, number(kLn2High))), hn::Mul(k_number, number(kLn2Low)));

  // a + b * c, rounded twice.
  const auto add_product = [](V a, V b, V c) HWY_ATTR { return hn::Add(a, hn::Mul(b, c)); };
  const V r2 = hn::Mul(r, r);
  const V r4 = hn::Mul(r2, r2);
  const V p01 = add_product(number(kC2), number(kC3), r);
  const V p23 = add_product(number(kC4), number(kC5), r);
  const V p45 = add_product(number(kC6), number(kC7), r);
  const V p67 = add_product(number(kC8), number(kC9), r);
  const V p89 = add_product(number(kC10), number(kC11), r);
  const V pab = add_product(number(kC12), number(kC13), r);
  const V p03 = add_product(p01, p23, r2);
  const V p47 = add_product(p45, p67, r2);
  const V p8b = add_product(p89, pab, r2);
  const V p = add_product(p03, add_product(p47, p8b, r4), r4);
  const V exp_r = hn::Add(number(1.0), add_product(r, r2, p));

  // k >> 1 of a negative k: made positive first, for there is no arithmetic 64-bit shift in SSE.
  const auto k_half =
      hn::Sub(hn::BitCast(di, hn::ShiftRight<1>(hn::BitCast(du, hn::Add(k, hn::Set(di, 4096))))),
              hn::Set(di, 2048));
  const auto power_of_two = [&](auto exponent) HWY_ATTR {
    return hn::BitCast(d, hn::ShiftLeft<52>(hn::Add(exponent, hn::Set(di, 1023))));
  };
  const V result = hn::Mul(hn::Mul(exp_r, power_of_two(k_half)), power_of_two(hn::Sub(k, k_half)));
  return hn::IfThenElse(hn::Eq(x_in, x_in), result,
                        number(std::numeric_limits<double>::quiet_NaN()));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V vector_sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0);
  const V minus_x = hn::BitCast(d, hn::Xor(hn::BitCast(hn::RebindToUnsigned<D>(), x),
                                           hn::Set(hn::RebindToUnsigned<D>(), uint64_t{1} << 63)));
  return hn::Div(one, hn::Add(one, vector_exp(d, minus_x)));
}

}  // namespace evergrove::exact::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard

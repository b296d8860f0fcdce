// A number x is rounded by adding noise that is uniform in (-1/2, 1/2) and rounding to nearest:
// up with the probability of its fraction. The noise is never closer to +-1/2 than 2^-33, so that
// a whole number stays what it is. Adding 1.5 * 2^52 rounds, and leaves the integer in the low
// bits, where it is cut out as two's complement.
// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/train/gradient_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include "evergrove/base/hash.h"
#include "evergrove/train/gradient_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::train::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<double>;
using U = hn::RebindToUnsigned<D>;
using VD = hn::Vec<D>;
using VU = hn::Vec<U>;

// The low 64 bits of a product of 64-bit numbers, from products of 32-bit halves.
HWY_INLINE VU multiply(VU a, VU b) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  const U d;
  HWY_ALIGN uint64_t x[HWY_MAX_BYTES / 8];
  HWY_ALIGN uint64_t y[HWY_MAX_BYTES / 8];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  for (size_t i = 0; i < hn::Lanes(d); ++i) x[i] *= y[i];
  return hn::Load(d, x);
#else
  const hn::Repartition<uint32_t, U> d32;
  const auto even = [&](VU x) HWY_ATTR { return hn::BitCast(d32, x); };
  const VU low = hn::MulEven(even(a), even(b));
  const VU cross = hn::Add(hn::MulEven(even(hn::ShiftRight<32>(a)), even(b)),
                           hn::MulEven(even(a), even(hn::ShiftRight<32>(b))));
  return hn::Add(low, hn::ShiftLeft<32>(cross));
#endif
}

// mix64() of base/hash.h.
HWY_INLINE VU mix(VU x) {
  const U d;
  x = hn::Xor(x, hn::ShiftRight<30>(x));
  x = multiply(x, hn::Set(d, 0xbf58476d1ce4e5b9ULL));
  x = hn::Xor(x, hn::ShiftRight<27>(x));
  x = multiply(x, hn::Set(d, 0x94d049bb133111ebULL));
  return hn::Xor(x, hn::ShiftRight<31>(x));
}

// 32 random bits, at bits 20 to 51, as noise in (-1/2, 1/2).
HWY_INLINE VD noise(VU bits) {
  const D d;
  const U du;
  const VU mantissa = hn::And(bits, hn::Set(du, 0x000ffffffff00000ULL));
  const VD one_to_two = hn::BitCast(d, hn::Or(mantissa, hn::Set(du, 0x3ff0000000000000ULL)));
  return hn::Sub(one_to_two, hn::Set(d, 0x1.7fffffff8p+0));  // 1.5 - 2^-33
}

template <bool kWide, typename Pair>
HWY_INLINE RoundingTally round(const double* g, const double* h, uint64_t key, uint64_t first_row,
                               size_t count, Pair* out) {
  const D d;
  const U du;
  const size_t lanes = hn::Lanes(d);
  constexpr double kMax = kWide ? trees::kWideMax : trees::kNarrowMax;
  const VD max = hn::Set(d, kMax);
  const VD minus_max = hn::Set(d, -kMax);
  const VD narrow_max = hn::Set(d, trees::kNarrowMax);
  const VD shift = hn::Set(d, 6755399441055744.0);  // 1.5 * 2^52
  const VU shift_bits = hn::Set(du, 0x4338000000000000ULL);
  const VU field = hn::Set(du, kWide ? 0xffffffffULL : 0xffffULL);
  const auto rounded = [&](VD x) HWY_ATTR { return hn::BitCast(du, hn::Add(x, shift)); };

  HWY_ALIGN uint64_t counters[HWY_MAX_BYTES / 8];
  for (size_t i = 0; i < lanes; ++i) {
    counters[i] = key + RandomKey::kGamma * (first_row + i + 1);
  }
  VU counter = hn::Load(du, counters);
  const VU step = hn::Set(du, RandomKey::kGamma * lanes);
  VU squares = hn::Zero(du);
  VU noise_sum = hn::Zero(du);
  VU large = hn::Zero(du);
  for (size_t i = 0; i < count; i += lanes) {
    const VU hash = mix(counter);
    counter = hn::Add(counter, step);
    const VD g_share = hn::Load(d, g + i);
    const VD x = hn::Abs(hn::Mul(g_share, narrow_max));
    squares =
        hn::Add(squares, hn::Sub(rounded(hn::Mul(hn::Mul(x, x), hn::Set(d, 16.0))), shift_bits));
    noise_sum = hn::Add(
        noise_sum,
        hn::Sub(rounded(hn::Mul(hn::Min(x, hn::Set(d, 0.25)), hn::Set(d, 0x1p20))), shift_bits));
    // A mask is all ones, which is -1.
    large =
        hn::Sub(large, hn::BitCast(du, hn::VecFromMask(d, hn::Ge(x, hn::Set(d, kLargeGradient)))));

    const VD g_noise = noise(hn::ShiftRight<12>(hash));
    const VD h_noise = noise(hn::ShiftLeft<20>(hash));
    VD g_noisy = hn::Add(hn::Mul(g_share, max), g_noise);
    VD h_noisy = hn::Add(hn::Mul(hn::Load(d, h + i), max), h_noise);
    if constexpr (kWide) {
      // In narrow units the noise keeps off the bound by far more than the product's error.
      g_noisy = hn::Max(hn::Min(g_noisy, max), minus_max);
      h_noisy = hn::Min(h_noisy, max);
    }
    const VU g_bits = hn::And(rounded(g_noisy), field);
    const VU h_bits = hn::And(rounded(h_noisy), field);
    const VU words = hn::Or(g_bits, hn::ShiftLeft<(kWide ? 32 : 16)>(h_bits));
    if constexpr (kWide) {
      hn::StoreU(words, du, reinterpret_cast<uint64_t*>(out + i));
    } else {
      const hn::Rebind<uint32_t, D> half;
      hn::StoreU(hn::TruncateTo(half, words), half, reinterpret_cast<uint32_t*>(out + i));
    }
  }

  RoundingTally tally;
  HWY_ALIGN uint64_t sums[HWY_MAX_BYTES / 8];
  const auto sum_of = [&](VU v) HWY_ATTR {
    hn::Store(v, du, sums);
    uint64_t sum = 0;
    for (size_t i = 0; i < lanes; ++i) sum += sums[i];
    return sum;
  };
  tally.squares = sum_of(squares);
  tally.noise = sum_of(noise_sum);
  tally.large_rows = sum_of(large);
  return tally;
}

RoundingTally to_narrow(const double* g, const double* h, uint64_t key, uint64_t first_row,
                        size_t count, trees::NarrowGradient* out) {
  return round<false>(g, h, key, first_row, count, out);
}

RoundingTally to_wide(const double* g, const double* h, uint64_t key, uint64_t first_row,
                      size_t count, trees::WideGradient* out) {
  return round<true>(g, h, key, first_row, count, out);
}

}  // namespace evergrove::train::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include "evergrove/base/check.h"

namespace evergrove::train {

HWY_EXPORT(to_narrow);
HWY_EXPORT(to_wide);

// A pair is its g in the lower half of a word and its h in the upper one.
static_assert(sizeof(trees::NarrowGradient) == 4 && sizeof(trees::WideGradient) == 8);

RoundingTally round_narrow(const double* g, const double* h, uint64_t key, uint64_t first_row,
                           size_t count, trees::NarrowGradient* out) {
  CHECK(count % kKernelRows == 0);
  return HWY_DYNAMIC_DISPATCH(to_narrow)(g, h, key, first_row, count, out);
}

RoundingTally round_wide(const double* g, const double* h, uint64_t key, uint64_t first_row,
                         size_t count, trees::WideGradient* out) {
  CHECK(count % kKernelRows == 0);
  return HWY_DYNAMIC_DISPATCH(to_wide)(g, h, key, first_row, count, out);
}

}  // namespace evergrove::train

#endif  // HWY_ONCE

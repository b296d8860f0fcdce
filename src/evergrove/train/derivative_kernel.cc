// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "evergrove/train/derivative_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
//
#include "evergrove/train/derivative_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace evergrove::train::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<double>;
using I = hn::RebindToSigned<D>;

// Calls back with where each vector starts, then with the last rows one by one.
template <typename Vector, typename Row>
HWY_INLINE void for_each_row(size_t count, const Vector& vector, const Row& row) {
  const size_t lanes = hn::Lanes(D());
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) vector(i);
  for (; i < count; ++i) row(i);
}

void scale_margins(const int64_t* margins, double unit, size_t count, double* out) {
  const D d;
  const I di;
  for_each_row(
      count,
      [&](size_t i) HWY_ATTR {
        const auto margin = hn::ConvertTo(d, hn::LoadU(di, margins + i));
        hn::StoreU(hn::Mul(margin, hn::Set(d, unit)), d, out + i);
      },
      [&](size_t i) { out[i] = static_cast<double>(margins[i]) * unit; });
}

void scale_margins_below(const int64_t* margins, const int64_t* largest, double unit, size_t count,
                         double* out) {
  const D d;
  const I di;
  for_each_row(
      count,
      [&](size_t i) HWY_ATTR {
        const auto below = hn::Sub(hn::LoadU(di, margins + i), hn::LoadU(di, largest + i));
        hn::StoreU(hn::Mul(hn::ConvertTo(d, below), hn::Set(d, unit)), d, out + i);
      },
      [&](size_t i) { out[i] = static_cast<double>(margins[i] - largest[i]) * unit; });
}

void raise_to_largest(const int64_t* margins, size_t count, int64_t* largest) {
  const I di;
  for_each_row(
      count,
      [&](size_t i) HWY_ATTR {
        const auto larger = hn::Max(hn::LoadU(di, margins + i), hn::LoadU(di, largest + i));
        hn::StoreU(larger, di, largest + i);
      },
      [&](size_t i) { largest[i] = largest[i] < margins[i] ? margins[i] : largest[i]; });
}

HWY_INLINE hn::Vec<D> residuals_at(const int64_t* margins, const double* targets, double unit,
                                   double most) {
  const D d;
  const auto margin = hn::Mul(hn::ConvertTo(d, hn::LoadU(I(), margins)), hn::Set(d, unit));
  const auto residual = hn::Sub(margin, hn::LoadU(d, targets));
  return hn::Min(hn::Max(residual, hn::Set(d, -most)), hn::Set(d, most));
}
HWY_INLINE double residual_at(int64_t margin, double target, double unit, double most) {
  const double residual = static_cast<double>(margin) * unit - target;
  return residual < -most ? -most : (residual > most ? most : residual);
}

void scaled_residuals(const int64_t* margins, const double* targets, double unit, double most,
                      double share, size_t count, double* g) {
  const D d;
  for_each_row(
      count,
      [&](size_t i) HWY_ATTR {
        const auto residuals = residuals_at(margins + i, targets + i, unit, most);
        hn::StoreU(hn::Mul(residuals, hn::Set(d, share)), d, g + i);
      },
      [&](size_t i) { g[i] = residual_at(margins[i], targets[i], unit, most) * share; });
}

double largest_of_residuals(const int64_t* margins, const double* targets, double unit, double most,
                            size_t count) {
  const D d;
  auto largest = hn::Zero(d);
  double last = 0;
  for_each_row(
      count,
      [&](size_t i) HWY_ATTR {
        const auto residuals = residuals_at(margins + i, targets + i, unit, most);
        largest = hn::Max(largest, hn::Abs(residuals));
      },
      [&](size_t i) {
        const double residual = residual_at(margins[i], targets[i], unit, most);
        last = HWY_MAX(last, residual < 0 ? -residual : residual);
      });
  return HWY_MAX(last, hn::GetLane(hn::MaxOfLanes(d, largest)));
}

template <bool kScales>
HWY_INLINE void to_gradients(const double* shares, const double* scales, const uint16_t* classes,
                             uint16_t output, size_t count, double* g, double* h) {
  const D d;
  const I di;
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> d16;
  const hn::Rebind<uint32_t, D> d32;
  const auto one = hn::Set(d, 1.0);
  const auto own = hn::Set(di, output);
  for_each_row(
      count,
      [&](size_t i) HWY_ATTR {
        auto p = hn::LoadU(d, shares + i);
        if constexpr (kScales) p = hn::Min(one, hn::Mul(p, hn::LoadU(d, scales + i)));
        const auto row_class =
            hn::BitCast(di, hn::PromoteTo(du, hn::PromoteTo(d32, hn::LoadU(d16, classes + i))));
        const auto label = hn::IfThenElseZero(hn::RebindMask(d, hn::Eq(row_class, own)), one);
        hn::StoreU(hn::Sub(p, label), d, g + i);
        hn::StoreU(hn::Mul(hn::Set(d, 4.0), hn::Mul(p, hn::Sub(one, p))), d, h + i);
      },
      [&](size_t i) {
        double p = shares[i];
        if constexpr (kScales) p = p * scales[i] < 1.0 ? p * scales[i] : 1.0;
        g[i] = p - (classes[i] == output ? 1.0 : 0.0);
        h[i] = 4.0 * (p * (1.0 - p));
      });
}

void shares_to_gradients(const double* shares, const uint16_t* classes, uint16_t output,
                         size_t count, double* g, double* h) {
  to_gradients<false>(shares, nullptr, classes, output, count, g, h);
}
void scaled_to_gradients(const double* shares, const double* scales, const uint16_t* classes,
                         uint16_t output, size_t count, double* g, double* h) {
  to_gradients<true>(shares, scales, classes, output, count, g, h);
}

}  // namespace evergrove::train::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace evergrove::train {

HWY_EXPORT(scale_margins);
HWY_EXPORT(scale_margins_below);
HWY_EXPORT(raise_to_largest);
HWY_EXPORT(scaled_residuals);
HWY_EXPORT(largest_of_residuals);
HWY_EXPORT(shares_to_gradients);
HWY_EXPORT(scaled_to_gradients);

void scale_margins(const int64_t* margins, double unit, size_t count, double* out) {
  HWY_DYNAMIC_DISPATCH(scale_margins)(margins, unit, count, out);
}

void scale_margins_below(const int64_t* margins, const int64_t* largest, double unit, size_t count,
                         double* out) {
  HWY_DYNAMIC_DISPATCH(scale_margins_below)(margins, largest, unit, count, out);
}

void raise_to_largest(const int64_t* margins, size_t count, int64_t* largest) {
  HWY_DYNAMIC_DISPATCH(raise_to_largest)(margins, count, largest);
}

void residuals_to_gradients(const int64_t* margins, const double* targets, double unit, double most,
                            double share, size_t count, double* g) {
  HWY_DYNAMIC_DISPATCH(scaled_residuals)(margins, targets, unit, most, share, count, g);
}

double largest_residual(const int64_t* margins, const double* targets, double unit, double most,
                        size_t count) {
  return HWY_DYNAMIC_DISPATCH(largest_of_residuals)(margins, targets, unit, most, count);
}

void probabilities_to_gradients(const double* shares, const double* scales, const uint16_t* classes,
                                uint16_t output, size_t count, double* g, double* h) {
  if (scales == nullptr) {
    HWY_DYNAMIC_DISPATCH(shares_to_gradients)(shares, classes, output, count, g, h);
  } else {
    HWY_DYNAMIC_DISPATCH(scaled_to_gradients)(shares, scales, classes, output, count, g, h);
  }
}

}  // namespace evergrove::train

#endif  // HWY_ONCE

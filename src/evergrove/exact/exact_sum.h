// ExactSum: a sum of doubles, and of products of doubles, without any rounding before the end.
//
// Promise: value() is the true sum, rounded once to the nearest double, whatever the order of the
// terms and however they were cut into sums that were merged; equal terms give equal bytes.
// Nothing overflows on the way: a product may exceed the largest double, or be below the least.
// A NaN, or infinities of both signs, make the sum NaN; one infinity makes it infinite.
//
// Costs 1.2 KB, and about 2 ns a double, 4 a product of two, 8 of three. For at most 2^62 terms.
//
//   ExactSum sum;                  sum.add(1e300);  sum.add(1);  sum.add(-1e300);
//   sum.merge(of_another_shard);   double total = sum.value();
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"

namespace evergrove::exact {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

// fraction x 2^exponent, for values beyond the range of doubles; fraction is 0, or its magnitude is
// in [0.5, 1), or it is infinite or NaN.
struct Scaled {
  double fraction = 0;
  int exponent = 0;

  double value() const;
};
Scaled operator/(Scaled a, Scaled b);
Scaled square_root(Scaled a);

class ExactSum {
 public:
  void add(double x);
  void add_product(double a, double b);
  void add_product(double a, double b, float c);
  // Adds each element, or each product of elements at the same place.
  // Requires: spans of equal length.
  void add(std::span<const double> values);
  void add_products(std::span<const double> a, std::span<const double> b);
  void add_products(std::span<const double> a, std::span<const double> b, std::span<const float> c);

  void merge(const ExactSum& other);

  // The sum rounded to the nearest double, ties to even; +0 if it is 0.
  double value() const;
  // The same with an exponent that has no limits.
  Scaled scaled() const;
  // Returns a * b - c * d, rounded once.
  static Scaled difference_of_products(const ExactSum& a, const ExactSum& b, const ExactSum& c,
                                       const ExactSum& d);

  // A flag byte, then the range of words that are not 0: 12 to 40 bytes for terms of like size.
  void encode(ByteWriter& out) const;
  static Result<ExactSum> decode(ByteReader& in);

 private:
  // Limb i counts units of 2^(64 i - kBias). A term adds less than 2^64 to each of up to three
  // limbs, so that no carry has to move before 2^63 terms. The least term is the product of two
  // least doubles and the least float, 2^-2297; the largest is below 2^2176.
  static constexpr int kBias = 2368;
  static constexpr int kLimbCount = 73;
  static constexpr uint8_t kNaN = 1;
  static constexpr uint8_t kPlusInfinity = 2;
  static constexpr uint8_t kMinusInfinity = 4;
  static constexpr uint8_t kNegative = 8;  // in bytes only

  struct Words;  // the sum as one long number
  void add_term(Uint128 magnitude, int exponent, bool negative);
  void add_special(double x);
  double special() const;
  Words words() const;

  std::array<Int128, kLimbCount> limbs_{};
  uint8_t specials_ = 0;
};

}  // namespace evergrove::exact

// A small superaccumulator as in Radford Neal, "Fast exact summation using small and large
// superaccumulators" (2015), with limbs of 64 bits held in 128: a term is an integer times a power
// of two, cut into up to three words that are added to limbs; the other 64 bits of a limb take
// the carries until the sum is read.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/exact/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "evergrove/base/check.h"

namespace evergrove::exact {
namespace {

constexpr int kMantissaBits = 53;
constexpr uint64_t kLowMask = (uint64_t{1} << kMantissaBits) - 1;

// magnitude x 2^exponent. Requires: x is finite.
struct Parts {
  uint64_t magnitude;
  int exponent;
  bool negative;

  explicit Parts(double x) {
    const auto bits = std::bit_cast<uint64_t>(x);
    const int field = static_cast<int>(bits >> 52 & 2047);
    magnitude = (bits & (kLowMask >> 1)) | uint64_t{field != 0} << 52;
    exponent = std::max(field, 1) - 1075;
    negative = bits >> 63;
  }
};

bool is_finite(double x) { return (std::bit_cast<uint64_t>(x) >> 52 & 2047) != 2047; }

// Replaces a number by its negative in two's complement.
void negate(std::span<uint64_t> words) {
  bool carry = true;
  for (uint64_t& word : words) {
    word = ~word + carry;
    carry = carry && word == 0;
  }
}

// The top 64 bits of a long number, of which the highest is set, and whether anything is below.
struct Top {
  uint64_t bits = 0;
  int exponent = 0;  // the number is in [2^(exponent - 1), 2^exponent)
  bool more = false;
};

// Requires: words in units of 2^-bias.
Top top_of(std::span<const uint64_t> words, int bias) {
  size_t top = words.size();
  while (top > 0 && words[top - 1] == 0) --top;
  if (top == 0) return {};
  const int zeros = std::countl_zero(words[top - 1]);
  const uint64_t below = top > 1 ? words[top - 2] : 0;
  Top result;
  result.bits = words[top - 1] << zeros | (zeros > 0 ? below >> (64 - zeros) : 0);
  result.exponent = static_cast<int>(top) * 64 - zeros - bias;
  result.more = below << zeros != 0;
  for (size_t i = 0; i + 2 < top; ++i) result.more |= words[i] != 0;
  return result;
}

// Returns the nearest multiple of 2^-precision to the top as a share of 2^exponent, ties to even.
double rounded(const Top& top, int precision) {
  uint64_t kept = precision == 0 ? 0 : top.bits >> (64 - precision);
  const uint64_t rest = top.bits << precision;
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  kept += rest > kHalf || (rest == kHalf && (top.more || (kept & 1) != 0));
  return std::ldexp(static_cast<double>(kept), -precision);
}

Scaled normal(double fraction, int exponent) {
  if (!is_finite(fraction) || fraction == 0) return {fraction, 0};
  int shift = 0;
  const double share = std::frexp(fraction, &shift);
  return {share, exponent + shift};
}

}  // namespace

double Scaled::value() const { return std::ldexp(fraction, exponent); }

Scaled operator/(Scaled a, Scaled b) {
  return normal(a.fraction / b.fraction, a.exponent - b.exponent);
}

Scaled square_root(Scaled a) {
  const int odd = a.exponent & 1;
  return normal(std::sqrt(a.fraction * (1 + odd)), (a.exponent - odd) / 2);
}

// Magnitude and sign, lowest word first, in units of 2^-kBias.
struct ExactSum::Words {
  std::array<uint64_t, kLimbCount + 2> magnitude;
  bool negative;
};

inline void ExactSum::add_term(Uint128 magnitude, int exponent, bool negative) {
  const int place = exponent + kBias;
  Int128* limb = limbs_.data() + (place >> 6);
  const int shift = place & 63;
  const auto low = static_cast<uint64_t>(magnitude);
  const auto high = static_cast<uint64_t>(magnitude >> 64);
  const Int128 sign = -Int128{negative};
  const auto add_word = [&](int i, uint64_t word) { limb[i] += (Int128{word} ^ sign) - sign; };
  add_word(0, low << shift);
  add_word(1, high << shift | low >> 1 >> (63 - shift));
  add_word(2, high >> 1 >> (63 - shift));
}

void ExactSum::add_special(double x) {
  specials_ |= std::isnan(x) ? kNaN : x > 0 ? kPlusInfinity : kMinusInfinity;
}

double ExactSum::special() const {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (specials_ == kPlusInfinity) return kInfinite;
  if (specials_ == kMinusInfinity) return -kInfinite;
  return std::numeric_limits<double>::quiet_NaN();
}

void ExactSum::add(double x) {
  if (!is_finite(x)) return add_special(x);
  const Parts parts(x);
  add_term(parts.magnitude, parts.exponent, parts.negative);
}

void ExactSum::add_product(double a, double b) {
  if (!is_finite(a) || !is_finite(b)) return add_special(a * b);
  const Parts x(a);
  const Parts y(b);
  add_term(Uint128{x.magnitude} * y.magnitude, x.exponent + y.exponent, x.negative != y.negative);
}

void ExactSum::add_product(double a, double b, float c) {
  if (!is_finite(a) || !is_finite(b) || !is_finite(c)) return add_special(a * b * c);
  const Parts x(a);
  const Parts y(b);
  const Parts z(c);
  const Uint128 product = Uint128{x.magnitude} * y.magnitude;
  const int exponent = x.exponent + y.exponent + z.exponent;
  const bool negative = (x.negative != y.negative) != z.negative;
  // The product has up to 106 bits, with z's 53 (of which the last 29 are 0) up to 159.
  add_term((product & kLowMask) * z.magnitude, exponent, negative);
  add_term((product >> kMantissaBits) * z.magnitude, exponent + kMantissaBits, negative);
}

void ExactSum::add(std::span<const double> values) {
  for (double x : values) add(x);
}

void ExactSum::add_products(std::span<const double> a, std::span<const double> b) {
  CHECK(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) add_product(a[i], b[i]);
}

void ExactSum::add_products(std::span<const double> a, std::span<const double> b,
                            std::span<const float> c) {
  CHECK(a.size() == b.size());
  CHECK(a.size() == c.size());
  for (size_t i = 0; i < a.size(); ++i) add_product(a[i], b[i], c[i]);
}

void ExactSum::merge(const ExactSum& other) {
  for (size_t i = 0; i < kLimbCount; ++i) limbs_[i] += other.limbs_[i];
  specials_ |= other.specials_;
}

ExactSum::Words ExactSum::words() const {
  Words words;
  Int128 carry = 0;
  for (size_t i = 0; i < kLimbCount; ++i) {
    carry += limbs_[i];
    words.magnitude[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
  words.magnitude[kLimbCount] = static_cast<uint64_t>(carry);
  words.magnitude[kLimbCount + 1] = static_cast<uint64_t>(carry >> 64);
  words.negative = carry < 0;
  if (words.negative) negate(words.magnitude);
  return words;
}

double ExactSum::value() const {
  if (specials_ != 0) return special();
  const Words sum = words();
  const Top top = top_of(sum.magnitude, kBias);
  // Numbers below 2^-1021 have fewer bits, down to none.
  const int precision = std::min(kMantissaBits, top.exponent + 1074);
  if (top.bits == 0 || precision < 0) return sum.negative && top.bits != 0 ? -0.0 : 0.0;
  const double magnitude = std::ldexp(rounded(top, precision), top.exponent);
  return sum.negative ? -magnitude : magnitude;
}

Scaled ExactSum::scaled() const {
  if (specials_ != 0) return {special(), 0};
  const Words sum = words();
  const Top top = top_of(sum.magnitude, kBias);
  const double fraction = rounded(top, kMantissaBits);
  return normal(sum.negative ? -fraction : fraction, top.exponent);
}

Scaled ExactSum::difference_of_products(const ExactSum& a, const ExactSum& b, const ExactSum& c,
                                        const ExactSum& d) {
  if ((a.specials_ | b.specials_ | c.specials_ | d.specials_) != 0) {
    return {a.value() * b.value() - c.value() * d.value(), 0};
  }
  constexpr size_t kFactorWords = kLimbCount + 2;
  using Product = std::array<uint64_t, 2 * kFactorWords + 1>;  // two's complement
  const auto product_of = [](const ExactSum& left, const ExactSum& right, bool minus) {
    const Words x = left.words();
    const Words y = right.words();
    Product product{};
    for (size_t i = 0; i < kFactorWords; ++i) {
      if (x.magnitude[i] == 0) continue;
      uint64_t carry = 0;
      for (size_t j = 0; j < kFactorWords; ++j) {
        const Uint128 step = Uint128{x.magnitude[i]} * y.magnitude[j] + product[i + j] + carry;
        product[i + j] = static_cast<uint64_t>(step);
        carry = static_cast<uint64_t>(step >> 64);
      }
      product[i + kFactorWords] = carry;
    }
    if ((x.negative != y.negative) != minus) negate(product);
    return product;
  };
  Product difference = product_of(a, b, false);
  const Product taken = product_of(c, d, true);
  uint64_t carry = 0;
  for (size_t i = 0; i < difference.size(); ++i) {
    const Uint128 step = Uint128{difference[i]} + taken[i] + carry;
    difference[i] = static_cast<uint64_t>(step);
    carry = static_cast<uint64_t>(step >> 64);
  }
  const bool negative = difference.back() >> 63 != 0;
  if (negative) negate(difference);
  const Top top = top_of(difference, 2 * kBias);
  const double fraction = rounded(top, kMantissaBits);
  return normal(negative ? -fraction : fraction, top.exponent);
}

void ExactSum::encode(ByteWriter& out) const {
  const Words sum = words();
  const auto& words = sum.magnitude;
  size_t first = 0;
  while (first < words.size() && words[first] == 0) ++first;
  size_t end = words.size();
  while (end > first && words[end - 1] == 0) --end;
  if (first == end) first = end = 0;
  out.u8(specials_ | (sum.negative ? kNegative : 0));
  out.u8(static_cast<uint8_t>(first)).u8(static_cast<uint8_t>(end - first));
  for (size_t i = first; i < end; ++i) out.u64(words[i]);
}

Result<ExactSum> ExactSum::decode(ByteReader& in) {
  const uint8_t flags = in.u8();
  const size_t first = in.u8();
  const size_t count = in.u8();
  ExactSum sum;
  sum.specials_ = flags & ~kNegative;
  // The last limb stays free, so that sums of what was decoded have room.
  const bool in_range = flags < 2 * kNegative && first + count < kLimbCount;
  for (size_t i = 0; in_range && i < count; ++i) {
    const Int128 word = in.u64();
    sum.limbs_[first + i] = (flags & kNegative) != 0 ? -word : word;
  }
  if (!in.ok() || !in_range) {
    return corrupt("An exact sum is cut off or out of range; send or read it again",
                   {{"flags", std::to_string(flags)},
                    {"first_word", std::to_string(first)},
                    {"word_count", std::to_string(count)}});
  }
  return sum;
}

}  // namespace evergrove::exact

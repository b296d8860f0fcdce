// Ranks: how many of some thresholds lie below each of many numbers.
//
// A binary search without branches, for a vector of numbers at once. The thresholds that each step
// may look at lie side by side, by the rank so far, so that the first steps look them up in
// registers. Thresholds are kept as float32 as well, rounded down, which tells float32 numbers
// apart just as the doubles do.
// Codes are ranks in 8, 16 or 32 bits.
// Immutable after construction; safe to use from many threads. The same ranks in any SIMD width.
//
//   Ranks ranks({0.5, 2});
//   ranks.of(std::span<const float>(values), Ranks::Codes<uint8_t>{.nan_last = out, .nan = 3});
//   // 0 up to 0.5, 1 up to 2, 2 above, 3 for NaN
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace evergrove::exact {

// Where the thresholds of a step begin: 2^step of them, or room for 16.
constexpr size_t ranks_level_start(int step) {
  return step <= 4 ? 16 * static_cast<size_t>(step) : 48 + (size_t{1} << step);
}

class Ranks {
 public:
  // Of NaN, so that one more is 0.
  static constexpr uint32_t kNaN = UINT32_MAX;

  // Thresholds ascend; +infinity may be among them, NaN may not.
  explicit Ranks(std::span<const double> thresholds);

  // How many thresholds are less than each value, as codes; null is not written. Requires:
  // rank + 1 and `nan` fit into a Code.
  template <typename Code>
  struct Codes {
    Code* one_more = nullptr;  // rank + 1, and 0 for NaN
    Code* nan_last = nullptr;  // the rank, and `nan` for NaN
    Code nan = 0;              // no less than any rank
  };
  template <typename Number, typename Code>
  void of(std::span<const Number> values, const Codes<Code>& codes) const;

 private:
  int steps_ = 0;
  std::vector<double> doubles_;  // step by step; +infinity where there is none
  std::vector<float> floats_;
};

}  // namespace evergrove::exact

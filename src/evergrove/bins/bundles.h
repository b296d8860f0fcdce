// Bundles: features of few bins that can share one digit, for in each row at most one of them has
// another bin than its usual one. The columns of a one-hot category are a bundle.
//
// What a feature's bins are in a histogram follows exactly: of the others, from the digit's values
// that stand for them, and of the usual one, what is left of the sum of all.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "evergrove/bins/bin_columns.h"

namespace evergrove::bins {

struct Bundle {
  struct Member {
    uint32_t feature;
    uint8_t usual_bin;
    std::vector<uint8_t> other_bins;  // ascending; those that may be there
    bool operator==(const Member&) const = default;
  };
  std::vector<Member> members;

  // The usual bins of all, or one of the others of one member.
  uint32_t digit_count() const {
    uint32_t count = 1;
    for (const Member& member : members) count += static_cast<uint32_t>(member.other_bins.size());
    return count;
  }
  bool operator==(const Bundle&) const = default;
};

// More bins than these have a cell of their own: sharing saves an addition a row and costs some a
// value of the cell, once for 8,191 rows at most.
inline constexpr uint32_t kSharedBinsMax = 16;

// Each small feature in a bundle of its own, that any rows fit.
std::vector<Bundle> plain_bundles(std::span<const uint32_t> bin_counts);

// The bundles of the small features that these rows fit: bins that no row has are left out, and
// features are together where they can be. Requires: columns of one byte. In parallel, the same for
// any number of threads.
std::vector<Bundle> find_bundles(const BinColumns& columns, std::span<const uint32_t> bin_counts);

}  // namespace evergrove::bins

// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/row_layout.h"

#include <algorithm>

namespace evergrove::bins {
namespace {

constexpr uint32_t kValuesMax = 256;  // of a cell that is shared

}  // namespace

RowLayout::RowLayout(std::span<const uint32_t> bin_counts, std::span<const Bundle> bundles,
                     std::span<const uint32_t> sparse)
    : places_(bin_counts.size()) {
  std::vector<bool> has_cell(bin_counts.size(), true);
  for (uint32_t feature : sparse) has_cell[feature] = false;
  for (const Bundle& bundle : bundles) {
    for (const Bundle::Member& member : bundle.members) has_cell[member.feature] = false;
  }
  for (uint32_t feature = 0; feature < bin_counts.size(); ++feature) {
    if (!has_cell[feature]) continue;
    places_[feature].cell = static_cast<uint32_t>(cells_.size());
    cells_.push_back({feature, bin_counts[feature], {}});
  }
  // The largest first, each where it still fits.
  std::vector<const Bundle*> by_size;
  for (const Bundle& bundle : bundles) by_size.push_back(&bundle);
  std::stable_sort(by_size.begin(), by_size.end(), [](const Bundle* a, const Bundle* b) {
    return a->digit_count() > b->digit_count();
  });
  for (const Bundle* bundle : by_size) share(*bundle);
}

void RowLayout::share(const Bundle& bundle) {
  const uint32_t count = bundle.digit_count();
  size_t cell = 0;
  while (cell < cells_.size() &&
         (!is_shared(cell) || cells_[cell].value_count * count > kValuesMax)) {
    ++cell;
  }
  if (cell == cells_.size()) cells_.emplace_back();
  Cell& to = cells_[cell];
  Digit digit{.unit = to.value_count, .count = count, .members = {}};
  uint32_t start = 1;
  for (const Bundle::Member& member : bundle.members) {
    places_[member.feature] = {static_cast<uint32_t>(cell), static_cast<uint32_t>(to.digits.size()),
                               static_cast<uint32_t>(digit.members.size())};
    digit.members.push_back({member.feature, start, member.usual_bin, member.other_bins});
    start += static_cast<uint32_t>(member.other_bins.size());
  }
  to.value_count *= count;
  to.digits.push_back(std::move(digit));
}

uint32_t RowLayout::bin(size_t feature, uint32_t value) const {
  const Place& place = places_[feature];
  if (!is_shared(place.cell)) return value;
  const Digit& digit = cells_[place.cell].digits[place.digit];
  const Digit::Member& member = digit.members[place.member];
  // What is below the start wraps round, and is too large.
  const uint32_t other = value / digit.unit % digit.count - member.start;
  return other < member.other_bins.size() ? member.other_bins[other] : member.usual_bin;
}

std::vector<uint8_t> RowLayout::steps(size_t feature) const {
  const Place& place = places_[feature];
  const Digit& digit = cells_[place.cell].digits[place.digit];
  const Digit::Member& member = digit.members[place.member];
  std::vector<uint8_t> steps(kSharedBinsMax, 0);
  for (uint32_t i = 0; i < member.other_bins.size(); ++i) {
    steps[member.other_bins[i]] = static_cast<uint8_t>((member.start + i) * digit.unit);
  }
  return steps;
}

}  // namespace evergrove::bins

// Whether a feature may join a bundle is found by 64 rows at a time: a bit a row that has another
// bin than the usual one, of the feature and of all that are in the bundle. It is exact, and ends
// for most pairs that do not fit within the first words.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/bundles.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "evergrove/base/phase.h"

namespace evergrove::bins {
namespace {

constexpr uint32_t kDigitsMax = 256;  // of a bundle
constexpr size_t kOpenMax = 64;       // bundles that a feature is tried with
constexpr size_t kChunkRows = 16384;  // counted while they are in the cache

// A small feature in these rows.
struct Column {
  Bundle::Member member;
  const SparseColumn* sparse = nullptr;
  const uint8_t* bins = nullptr;  // where it is not sparse
  size_t other_rows = 0;
};

using Counts = std::array<size_t, kSharedBinsMax>;

Counts count_bins(const Column& column, size_t row_count, uint32_t bin_count) {
  Counts counts{};
  if (column.sparse != nullptr) {
    for (const uint16_t bin : column.sparse->bins) ++counts[bin];
    counts[column.sparse->usual_bin] = row_count - column.sparse->bins.size();
    return counts;
  }
  for (size_t first = 0; first < row_count; first += kChunkRows) {
    const size_t last = std::min(row_count, first + kChunkRows);
    for (uint32_t bin = 0; bin < bin_count; ++bin) {
      counts[bin] += static_cast<size_t>(
          std::count(column.bins + first, column.bins + last, static_cast<uint8_t>(bin)));
    }
  }
  return counts;
}

Column count_column(uint32_t feature, const BinColumns& columns, uint32_t bin_count) {
  Column column;
  column.sparse = columns.sparse(feature);
  if (column.sparse == nullptr) column.bins = columns.column<uint8_t>(feature);
  const size_t row_count = columns.row_count();
  const Counts counts = count_bins(column, row_count, bin_count);
  const auto most = std::max_element(counts.begin(), counts.begin() + bin_count);
  column.member.feature = feature;
  column.member.usual_bin = static_cast<uint8_t>(most - counts.begin());
  for (uint32_t bin = 0; bin < bin_count; ++bin) {
    if (counts[bin] == 0 || bin == column.member.usual_bin) continue;
    column.member.other_bins.push_back(static_cast<uint8_t>(bin));
  }
  column.other_rows = row_count - *most;
  return column;
}

// Bit i: row i has another bin than the usual one.
uint64_t other_bits(const uint8_t* bins, size_t count, uint8_t usual) {
  uint64_t bits = 0;
  for (size_t i = 0; i < count; ++i) bits |= uint64_t{bins[i] != usual} << i;
  return bits;
}
// The same of 64 rows, eight at a time: their upper bits are brought together by a product.
uint64_t other_bits_of_64(const uint8_t* bins, uint8_t usual) {
  constexpr uint64_t kLow = 0x7f7f7f7f7f7f7f7f;
  uint64_t bits = 0;
  for (size_t i = 0; i < 64; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, bins + i, sizeof(eight));
    eight ^= uint64_t{usual} * 0x0101010101010101;
    const uint64_t others = (((eight & kLow) + kLow) | eight) & ~kLow;
    bits |= ((others >> 7) * 0x0102040810204080) >> 56 << i;
  }
  return bits;
}

// A bundle that others may join, and the rows in which one of its members has another bin.
struct Open {
  Bundle bundle;
  uint32_t digit_count = 1;
  size_t other_rows = 0;
  std::vector<uint64_t> rows;
};

class Bundler {
 public:
  explicit Bundler(size_t row_count) : row_count_(row_count), bits_((row_count + 63) / 64) {}

  void add(Column column) {
    const auto digits = static_cast<uint32_t>(column.member.other_bins.size());
    // A feature that is mostly something else than usual leaves no room for others.
    if (column.other_rows > row_count_ / 2) {
      finished_.push_back({{std::move(column.member)}});
      return;
    }
    std::vector<size_t> fitting;
    for (size_t i = 0; i < open_.size(); ++i) {
      if (open_[i].other_rows + column.other_rows <= row_count_ &&
          open_[i].digit_count + digits <= kDigitsMax) {
        fitting.push_back(i);
      }
    }
    const bool may_open = open_.size() < kOpenMax;
    if (column.sparse != nullptr) set_bits(*column.sparse);
    for (size_t word = 0; word < bits_.size(); ++word) {
      if (column.sparse == nullptr) {
        const size_t first = word * 64;
        const size_t count = std::min<size_t>(64, row_count_ - first);
        bits_[word] = count == 64 ? other_bits_of_64(column.bins + first, column.member.usual_bin)
                                  : other_bits(column.bins + first, count, column.member.usual_bin);
      }
      std::erase_if(fitting, [&](size_t i) { return (open_[i].rows[word] & bits_[word]) != 0; });
      if (fitting.empty() && !may_open) {
        finished_.push_back({{std::move(column.member)}});
        return;
      }
    }
    if (fitting.empty()) {
      fitting.push_back(open_.size());
      open_.emplace_back();
      open_.back().rows.resize(bits_.size(), 0);
    }
    Open& to = open_[fitting[0]];
    to.bundle.members.push_back(std::move(column.member));
    to.digit_count += digits;
    to.other_rows += column.other_rows;
    for (size_t word = 0; word < bits_.size(); ++word) to.rows[word] |= bits_[word];
  }

  std::vector<Bundle> finish() {
    for (Open& open : open_) finished_.push_back(std::move(open.bundle));
    for (Bundle& bundle : finished_) {
      std::sort(bundle.members.begin(), bundle.members.end(),
                [](const auto& a, const auto& b) { return a.feature < b.feature; });
    }
    return std::move(finished_);
  }

 private:
  void set_bits(const SparseColumn& column) {
    std::fill(bits_.begin(), bits_.end(), 0);
    for (const uint32_t row : column.rows) bits_[row / 64] |= uint64_t{1} << (row % 64);
  }

  size_t row_count_;
  std::vector<uint64_t> bits_;  // of a column at hand, as far as they are looked at
  std::vector<Open> open_;
  std::vector<Bundle> finished_;
};

}  // namespace

std::vector<Bundle> plain_bundles(std::span<const uint32_t> bin_counts) {
  std::vector<Bundle> bundles;
  for (uint32_t feature = 0; feature < bin_counts.size(); ++feature) {
    if (bin_counts[feature] > kSharedBinsMax) continue;
    Bundle::Member member{feature, 0, {}};
    for (uint32_t bin = 1; bin < bin_counts[feature]; ++bin) {
      member.other_bins.push_back(static_cast<uint8_t>(bin));
    }
    bundles.push_back({{std::move(member)}});
  }
  return bundles;
}

std::vector<Bundle> find_bundles(const BinColumns& columns, std::span<const uint32_t> bin_counts) {
  std::vector<uint32_t> small;
  for (uint32_t feature = 0; feature < bin_counts.size(); ++feature) {
    if (bin_counts[feature] <= kSharedBinsMax) small.push_back(feature);
  }
  std::vector<Column> found(small.size());
  tbb::parallel_for(size_t{0}, small.size(), [&](size_t i) {
    const PhaseScope scope(Phase::lay_out);
    found[i] = count_column(small[i], columns, bin_counts[small[i]]);
  });
  // Those with the most rows first, for they have the fewest places to go.
  std::stable_sort(found.begin(), found.end(),
                   [](const Column& a, const Column& b) { return a.other_rows > b.other_rows; });
  const PhaseScope scope(Phase::lay_out);
  Bundler bundler(columns.row_count());
  for (Column& column : found) bundler.add(std::move(column));
  return bundler.finish();
}

}  // namespace evergrove::bins

// SPDX-License-Identifier: Apache-2.0
#include "evergrove/table/block_selection.h"

#include <algorithm>

#include "evergrove/base/check.h"

namespace evergrove::table {

BlockSelection::BlockSelection(const RowSource& source, std::vector<size_t> chosen)
    : source_(source), chosen_(std::move(chosen)) {
  for (size_t index : chosen_) {
    CHECK(index < source_.blocks().size());
    blocks_.push_back({manifest_.row_count, source_.blocks()[index].row_count});
    manifest_.row_count += blocks_.back().row_count;
  }
}

Result<RowBlock> BlockSelection::read(size_t block_index, std::span<const size_t> columns) const {
  EVERGROVE_ASSIGN_OR_RETURN(RowBlock block, source_.read(chosen_[block_index], columns));
  block.first_row = blocks_[block_index].first_row;
  return block;
}

uint64_t BlockSelection::source_row(uint64_t row) const {
  CHECK(row < manifest_.row_count);
  // The last block that starts at or before the row; an empty one never is.
  const auto after = std::upper_bound(
      blocks_.begin(), blocks_.end(), row,
      [](uint64_t wanted, const BlockExtent& block) { return wanted < block.first_row; });
  const size_t index = static_cast<size_t>(after - blocks_.begin()) - 1;
  return source_.blocks()[chosen_[index]].first_row + (row - blocks_[index].first_row);
}

}  // namespace evergrove::table

// A selection is a source like any other: without gaps, with rows that know where they came from.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/table/block_selection.h"

#include <gtest/gtest.h>

#include "evergrove/table/memory_source.h"

namespace evergrove::table {
namespace {

MemorySource counting_rows(size_t row_count) {
  std::vector<double> values;
  for (size_t row = 0; row < row_count; ++row) values.push_back(static_cast<double>(row));
  return MemorySource(
      {{"other", ColumnKind::numeric, "double"}, {"x", ColumnKind::numeric, "double"}},
      {ColumnValues::of(std::vector<double>(row_count)), ColumnValues::of(values)}, row_count, 10);
}

TEST(BlockSelection, HasTheChosenRowsInTheirOrder) {
  const MemorySource source = counting_rows(35);  // the last block has 5 rows
  for (const auto& chosen :
       std::vector<std::vector<size_t>>{{0, 1, 2, 3}, {2}, {3, 1}, {1, 3, 0}, {}}) {
    const BlockSelection selection(source, chosen);
    ASSERT_EQ(selection.blocks().size(), chosen.size());
    EXPECT_EQ(&selection.schema(), &source.schema());
    EXPECT_EQ(selection.manifest().row_count, selection.row_count());
    EXPECT_TRUE(selection.manifest().files.empty());
    uint64_t row = 0;
    for (size_t b = 0; b < chosen.size(); ++b) {
      const size_t columns[] = {1};
      const auto block = selection.read(b, columns);
      ASSERT_TRUE(block.ok());
      EXPECT_EQ(block->first_row, row);
      EXPECT_EQ(selection.blocks()[b].first_row, row);
      ASSERT_EQ(block->row_count, chosen[b] == 3 ? 5u : 10u);
      EXPECT_EQ(selection.blocks()[b].row_count, block->row_count);
      for (size_t i = 0; i < block->row_count; ++i, ++row) {
        EXPECT_EQ(block->columns[0].number(i), static_cast<double>(chosen[b] * 10 + i));
        EXPECT_EQ(selection.source_row(row), chosen[b] * 10 + i);
      }
    }
    EXPECT_EQ(selection.row_count(), row);
    EXPECT_DEATH(selection.source_row(row), "row_count");
  }
}

TEST(BlockSelection, DiesOfABlockThatIsNotThere) {
  const MemorySource source = counting_rows(35);
  EXPECT_DEATH(BlockSelection(source, {1, 4}), "blocks");
}

}  // namespace
}  // namespace evergrove::table

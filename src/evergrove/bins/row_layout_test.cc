// SPDX-License-Identifier: Apache-2.0
#include "evergrove/bins/row_layout.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "evergrove/bins/bin_matrix.h"

namespace evergrove::bins {
namespace {

std::vector<uint32_t> features_of(const RowLayout& layout, size_t cell) {
  std::vector<uint32_t> features;
  for (const RowLayout::Digit& digit : layout.digits(cell)) {
    for (const auto& member : digit.members) features.push_back(member.feature);
  }
  return features;
}

TEST(RowLayout, PutsFlagsAndSmallCategoriesTogether) {
  const std::vector<uint32_t> counts = {255, 3, 3, 16, 3, 17, 3, 3, 16};
  const RowLayout layout(counts, plain_bundles(counts));
  ASSERT_EQ(layout.cell_count(), 4);
  EXPECT_EQ(layout.feature(0), 0);
  EXPECT_EQ(layout.feature(1), 5);
  EXPECT_EQ(features_of(layout, 2), (std::vector<uint32_t>{3, 8}));
  EXPECT_EQ(layout.digits(2)[1].unit, 16);
  EXPECT_EQ(features_of(layout, 3), (std::vector<uint32_t>{1, 2, 4, 6, 7}));
  EXPECT_EQ(layout.value_count(3), 243);
}

TEST(RowLayout, FillsWhatIsLeftOfACell) {
  const std::vector<uint32_t> counts = {16, 16, 15, 3, 3};
  const RowLayout layout(counts, plain_bundles(counts));
  ASSERT_EQ(layout.cell_count(), 2);
  EXPECT_EQ(features_of(layout, 0), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(features_of(layout, 1), (std::vector<uint32_t>{2, 3, 4}));
}

TEST(RowLayout, GivesEachACellOfItsOwnWhereBinsTakeTwoBytes) {
  const RowLayout layout(std::vector<uint32_t>{3, 3, 5000}, {});
  EXPECT_EQ(layout.cell_count(), 3);
  EXPECT_EQ(layout.value_count(2), 5000);
}

// Whatever the counts, every cell is a byte, and a matrix gives back the bins it was given.
RC_GTEST_PROP(RowLayout, LosesNoBin, ()) {
  const auto counts = *rc::gen::nonEmpty(rc::gen::container<std::vector<uint32_t>>(
      rc::gen::oneOf(rc::gen::inRange<uint32_t>(1, 20), rc::gen::inRange<uint32_t>(1, 257))));
  std::vector<model::Feature> features(counts.size());
  for (size_t f = 0; f < counts.size(); ++f) {
    features[f].kind = table::ColumnKind::categorical;
    features[f].categories.resize(counts[f] - 1);
  }
  constexpr size_t kRows = 40;
  BinMatrix matrix(kRows, features);
  for (size_t f = 0; f < counts.size(); ++f) {
    RC_ASSERT(matrix.bin_count(f) == counts[f]);
    const auto rarity = *rc::gen::element<uint32_t>(1, 12, 40);  // of other bins than one of them
    const auto usual = *rc::gen::inRange<uint32_t>(0, counts[f]);
    const auto column = *rc::gen::container<std::vector<uint8_t>>(
        kRows, rc::gen::map(rc::gen::inRange<uint32_t>(0, counts[f] * rarity), [&](uint32_t dice) {
          return static_cast<uint8_t>(dice < counts[f] ? dice : usual);
        }));
    std::copy(column.begin(), column.end(), matrix.column<uint8_t>(f));
  }
  const BinMatrix columns = matrix;
  BinColumns given(kRows, counts.size(), 1);
  for (size_t f = 0; f < counts.size(); ++f) {
    given.set(f, counts[f], std::span(columns.column<uint8_t>(f), kRows));
  }
  BinMatrix of_columns(std::move(given), features);
  of_columns.build_rows();
  matrix.build_rows();
  const RowLayout& layout = matrix.layout();
  for (size_t cell = 0; cell < layout.cell_count(); ++cell) {
    RC_ASSERT(layout.value_count(cell) <= 256u);
  }
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t f = 0; f < counts.size(); ++f) {
      RC_ASSERT(matrix.bin(row, f) == columns.column<uint8_t>(f)[row]);
      RC_ASSERT(of_columns.bin(row, f) == columns.column<uint8_t>(f)[row]);
    }
  }
  std::vector<uint8_t> column(kRows);
  for (size_t f = 0; f < counts.size(); ++f) {
    for (const BinMatrix* each : {&matrix, &of_columns}) {
      each->copy_column(f, 0, std::span(column));
      RC_ASSERT(std::equal(column.begin(), column.end(), columns.column<uint8_t>(f)));
    }
  }
}

}  // namespace
}  // namespace evergrove::bins

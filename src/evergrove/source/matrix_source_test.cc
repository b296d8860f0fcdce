// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>

#include "evergrove/source/open.h"

namespace evergrove::source {
namespace {

template <typename Number>
void expect_columns(size_t rows, size_t columns, size_t stride) {
  std::vector<Number> values(rows * stride);
  std::iota(values.begin(), values.end(), Number{1});
  std::vector<std::string> names;
  for (size_t i = 0; i < columns; ++i) names.push_back("x" + std::to_string(i));
  const auto source =
      from_matrix(RowMatrix<Number>{values.data(), rows, columns, stride, nullptr}, names);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ((*source)->row_count(), rows);
  const std::vector<size_t> wanted = {columns - 1, 0};
  size_t row = 0;
  for (size_t b = 0; b < (*source)->blocks().size(); ++b) {
    const auto block = (*source)->read(b, wanted);
    ASSERT_TRUE(block.ok());
    ASSERT_EQ(block->first_row, row);
    for (size_t i = 0; i < block->row_count; ++i, ++row) {
      for (size_t k = 0; k < wanted.size(); ++k) {
        ASSERT_EQ(block->columns[k].number(i), double(values[row * stride + wanted[k]]));
      }
    }
  }
  EXPECT_EQ(row, rows);
}

TEST(MatrixSource, GivesTheColumnsBlockByBlock) {
  expect_columns<float>(20'000, 28, 28);
  expect_columns<double>(3000, 1, 1);
  expect_columns<float>(2500, 700, 701);
  expect_columns<double>(65, 2, 5);
}

TEST(MatrixSource, MayHaveNoRows) {
  const auto source = from_matrix(RowMatrix<float>{nullptr, 0, 2, 2, nullptr}, {"a", "b"});
  ASSERT_TRUE(source.ok());
  EXPECT_EQ((*source)->row_count(), 0u);
  EXPECT_EQ((*source)->manifest().row_count, 0u);
}

TEST(MatrixSource, RefusesNamesThatDoNotFit) {
  const float values[4] = {};
  EXPECT_FALSE(from_matrix(RowMatrix<float>{values, 2, 2, 2, nullptr}, {"a"}).ok());
  EXPECT_FALSE(from_matrix(RowMatrix<float>{values, 2, 2, 1, nullptr}, {"a", "b"}).ok());
  const auto twice = from_matrix(RowMatrix<float>{values, 2, 2, 2, nullptr}, {"a", "a"});
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(twice.status().message().find("same name"), std::string::npos);
}

}  // namespace
}  // namespace evergrove::source

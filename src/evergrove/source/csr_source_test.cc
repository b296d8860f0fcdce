// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "evergrove/source/arrow_read.h"
#include "evergrove/source/open.h"
#include "evergrove/source/source_values.h"

namespace evergrove::source {
namespace {

using Numbers = std::vector<double>;

struct Csr {
  std::vector<int64_t> row_starts = {0};
  std::vector<int32_t> columns;
  Numbers values;
  size_t column_count = 0;

  CsrMatrix view() const { return {row_starts, columns, values, column_count, nullptr}; }
};

std::vector<std::string> names(size_t count) {
  std::vector<std::string> result;
  for (size_t i = 0; i < count; ++i) result.push_back("x" + std::to_string(i));
  return result;
}

TEST(CsrSource, GivesTheDenseColumnsAcrossBlocks) {
  std::mt19937 random(7);
  constexpr size_t kRows = 150'000;
  Csr csr;
  csr.column_count = 4;
  std::vector<Numbers> dense(3, Numbers(kRows, 0.0));
  for (size_t row = 0; row < kRows; ++row) {
    for (int32_t column : {2, 0, 1}) {
      if (random() % 10 != 0) continue;
      const double value = static_cast<double>(random() % 100) - 50;
      csr.columns.push_back(column);
      csr.values.push_back(value);
      dense[column][row] = value;
    }
    csr.row_starts.push_back(static_cast<int64_t>(csr.columns.size()));
  }
  Numbers label(kRows, 3.0);
  const auto source = from_csr(csr.view(), names(4), {{"label", label}});
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_GT((*source)->blocks().size(), 1);
  for (size_t c = 0; c < 3; ++c) EXPECT_EQ(numbers_of(**source, "x" + std::to_string(c)), dense[c]);
  EXPECT_EQ(numbers_of(**source, "x3"), Numbers(kRows, 0.0));
  EXPECT_EQ(numbers_of(**source, "label"), label);
  EXPECT_EQ((*source)->manifest().row_count, kRows);
  EXPECT_EQ((*source)->manifest().files[0].fingerprint.size(), 32);
}

TEST(CsrSource, AddsUpEntriesGivenTwiceAndKeepsNan) {
  const Csr csr = {{0, 2, 3}, {0, 0, 0}, {1, 2, std::nan("")}, 1};
  const auto source = from_csr(csr.view(), {"x"}, {});
  ASSERT_TRUE(source.ok());
  const Numbers numbers = numbers_of(**source, "x");
  EXPECT_EQ(numbers[0], 3);
  EXPECT_TRUE(std::isnan(numbers[1]));
}

TEST(CsrSource, ReadsTheRowsOfASliceOfAMatrix) {
  const Csr csr = {{1, 2, 3}, {0, 1, 0}, {7, 8, 9}, 2};  // without its first row
  const auto source = from_csr(csr.view(), {"x", "y"}, {});
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(numbers_of(**source, "x"), (Numbers{0, 9}));
  EXPECT_EQ(numbers_of(**source, "y"), (Numbers{8, 0}));
}

TEST(CsrSource, GivesArrowColumnsToo) {
  const Csr csr = {{0, 1, 2}, {0, 0}, {1, std::nan("")}, 1};
  const auto source = from_csr(csr.view(), {"x"}, {});
  ASSERT_TRUE(source.ok());
  const size_t columns[] = {0};
  const auto batch = read_arrow(**source, 0, columns);
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE((*batch)->column(0)->Equals(array_of(arrow::float64(), "[1, null]")));
  EXPECT_TRUE((*arrow_schema(**source))->Equals(*(*batch)->schema()));
}

TEST(CsrSource, RefusesWhatIsNotAMatrix) {
  const std::vector<Csr> wrong = {
      {{}, {}, {}, 1},        // no row starts
      {{0, 2}, {0}, {1}, 1},  // rows beyond the entries
      {{0, 1}, {1}, {1}, 1},  // a column that is not there
      {{0, 1}, {-1}, {1}, 1},
      {{0, 2, 1}, {0, 0}, {1, 1}, 1},  // row starts descend
      {{-1, 1}, {0, 0}, {1, 1}, 1},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    EXPECT_EQ(from_csr(wrong[i].view(), {"x"}, {}).status().kind(), StatusKind::invalid_input) << i;
  }
  const Csr fine = {{0, 1}, {0}, {1}, 1};
  EXPECT_FALSE(from_csr(fine.view(), {"x", "y"}, {}).ok());
  EXPECT_FALSE(from_csr(fine.view(), {"x"}, {{"x", {1}}}).ok());
  EXPECT_FALSE(from_csr(fine.view(), {"x"}, {{"y", {1, 2}}}).ok());
}

}  // namespace
}  // namespace evergrove::source

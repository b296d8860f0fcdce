// Cuts and bins against linear search, and the laws that they must keep for any order of rows.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "evergrove/bins/bin_matrix.h"
#include "evergrove/bins/binner.h"
#include "evergrove/bins/cuts.h"

namespace evergrove::bins {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> some_numbers(uint64_t seed, size_t count) {
  const RandomKey key(seed, "numbers");
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bits = key.at(i);
    if (bits % 50 == 0) {
      values.push_back(std::nan(""));
    } else if (bits % 7 == 0) {
      values.push_back(3.25);  // one value is much more frequent than the rest
    } else {
      values.push_back(std::exp(double(bits >> 11) * 0x1p-53 * 20 - 10));
    }
  }
  return values;
}

uint32_t bin_by_linear_search(const std::vector<double>& cuts, double x) {
  if (std::isnan(x)) return 0;
  uint32_t bin = 1;
  for (double cut : cuts) bin += cut < x;
  return bin;
}

TEST(Cuts, FewValuesGetABinEach) {
  const std::vector<double> cuts = make_cuts({5, 1, 1, 3, std::nan(""), 5}, 255);
  EXPECT_EQ(cuts, (std::vector<double>{2, 4}));
}

TEST(Cuts, NoValuesOrOneGiveNoCut) {
  EXPECT_TRUE(make_cuts({}, 255).empty());
  EXPECT_TRUE(make_cuts({std::nan("")}, 255).empty());
  EXPECT_TRUE(make_cuts({7, 7, 7}, 255).empty());
}

TEST(Cuts, SeparateNeighboursInfinitiesAndSignedZeros) {
  const double next = std::nextafter(1.0, 2.0);
  EXPECT_EQ(make_cuts({1, next}, 255), (std::vector<double>{1}));
  const std::vector<double> cuts = make_cuts({-kInfinity, 0, kInfinity}, 255);
  ASSERT_EQ(cuts.size(), 2u);
  EXPECT_TRUE(std::isfinite(cuts[0]) && cuts[0] < 0);
  EXPECT_EQ(cuts[1], 0);
  for (double cut : make_cuts({-1, -0.0, 0.0, 1}, 255)) EXPECT_FALSE(std::signbit(cut) && cut == 0);
  EXPECT_EQ(make_cuts({-1, -0.0, 0.0, 1}, 255), make_cuts({-1, 1}, 255, 2));
  EXPECT_TRUE(make_cuts({}, 255, 3).empty());
}

TEST(Cuts, BinsAreAboutEquallyFull) {
  std::vector<double> values;
  for (int i = 0; i < 100'000; ++i) values.push_back(i);
  const std::vector<double> cuts = make_cuts(values, 100);
  ASSERT_GE(cuts.size(), 95u);
  std::vector<int> counts(cuts.size() + 2, 0);
  for (double x : values) ++counts[bin_by_linear_search(cuts, x)];
  for (size_t bin = 1; bin < counts.size(); ++bin) EXPECT_LE(counts[bin], 1500);
}

RC_GTEST_PROP(Cuts, DependOnTheMultisetAlone, (uint64_t seed)) {
  std::vector<double> values = some_numbers(seed, 3000);
  const uint32_t bins_max = 2 + static_cast<uint32_t>(seed % 254);
  const std::vector<double> cuts = make_cuts(values, bins_max);
  RC_ASSERT(cuts.size() + 1 <= bins_max);
  RC_ASSERT(std::adjacent_find(cuts.begin(), cuts.end(), std::greater_equal<>()) == cuts.end());
  std::reverse(values.begin(), values.end());
  std::rotate(values.begin(), values.begin() + 1234, values.end());
  RC_ASSERT(make_cuts(values, bins_max) == cuts);
}

TEST(RowSample, TakesAllOfFewRowsAndAboutTheWishedNumberOfMany) {
  const RowSample few(1, 1000);
  for (uint64_t row = 0; row < 1000; ++row) EXPECT_TRUE(few.has(row));
  const RowSample many(1, 4 * RowSample::kSampleRows);
  uint64_t count = 0;
  for (uint64_t row = 0; row < 4 * RowSample::kSampleRows; ++row) count += many.has(row);
  EXPECT_NEAR(double(count), double(RowSample::kSampleRows), 3000);
}

RC_GTEST_PROP(Binner, FindsTheBinThatLinearSearchFinds, (uint64_t seed)) {
  std::vector<double> values = some_numbers(seed, 1003);
  values.insert(values.end(), {kInfinity, -kInfinity, 0.0, -0.0});
  model::Feature feature;
  feature.cuts = make_cuts(some_numbers(seed + 1, 500), 2 + static_cast<uint32_t>(seed % 300));
  values.insert(values.end(), feature.cuts.begin(), feature.cuts.end());
  const Binner binner(feature);
  const auto column = table::ColumnValues::of(values);
  std::vector<uint16_t> out(values.size());
  binner.bin<uint16_t>(column, out);
  std::vector<float> floats(values.begin(), values.end());
  table::ColumnValues narrow;
  narrow.f32 = floats;
  std::vector<uint16_t> narrow_out(values.size());
  binner.bin<uint16_t>(narrow, narrow_out);
  for (size_t i = 0; i < values.size(); ++i) {
    RC_ASSERT(out[i] == bin_by_linear_search(feature.cuts, values[i]));
    RC_ASSERT(narrow_out[i] == bin_by_linear_search(feature.cuts, floats[i]));
  }
}

TEST(Binner, TakesCategoriesByNameWhateverTheBlockCallsThem) {
  model::Feature feature{"c", table::ColumnKind::categorical, {}, {"red", "green"}};
  const Binner binner(feature);
  std::vector<uint8_t> out(5);
  binner.bin<uint8_t>(table::ColumnValues::of({0, 1, 2, -1, 1}, {"blue", "green", "red"}), out);
  EXPECT_EQ(out, (std::vector<uint8_t>{0, 2, 1, 0, 2}));
}

TEST(BinMatrix, KeepsBothOrders) {
  std::vector<model::Feature> features(11);
  for (model::Feature& feature : features) feature.cuts = {1, 2, 3};
  for (const size_t wide_cuts : {size_t{3}, size_t{400}}) {
    features[4].cuts.assign(wide_cuts, 0);
    BinMatrix matrix(1000, features);
    EXPECT_EQ(matrix.bin_bytes(), wide_cuts > 255 ? 2 : 1);
    for (size_t f = 0; f < features.size(); ++f) {
      for (size_t row = 0; row < 1000; ++row) {
        const auto bin = static_cast<uint8_t>((row * 7 + f) % 5);
        if (matrix.bin_bytes() == 1) {
          matrix.column<uint8_t>(f)[row] = bin;
        } else {
          matrix.column<uint16_t>(f)[row] = bin;
        }
      }
    }
    matrix.build_rows();
    for (size_t row = 0; row < 1000; ++row) {
      for (size_t f = 0; f < features.size(); ++f) EXPECT_EQ(matrix.bin(row, f), (row * 7 + f) % 5);
    }
  }
}

// What half of a column is, is not sorted with the rest; numbers that are floats are sorted as
// such.
RC_GTEST_PROP(Cuts, AreHalfWayBetweenDistinctValuesWhereTheseAreFew, ()) {
  const auto distinct =
      *rc::gen::map(rc::gen::nonEmpty(rc::gen::container<std::vector<double>>(rc::gen::oneOf(
                        rc::gen::map(rc::gen::inRange(-20, 20), [](int x) { return x / 4.0; }),
                        rc::gen::map(rc::gen::inRange(-20, 20), [](int x) { return x / 7.0; })))),
                    [](std::vector<double> values) {
                      std::sort(values.begin(), values.end());
                      values.erase(std::unique(values.begin(), values.end()), values.end());
                      return values;
                    });
  std::vector<double> values = distinct;
  for (int i = *rc::gen::inRange(0, 5000); i > 0; --i) {
    const size_t dice = RandomKey(7, "value").at(static_cast<uint64_t>(i));
    values.push_back(dice % 2 == 0 ? distinct[0] : distinct[(dice >> 8) % distinct.size()]);
  }
  values.insert(values.begin() + static_cast<ptrdiff_t>(values.size() / 2), std::nan(""));
  const std::vector<double> cuts = make_cuts(values, 100);
  RC_ASSERT(cuts.size() == distinct.size() - 1);
  for (size_t i = 0; i < cuts.size(); ++i) {
    RC_ASSERT(cuts[i] >= distinct[i] && cuts[i] < distinct[i + 1]);
  }
}

TEST(BinMatrix, KeepsWhatIsSparseBesideItsRows) {
  constexpr size_t kRows = 5000;
  std::vector<model::Feature> features(60);
  for (size_t f = 0; f < features.size(); ++f) {
    for (int i = 0; i < (f % 3 == 0 ? 200 : 40); ++i) features[f].cuts.push_back(i);
  }
  const RandomKey key(11, "sparse");
  BinMatrix matrix(kRows, features);
  for (size_t f = 0; f < features.size(); ++f) {
    for (size_t row = 0; row < kRows; ++row) {
      const uint64_t dice = key.at(f * kRows + row);
      const bool is_usual = f >= 50 ? false : dice % 32 != 0;  // the last ten are dense
      matrix.column<uint8_t>(f)[row] =
          is_usual ? uint8_t(f % 5) : uint8_t((dice >> 8) % matrix.bin_count(f));
    }
  }
  const BinMatrix columns = matrix;
  const auto expect_as_columns = [&](const BinMatrix& rows, size_t first) {
    for (size_t row = 0; row < rows.row_count(); ++row) {
      for (size_t f = 0; f < features.size(); ++f) {
        ASSERT_EQ(rows.bin(row, f), columns.column<uint8_t>(f)[first + row]) << row << ", " << f;
      }
    }
    std::vector<uint8_t> some(rows.row_count() / 3);
    for (size_t f = 0; f < features.size() && rows.has_columns(); ++f) {
      const size_t begin = rows.row_count() / 2;
      rows.copy_column(f, begin, std::span(some));
      const uint8_t* const expected = columns.column<uint8_t>(f) + first + begin;
      ASSERT_TRUE(std::equal(some.begin(), some.end(), expected)) << f;
    }
  };
  matrix.build_rows();
  EXPECT_EQ(matrix.sparse().features.size(), 50);
  EXPECT_EQ(matrix.layout().cell_count(), 10);
  const SparseBins& sparse = matrix.sparse();
  for (size_t row = 0; row < kRows; ++row) {
    std::vector<uint32_t> entries;
    for (const SparseBins::Feature& feature : sparse.features) {
      const uint8_t bin = columns.column<uint8_t>(feature.feature)[row];
      if (bin != feature.usual_bin) entries.push_back(feature.start + bin);
    }
    const uint32_t begin = sparse.row_starts[row];
    ASSERT_EQ(sparse.row_starts[row + 1] - begin, entries.size());
    ASSERT_TRUE(std::equal(entries.begin(), entries.end(), sparse.entries.begin() + begin));
  }
  expect_as_columns(matrix, 0);
  std::vector<BinMatrix> parts;
  parts.push_back(matrix.slice(0, 1234));
  parts.push_back(matrix.slice(1234, kRows - 1234));
  expect_as_columns(parts[1], 1234);
  const BinMatrix joined = BinMatrix::join(std::move(parts));
  EXPECT_EQ(joined.sparse().entries.size(), sparse.entries.size());
  expect_as_columns(joined, 0);
  BinMatrix rows_alone = matrix;
  rows_alone.build_rows_alone();
  EXPECT_TRUE(rows_alone.sparse().empty());
  expect_as_columns(rows_alone, 0);
  // Column by column.
  BinColumns given(kRows, features.size(), 1);
  for (size_t f = features.size(); f-- > 0;) {
    given.set(f, matrix.bin_count(f), std::span(columns.column<uint8_t>(f), kRows));
  }
  BinMatrix of_columns(std::move(given), features);
  of_columns.build_rows();
  EXPECT_EQ(of_columns.sparse().entries, sparse.entries);
  expect_as_columns(of_columns, 0);
}

// A part's rows may fit bundles that the whole's do not, and the other way round.
TEST(BinMatrix, KeepsFlagsThatBundleInSomeRowsOnly) {
  constexpr size_t kRows = 400;
  std::vector<model::Feature> features(12);
  for (model::Feature& feature : features) feature.cuts = {0.5};
  BinMatrix matrix(kRows, features);
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t f = 0; f < features.size(); ++f) {
      matrix.column<uint8_t>(f)[row] = uint8_t(1 + (row % features.size() == f));
    }
  }
  matrix.column<uint8_t>(3)[300] = 0;  // missing, where another flag is set
  matrix.build_rows();
  const auto expect_as_columns = [&](const BinMatrix& rows, size_t first) {
    for (size_t row = 0; row < rows.row_count(); ++row) {
      for (size_t f = 0; f < features.size(); ++f) {
        ASSERT_EQ(rows.bin(row, f), matrix.column<uint8_t>(f)[first + row]) << row << ", " << f;
      }
    }
  };
  expect_as_columns(matrix, 0);
  BinMatrix head = matrix.slice(0, 250);
  expect_as_columns(head, 0);
  EXPECT_EQ(head.layout(), matrix.layout());
  head.build_rows();
  expect_as_columns(head, 0);
  EXPECT_NE(head.layout(), matrix.layout());
  std::vector<BinMatrix> parts;
  parts.push_back(std::move(head));
  parts.push_back(matrix.slice(250, kRows - 250));
  const BinMatrix joined = BinMatrix::join(std::move(parts));
  expect_as_columns(joined, 0);
  EXPECT_EQ(joined.layout(), matrix.layout());
}

TEST(Cuts, AreFinerAtBothEnds) {
  constexpr size_t kCount = 100'000;
  std::vector<double> values(kCount);
  for (size_t i = 0; i < kCount; ++i) values[i] = static_cast<double>(i);
  const std::vector<double> cuts = make_cuts(values, 100);
  ASSERT_LE(cuts.size(), 99u);
  // 500, 250, 125, 62 and 31 of the 1,000 values of a mean bin from either end.
  for (size_t i = 0; i < 5; ++i) {
    const double beyond = 1000.0 / double(2 << (4 - i));
    EXPECT_NEAR(cuts[i], beyond, 1) << i;
    EXPECT_NEAR(double(kCount) - cuts[cuts.size() - 1 - i], beyond, 2) << i;
  }
}

}  // namespace
}  // namespace evergrove::bins

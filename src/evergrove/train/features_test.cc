// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/features.h"

#include <gtest/gtest.h>

namespace evergrove::train {
namespace {

// Categories 0, 1, ...; of every second one there are two rows, of the others one.
ColumnFacts categories(size_t count) {
  ColumnFacts facts;
  for (size_t i = 0; i < count; ++i) facts.counts[std::to_string(i)] = 1 + i % 2;
  return facts;
}

size_t kept(size_t count, const Parameters& parameters) {
  const table::ColumnSpec column{"airport", table::ColumnKind::categorical, {}};
  const auto feature = make_feature(column, categories(count), parameters);
  EXPECT_TRUE(feature.ok()) << feature.status().message();
  return feature->categories.size();
}

TEST(Features, KeepTheMostFrequentCategories) {
  Parameters parameters;
  EXPECT_EQ(kept(1'000, parameters), 1'000);
  EXPECT_EQ(kept(1'001, parameters), 1'000);
  parameters.max_categories = 3;
  EXPECT_EQ(kept(1'001, parameters), 255) << "as many as bins at least";
  parameters.max_bins = 2;
  const table::ColumnSpec column{"airport", table::ColumnKind::categorical, {}};
  const auto feature = make_feature(column, categories(6), parameters);
  ASSERT_TRUE(feature.ok()) << feature.status().message();
  EXPECT_EQ(feature->categories, (std::vector<std::string>{"1", "3", "5"}));
}

}  // namespace
}  // namespace evergrove::train

// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/scoring_options.h"

#include <gtest/gtest.h>

namespace evergrove::runtime {
namespace {

using Names = std::vector<std::string>;

source::OpenOptions options_for(const Names& categories) {
  model::Model model;
  model.features = {{"amount", table::ColumnKind::numeric, {1.5}, {}},
                    {"code", table::ColumnKind::categorical, {}, categories}};
  return scoring_options(model);
}

TEST(ScoringOptions, CategoriesThatNoNumberIsCalledWereText) {
  for (const Names& names : {Names{"12", "A7"}, Names{"0012"}, Names{"1.0"}, Names{"1e3"},
                             Names{"+1"}, Names{" 1"}, Names{"1,5"}, Names{""}, Names{"True"}}) {
    const source::OpenOptions options = options_for(names);
    EXPECT_EQ(options.categorical, Names{"code"});
    EXPECT_EQ(options.text, Names{"code"}) << names.back();
  }
}

TEST(ScoringOptions, CategoriesThatNumbersAreCalledMayHaveBeenNumbers) {
  for (const Names& names :
       {Names{}, Names{"12", "-7", "0"}, Names{"0.1", "2.5e-07"}, Names{"true", "false"},
        Names{"18446744073709551615"}, Names{"-9223372036854775808"}, Names{"1e+300"}}) {
    const source::OpenOptions options = options_for(names);
    EXPECT_EQ(options.categorical, Names{"code"});
    EXPECT_TRUE(options.text.empty()) << options.text.size() << " " << names.size();
  }
}

}  // namespace
}  // namespace evergrove::runtime

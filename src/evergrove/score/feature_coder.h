// FeatureCoder: turns the values of one feature into the small integers that trees compare.
//
// A number's rank is how many of the forest's thresholds lie below it, so that x <= thresholds[k]
// exactly when rank <= k, whatever x is. A missing value must go left in some nodes and right in
// others; so a feature has up to two columns of codes, one in which missing is below every rank and
// one in which it is above, and "goes right" is `code > limit` in either.
// A category's code is 1 + its index; 0 stands for missing, and for all that the model has no name
// for.
// Immutable after construction; safe to use from many threads.
//
//   FeatureCoder coder(feature, thresholds);
//   coder.encode_numbers<uint8_t>(block.columns[i], 0, row_count, lowest, highest);
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "evergrove/exact/ranks.h"
#include "evergrove/model/model.h"
#include "evergrove/table/row_source.h"

namespace evergrove::score {

// What the code of a missing number is in a column.
enum class MissingCode : uint8_t { lowest, highest };

// Where the codes of a feature are in a tile, in columns; -1: no node needs that one.
// Categorical features have the first only.
struct FeatureColumns {
  int32_t lowest = -1;   // numeric, missing below all
  int32_t highest = -1;  // numeric, missing above all
};

class FeatureCoder {
 public:
  // `thresholds` are those of all nodes that split on the feature, in any order; infinite ones are
  // left out. Categorical features have none.
  FeatureCoder(const model::Feature& feature, std::vector<double> thresholds);

  bool is_numeric() const { return is_numeric_; }
  // The largest code that a value can have; missing has it, where it is the highest.
  uint64_t code_max() const { return code_max_; }
  // Numeric: a row goes right of the threshold when its code is above this.
  uint32_t limit(double threshold, MissingCode missing) const;

  // Numeric: writes the codes of `count` rows from `first`. Null: that column is not wanted.
  template <typename Code>
  void encode_numbers(const table::ColumnValues& column, size_t first, size_t count, Code* lowest,
                      Code* highest) const;
  // Categorical: the code of each entry of a block's dictionary, after that of -1.
  std::vector<uint32_t> dictionary_codes(std::span<const std::string> dictionary) const;

 private:
  bool is_numeric_;
  uint64_t code_max_ = 0;
  std::vector<double> thresholds_;  // ascending
  exact::Ranks ranks_{{}};          // of them
  std::unordered_map<std::string, uint32_t> category_codes_;
};

}  // namespace evergrove::score

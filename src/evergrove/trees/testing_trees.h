// Trees, features and matrices by chance, for tests of what walks rows.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "evergrove/base/hash.h"
#include "evergrove/bins/bin_matrix.h"
#include "evergrove/model/model.h"

namespace evergrove::trees {

// Numbers that a seed gives.
class Dice {
 public:
  explicit Dice(uint64_t seed) : key_(seed, "binned tree") {}
  uint64_t below(uint64_t limit) { return key_.at(counter_++) % limit; }

 private:
  RandomKey key_;
  uint64_t counter_ = 0;
};

// Two numeric features and one of five categories.
inline std::vector<model::Feature> features_of(size_t cut_count) {
  std::vector<model::Feature> features(3);
  for (size_t f = 0; f < 2; ++f) {
    features[f].name = f == 0 ? "a" : "b";
    for (size_t i = 0; i < cut_count; ++i) features[f].cuts.push_back(double(i));
  }
  features[2].name = "c";
  features[2].kind = table::ColumnKind::categorical;
  for (int i = 0; i < 5; ++i) features[2].categories.push_back(std::to_string(i));
  return features;
}

inline model::Tree random_tree(std::span<const model::Feature> features, size_t splits,
                               bool has_categories, Dice& dice) {
  model::Tree tree;
  tree.nodes.resize(1);
  std::vector<size_t> leaves = {0};
  for (size_t i = 0; i < splits; ++i) {
    const size_t place = dice.below(leaves.size());
    const size_t id = leaves[place];
    leaves.erase(leaves.begin() + static_cast<ptrdiff_t>(place));
    leaves.push_back(tree.nodes.size());
    leaves.push_back(tree.nodes.size() + 1);
    tree.nodes.resize(tree.nodes.size() + 2);
    model::Node& node = tree.nodes[id];
    const auto is_numeric = [&] {
      return features[static_cast<size_t>(node.feature)].kind == table::ColumnKind::numeric;
    };
    do {
      node.feature = static_cast<int32_t>(dice.below(features.size()));
    } while (!has_categories && !is_numeric());
    node.left = static_cast<int32_t>(tree.nodes.size() - 2);
    node.right = node.left + 1;
    node.missing_left = dice.below(2) == 1;
    if (is_numeric()) {
      const size_t cut = dice.below(features[0].cuts.size() + 1);
      node.threshold = cut < features[0].cuts.size() ? features[0].cuts[cut] : INFINITY;
    } else {
      for (uint32_t c = 0; c < 5; ++c) {
        if (dice.below(2) == 1) node.categories_left.push_back(c);
      }
    }
  }
  for (model::Node& node : tree.nodes) node.value = static_cast<int64_t>(dice.below(1'000'000));
  return tree;
}

// Rows of any bins; nearly all of one bin where they are to be sparse. Not built yet.
inline bins::BinMatrix random_bins(std::span<const model::Feature> features, size_t row_count,
                                   bool is_sparse, Dice& dice) {
  bins::BinMatrix bins(row_count, features);
  for (size_t f = 0; f < features.size(); ++f) {
    for (size_t row = 0; row < row_count; ++row) {
      const bool is_usual = is_sparse && dice.below(40) != 0;
      const uint64_t bin = is_usual ? 2 : dice.below(features[f].bin_count());
      if (bins.bin_bytes() == 1) bins.column<uint8_t>(f)[row] = static_cast<uint8_t>(bin);
      if (bins.bin_bytes() == 2) bins.column<uint16_t>(f)[row] = static_cast<uint16_t>(bin);
    }
  }
  return bins;
}

}  // namespace evergrove::trees

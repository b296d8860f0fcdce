// SPDX-License-Identifier: Apache-2.0
#include "evergrove/model/difference.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace evergrove::model {
namespace {

std::string text(double value) {
  char digits[40];
  return std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}
std::string text(int64_t value) { return std::to_string(value); }
std::string text(uint64_t value) { return std::to_string(value); }
std::string text(bool value) { return value ? "left" : "right"; }
std::string text(const std::string& value) { return value; }

template <typename Value>
std::string differ(const std::string& what, const Value& a, const Value& b) {
  return what + " differs: " + text(a) + " and " + text(b);
}

template <typename Item>
std::string first_item_difference(const std::string& what, const std::vector<Item>& a,
                                  const std::vector<Item>& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] != b[i]) return differ(what + " " + std::to_string(i), a[i], b[i]);
  }
  if (a.size() == b.size()) return "";
  return differ("the number of " + what + "s", uint64_t{a.size()}, uint64_t{b.size()});
}

std::string feature_difference(const Feature& a, const Feature& b, size_t index) {
  const std::string place = "feature " + std::to_string(index);
  if (a.name != b.name) return differ("the name of " + place, a.name, b.name);
  const std::string named = "feature " + a.name;
  if (a.kind != b.kind) return "the kind of " + named + " differs: numbers and categories";
  const std::string cuts = first_item_difference(named + ", cut", a.cuts, b.cuts);
  if (!cuts.empty()) return cuts;
  return first_item_difference(named + ", category", a.categories, b.categories);
}

std::string split_words(const Model& model, const Node& node) {
  const Feature& feature = model.features[node.feature];
  if (feature.kind == table::ColumnKind::numeric) {
    return feature.name + " <= " + text(node.threshold);
  }
  std::string names;
  for (uint32_t category : node.categories_left) {
    names += (names.empty() ? "" : ", ") + feature.categories[category];
  }
  return feature.name + " in {" + names + "}";
}

std::string node_difference(const Model& model_a, const Model& model_b, const Node& a,
                            const Node& b, const std::string& place) {
  if ((a.feature < 0) != (b.feature < 0)) {
    const bool leaf_first = a.feature < 0;
    const std::string split = leaf_first ? split_words(model_b, b) : split_words(model_a, a);
    return place + " is a leaf in the " + (leaf_first ? "first" : "second") +
           " model and splits by " + split + " in the other";
  }
  if (a.cover != b.cover) return differ(place + ", cover", a.cover, b.cover);
  if (a.feature < 0) {
    if (a.value == b.value) return "";
    const double unit_a = std::ldexp(static_cast<double>(a.value), model_a.value_exponent);
    const double unit_b = std::ldexp(static_cast<double>(b.value), model_b.value_exponent);
    return differ(place + ", value", unit_a, unit_b);
  }
  const std::string split_a = split_words(model_a, a);
  const std::string split_b = split_words(model_b, b);
  if (split_a != split_b) return differ(place + ", split", split_a, split_b);
  if (a.missing_left != b.missing_left) {
    return differ(place + ", side of missing values", a.missing_left, b.missing_left);
  }
  if (a.gain != b.gain) return differ(place + ", gain", a.gain, b.gain);
  if (a.left != b.left) return differ(place + ", left child", int64_t{a.left}, int64_t{b.left});
  if (a.right != b.right) {
    return differ(place + ", right child", int64_t{a.right}, int64_t{b.right});
  }
  return "";
}

std::string tree_difference(const Model& a, const Model& b, size_t index) {
  const std::string place = "tree " + std::to_string(index);
  const Tree& tree_a = a.trees[index];
  const Tree& tree_b = b.trees[index];
  if (tree_a.output != tree_b.output) {
    return differ(place + ", output", uint64_t{tree_a.output}, uint64_t{tree_b.output});
  }
  for (size_t i = 0; i < std::min(tree_a.nodes.size(), tree_b.nodes.size()); ++i) {
    const std::string words = node_difference(a, b, tree_a.nodes[i], tree_b.nodes[i],
                                              place + ", node " + std::to_string(i));
    if (!words.empty()) return words;
  }
  if (tree_a.nodes.size() == tree_b.nodes.size()) return "";
  return differ(place + ", number of nodes", uint64_t{tree_a.nodes.size()},
                uint64_t{tree_b.nodes.size()});
}

}  // namespace

std::string first_difference(const Model& a, const Model& b) {
  if (a.objective != b.objective) {
    return differ("the objective", std::string(objective_name(a.objective)),
                  std::string(objective_name(b.objective)));
  }
  for (size_t i = 0; i < std::min(a.features.size(), b.features.size()); ++i) {
    const std::string words = feature_difference(a.features[i], b.features[i], i);
    if (!words.empty()) return words;
  }
  if (a.features.size() != b.features.size()) {
    return differ("the number of features", uint64_t{a.features.size()},
                  uint64_t{b.features.size()});
  }
  if (a.value_exponent != b.value_exponent) {
    return differ("the unit of margins (a power of 2)", int64_t{a.value_exponent},
                  int64_t{b.value_exponent});
  }
  const std::string margins = first_item_difference("base margin", a.base_margins, b.base_margins);
  if (!margins.empty()) return margins;
  for (size_t i = 0; i < std::min(a.trees.size(), b.trees.size()); ++i) {
    const std::string words = tree_difference(a, b, i);
    if (!words.empty()) return words;
  }
  if (a.trees.size() == b.trees.size()) return "";
  return "the first " + std::to_string(std::min(a.trees.size(), b.trees.size())) +
         " trees are the same, but " +
         differ("the number of trees", uint64_t{a.trees.size()}, uint64_t{b.trees.size()});
}

}  // namespace evergrove::model

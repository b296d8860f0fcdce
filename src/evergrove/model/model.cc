// SPDX-License-Identifier: Apache-2.0
#include "evergrove/model/model.h"

#include <cmath>

#include "evergrove/base/sha256.h"

namespace evergrove::model {
namespace {

constexpr std::string_view kMagic = "evergrove model";
constexpr uint32_t kCanonicalVersion = 1;
constexpr int64_t kLargestMargin = int64_t{1} << 53;  // exact in a double

bool in_range(int64_t margin) { return margin >= -kLargestMargin && margin <= kLargestMargin; }

Status bad(std::string_view what, Details details = {}) { return corrupt(what, details); }

Status check_feature(const Feature& feature) {
  if (feature.kind == table::ColumnKind::categorical) {
    if (feature.cuts.empty()) return {};
    return bad("A categorical feature has cuts", {{"feature", feature.name}});
  }
  if (!feature.categories.empty()) {
    return bad("A numeric feature has categories", {{"feature", feature.name}});
  }
  for (size_t i = 0; i < feature.cuts.size(); ++i) {
    if (!std::isfinite(feature.cuts[i]) || (i > 0 && !(feature.cuts[i - 1] < feature.cuts[i]))) {
      return bad("The cuts of a feature do not ascend", {{"feature", feature.name}});
    }
  }
  return {};
}

Status check_split(const Model& model, const Tree& tree, size_t index) {
  const Node& node = tree.nodes[index];
  const auto node_count = static_cast<int64_t>(tree.nodes.size());
  const auto own = static_cast<int64_t>(index);
  if (static_cast<size_t>(node.feature) >= model.features.size()) {
    return bad("A node splits on a feature that the model does not have");
  }
  if (node.left <= own || node.right <= own || node.left >= node_count ||
      node.right >= node_count || node.left == node.right) {
    return bad("A node has children that are not after it");
  }
  const Feature& feature = model.features[node.feature];
  if (feature.kind == table::ColumnKind::numeric) {
    if (std::isnan(node.threshold) || node.threshold == -INFINITY) {
      return bad("A node has a threshold that is not a number", {{"feature", feature.name}});
    }
    if (!node.categories_left.empty()) return bad("A numeric split names categories");
    return {};
  }
  for (size_t i = 0; i < node.categories_left.size(); ++i) {
    if (node.categories_left[i] >= feature.categories.size() ||
        (i > 0 && node.categories_left[i - 1] >= node.categories_left[i])) {
      return bad("A node's categories are out of order or unknown", {{"feature", feature.name}});
    }
  }
  return {};
}

// Reads a number that write_*() wrote. It writes -0.0 as 0.0, so -0.0 is nobody's canonical byte;
// and no cut, threshold or gain is NaN, whose bits an addition may alter.
double read_canonical(ByteReader& in) {
  const double number = in.f64();
  if (std::isnan(number) || (number == 0 && std::signbit(number))) in.fail();
  return number;
}

}  // namespace

std::string_view objective_name(ObjectiveKind kind) {
  switch (kind) {
    case ObjectiveKind::binary:
      return "binary";
    case ObjectiveKind::multiclass:
      return "multiclass";
    case ObjectiveKind::regression:
      return "regression";
  }
  return "binary";
}

Result<ObjectiveKind> objective_from_name(std::string_view name) {
  for (ObjectiveKind kind :
       {ObjectiveKind::binary, ObjectiveKind::multiclass, ObjectiveKind::regression}) {
    if (objective_name(kind) == name) return kind;
  }
  return invalid_input("The objective must be binary, multiclass or regression",
                       {{"given", std::string(name)}});
}

Status validate(const Model& model) {
  if (model.base_margins.empty()) return bad("The model has no output");
  if (model.objective != ObjectiveKind::multiclass && model.base_margins.size() != 1) {
    return bad("The model has more outputs than its objective");
  }
  if (model.value_exponent < -1100 || model.value_exponent > 1000) {
    return bad("The model's value exponent is out of range");
  }
  for (int64_t margin : model.base_margins) {
    if (!in_range(margin)) return bad("A base margin is out of range");
  }
  for (const Feature& feature : model.features) EVERGROVE_RETURN_IF_ERROR(check_feature(feature));
  for (const Tree& tree : model.trees) {
    if (tree.nodes.empty()) return bad("A tree has no nodes");
    if (tree.output >= model.base_margins.size()) return bad("A tree has no such output");
    // Every node but the root is the child of exactly one node before it.
    std::vector<uint8_t> parents(tree.nodes.size(), 0);
    for (size_t i = 0; i < tree.nodes.size(); ++i) {
      const Node& node = tree.nodes[i];
      if (!std::isfinite(node.gain)) return bad("A node's gain is not a number");
      if (node.feature < 0) {
        if (!in_range(node.value)) return bad("A leaf value is out of range");
        continue;
      }
      EVERGROVE_RETURN_IF_ERROR(check_split(model, tree, i));
      if (parents[node.left]++ > 0 || parents[node.right]++ > 0) {
        return bad("A node has two parents");
      }
    }
    for (size_t i = 1; i < parents.size(); ++i) {
      if (parents[i] == 0) return bad("A node has no parent");
    }
  }
  return {};
}

void write_feature(const Feature& feature, ByteWriter& out) {
  out.string(feature.name).u8(static_cast<uint8_t>(feature.kind));
  out.u32(static_cast<uint32_t>(feature.cuts.size()));
  for (double cut : feature.cuts) out.f64(cut + 0.0);  // -0.0 is written as 0.0
  out.u32(static_cast<uint32_t>(feature.categories.size()));
  for (const std::string& category : feature.categories) out.string(category);
}

Feature read_feature(ByteReader& in) {
  Feature feature;
  feature.name = in.string();
  const uint8_t kind = in.u8();
  if (kind > 1) in.fail();
  feature.kind = static_cast<table::ColumnKind>(kind & 1);
  const uint32_t cut_count = in.count(8);
  feature.cuts.reserve(cut_count);
  for (uint32_t i = 0; i < cut_count; ++i) feature.cuts.push_back(read_canonical(in));
  const uint32_t category_count = in.count(4);
  for (uint32_t i = 0; i < category_count && in.ok(); ++i)
    feature.categories.push_back(in.string());
  return feature;
}

void write_tree(const Tree& tree, ByteWriter& out) {
  out.u32(tree.output).u32(static_cast<uint32_t>(tree.nodes.size()));
  for (const Node& node : tree.nodes) {
    out.i32(node.feature);
    if (node.feature >= 0) {
      out.f64(node.threshold + 0.0).u32(static_cast<uint32_t>(node.categories_left.size()));
      for (uint32_t category : node.categories_left) out.u32(category);
      out.u8(node.missing_left).i32(node.left).i32(node.right).f64(node.gain + 0.0);
    } else {
      out.i64(node.value);
    }
    out.u64(node.cover);
  }
}

Tree read_tree(ByteReader& in) {
  Tree tree;
  tree.output = in.u32();
  const uint32_t node_count = in.count(20);  // a leaf's bytes
  for (uint32_t i = 0; i < node_count && in.ok(); ++i) {
    Node node;
    node.feature = in.i32();
    if (node.feature < -1) in.fail();
    if (node.feature >= 0) {
      node.threshold = read_canonical(in);
      const uint32_t category_count = in.count(4);
      for (uint32_t c = 0; c < category_count; ++c) node.categories_left.push_back(in.u32());
      const uint8_t missing_left = in.u8();
      if (missing_left > 1) in.fail();
      node.missing_left = missing_left == 1;
      node.left = in.i32();
      node.right = in.i32();
      node.gain = read_canonical(in);
    } else {
      node.value = in.i64();
    }
    node.cover = in.u64();
    tree.nodes.push_back(std::move(node));
  }
  return tree;
}

std::string canonical_bytes(const Model& model) {
  ByteWriter out;
  out.string(kMagic).u32(kCanonicalVersion).u8(static_cast<uint8_t>(model.objective));
  out.i32(model.value_exponent).u32(static_cast<uint32_t>(model.base_margins.size()));
  for (int64_t margin : model.base_margins) out.i64(margin);
  out.u32(static_cast<uint32_t>(model.features.size()));
  for (const Feature& feature : model.features) write_feature(feature, out);
  out.u32(static_cast<uint32_t>(model.trees.size()));
  for (const Tree& tree : model.trees) write_tree(tree, out);
  return out.take();
}

std::string digest(const Model& model) { return sha256_hex(canonical_bytes(model)); }

}  // namespace evergrove::model

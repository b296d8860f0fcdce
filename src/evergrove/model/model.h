// Model: a forest of binary trees, with all that is needed to score rows and to say what it is.
//
// Promise: the digest is a function of what scoring rows depends on, plus each node's cover and
// gain: features (name, kind, categories), objective, outputs, fixed-point unit, base margins and
// trees. It does not depend on the file it is in, on names of classes, on the metrics, the
// manifest or the parameters that led to it. docs/formats/model.md gives the canonical bytes.
//
// Margins are fixed-point: every leaf value is an integer in units of 2^value_exponent, so a
// margin is an integer sum and its terms may be added in any order.
// A Model is a value. Reading it from many threads is safe.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/status.h"
#include "evergrove/table/row_source.h"

namespace evergrove::model {

enum class ObjectiveKind : uint8_t { binary, multiclass, regression };
std::string_view objective_name(ObjectiveKind kind);  // "binary", ...
Result<ObjectiveKind> objective_from_name(std::string_view name);

// One input column. Numeric: `cuts` ascend strictly, and are the only values that thresholds take
// besides +infinity. Categorical: `categories` are those with a bin of their own, in bin order;
// any other value (missing, rare in training, never seen) is in bin 0, like a missing number.
struct Feature {
  std::string name;
  table::ColumnKind kind = table::ColumnKind::numeric;
  std::vector<double> cuts;
  std::vector<std::string> categories;

  // Bins are 0 (missing) to bin_count() - 1. A number x is in bin 1 + (how many cuts are < x), so
  // that bin b holds cuts[b-2] < x <= cuts[b-1]; a category is in bin 1 + its index.
  uint32_t bin_count() const {
    const size_t values = kind == table::ColumnKind::numeric ? cuts.size() + 1 : categories.size();
    return static_cast<uint32_t>(values + 1);
  }
};

struct Node {
  int32_t feature = -1;  // -1: a leaf
  // Numeric: a row goes left when x <= threshold. +infinity: every number goes left, and only
  // missing goes right. Unused for leaves and categorical features.
  double threshold = 0;
  // Categorical: indices into Feature::categories, ascending, of those that go left.
  std::vector<uint32_t> categories_left;
  bool missing_left = false;  // where missing (bin 0) goes
  int32_t left = -1;          // node indices in the tree, greater than the node's own
  int32_t right = -1;
  int64_t value = 0;   // leaf: margin to add, in units of 2^value_exponent; else 0
  uint64_t cover = 0;  // training rows that reached the node
  double gain = 0;     // loss reduction of the split; 0 for leaves
};

struct Tree {
  std::vector<Node> nodes;  // nodes[0] is the root
  uint32_t output = 0;      // which margin the tree adds to
};

struct MetricValue {
  std::string set;   // "train", "valid", "valid_1", ...
  std::string name;  // "auc", "log_loss", ...
  double value = 0;
};

// What is told about a model, and is no part of its digest.
struct Metadata {
  std::string parameters_json = "{}";  // all parameters, resolved
  std::string label;
  std::string weight;                // empty: none
  std::vector<std::string> classes;  // names of the classes in order; empty for regression
  table::Manifest manifest;          // the training data
  std::vector<std::vector<MetricValue>> metrics;  // one entry an iteration
  uint64_t iteration_count = 0;                   // iterations in `trees`
  uint64_t best_iteration = 0;                    // 1-based; the iterations that are kept
  std::string created_by;                         // "evergrove 0.1.0"
};

struct Model {
  ObjectiveKind objective = ObjectiveKind::binary;
  std::vector<Feature> features;
  int32_t value_exponent = -32;
  std::vector<int64_t> base_margins;  // one an output, in units of 2^value_exponent
  std::vector<Tree> trees;            // iteration by iteration, in each output by output
  Metadata metadata;

  size_t output_count() const { return base_margins.size(); }
};

// Checks everything that scoring relies on: indices, ascending cuts and node order, finite values.
Status validate(const Model& model);

// The canonical bytes of docs/formats/model.md, and their SHA-256 as 64 hex digits.
std::string canonical_bytes(const Model& model);
std::string digest(const Model& model);

// Canonical bytes of the parts, which the run log shares. Reading takes any bytes: what is not a
// tree or a feature makes in.ok() false.
void write_feature(const Feature& feature, ByteWriter& out);
Feature read_feature(ByteReader& in);
void write_tree(const Tree& tree, ByteWriter& out);
Tree read_tree(ByteReader& in);

}  // namespace evergrove::model

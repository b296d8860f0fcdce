// Models as values: what validate() refuses, what the digest covers, where two differ, and how much
// each feature matters.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/model/model.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "evergrove/model/difference.h"
#include "evergrove/model/importance.h"

namespace evergrove::model {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Node numeric_split(double threshold, int32_t left, int32_t right, uint64_t cover, double gain) {
  Node node;
  node.feature = 0;
  node.threshold = threshold;
  node.missing_left = true;
  node.left = left;
  node.right = right;
  node.cover = cover;
  node.gain = gain;
  return node;
}
Node leaf(int64_t value, uint64_t cover) {
  Node node;
  node.value = value;
  node.cover = cover;
  return node;
}

// Amount at 10 first; then the country on its left.
Model small_model() {
  Model model;
  model.features = {{"amount", table::ColumnKind::numeric, {10, 20}, {}},
                    {"country", table::ColumnKind::categorical, {}, {"DE", "FR", "IT"}}};
  model.base_margins = {-5};
  Tree tree;
  tree.nodes = {numeric_split(10, 1, 2, 100, 3), numeric_split(0, 3, 4, 60, 1.5), leaf(7, 40),
                leaf(-2, 20), leaf(4, 40)};
  tree.nodes[1].feature = 1;
  tree.nodes[1].categories_left = {0, 2};
  tree.nodes[1].missing_left = false;
  model.trees = {tree, tree};
  return model;
}

struct Alteration {
  const char* words;  // that the difference is described by
  std::function<void(Model&)> apply;
};

const std::vector<Alteration> kDifferent = {
    {"objective", [](Model& m) { m.objective = ObjectiveKind::regression; }},
    {"the name of feature 0", [](Model& m) { m.features[0].name = "sum"; }},
    {"feature amount, cut 1", [](Model& m) { m.features[0].cuts[1] = 21; }},
    {"number of feature amount, cuts", [](Model& m) { m.features[0].cuts.push_back(30); }},
    {"feature country, category 2", [](Model& m) { m.features[1].categories[2] = "ES"; }},
    {"number of features",
     [](Model& m) {
       m.features.push_back({"z", {}, {}, {}});
     }},
    {"unit of margins", [](Model& m) { m.value_exponent = -31; }},
    {"base margin 0", [](Model& m) { m.base_margins[0] = -6; }},
    {"tree 1, node 0, split", [](Model& m) { m.trees[1].nodes[0].threshold = 20; }},
    {"tree 1, node 0, side of missing", [](Model& m) { m.trees[1].nodes[0].missing_left = false; }},
    {"tree 0, node 1, split", [](Model& m) { m.trees[0].nodes[1].categories_left = {0}; }},
    {"tree 0, node 2, value", [](Model& m) { m.trees[0].nodes[2].value = 8; }},
    {"tree 0, node 2, cover", [](Model& m) { m.trees[0].nodes[2].cover = 41; }},
    {"tree 0, node 0, gain", [](Model& m) { m.trees[0].nodes[0].gain = 2; }},
    {"number of trees", [](Model& m) { m.trees.pop_back(); }},
    {"tree 1, node 0 is a leaf in the second", [](Model& m) { m.trees[1].nodes = {leaf(0, 100)}; }},
};

TEST(Model, EveryDifferenceChangesTheDigestAndIsFoundInWords) {
  const Model model = small_model();
  EXPECT_EQ(first_difference(model, model), "");
  for (const Alteration& alteration : kDifferent) {
    Model other = model;
    alteration.apply(other);
    EXPECT_NE(digest(other), digest(model)) << alteration.words;
    const std::string words = first_difference(model, other);
    EXPECT_NE(words.find(alteration.words), std::string::npos) << words;
  }
}

TEST(Model, WhatIsOnlyToldDoesNotChangeTheDigest) {
  const Model model = small_model();
  Model other = model;
  other.metadata.label = "fraud";
  other.metadata.parameters_json = "{\"seed\": 7}";
  other.metadata.metrics = {{{"valid", "auc", 0.9}}};
  other.metadata.manifest.row_count = 12;
  EXPECT_EQ(digest(other), digest(model));
}

TEST(Model, ValidateTakesAWholeModelAndRefusesABrokenOne) {
  ASSERT_TRUE(validate(small_model()).ok()) << validate(small_model()).message();
  const std::vector<std::function<void(Model&)>> broken = {
      [](Model& m) { m.base_margins.clear(); },
      [](Model& m) {
        m.base_margins = {1, 2};
      },
      [](Model& m) { m.base_margins[0] = int64_t{1} << 60; },
      [](Model& m) { m.value_exponent = 2000; },
      [](Model& m) {
        m.features[0].cuts = {20, 10};
      },
      [](Model& m) { m.features[0].cuts[1] = kInfinity; },
      [](Model& m) { m.features[0].categories = {"x"}; },
      [](Model& m) { m.features[1].cuts = {1}; },
      [](Model& m) { m.trees[0].nodes.clear(); },
      [](Model& m) { m.trees[0].output = 1; },
      [](Model& m) { m.trees[0].nodes[0].feature = 2; },
      [](Model& m) { m.trees[0].nodes[0].left = 0; },
      [](Model& m) { m.trees[0].nodes[0].right = 5; },
      [](Model& m) { m.trees[0].nodes[0].right = 1; },
      [](Model& m) { m.trees[0].nodes[1].right = 2; },
      [](Model& m) {
        m.trees[0].nodes[1].categories_left = {2, 0};
      },
      [](Model& m) { m.trees[0].nodes[1].categories_left = {3}; },
      [](Model& m) { m.trees[0].nodes[0].categories_left = {0}; },
      [](Model& m) { m.trees[0].nodes[0].threshold = std::numeric_limits<double>::quiet_NaN(); },
      [](Model& m) { m.trees[0].nodes[0].gain = kInfinity; },
      [](Model& m) { m.trees[0].nodes[2].value = int64_t{1} << 60; },
      [](Model& m) { m.trees[0].nodes.push_back({}); },
  };
  for (size_t i = 0; i < broken.size(); ++i) {
    Model model = small_model();
    broken[i](model);
    EXPECT_EQ(validate(model).kind(), StatusKind::corrupt) << "alteration " << i;
  }
  Model unlimited = small_model();
  unlimited.trees[0].nodes[0].threshold = kInfinity;
  EXPECT_TRUE(validate(unlimited).ok()) << "every number may go left, and missing right";
}

TEST(Model, ImportanceSumsOverTheSplits) {
  const Model model = small_model();
  EXPECT_EQ(importance(model, ImportanceKind::gain), (std::vector<double>{6, 3}));
  EXPECT_EQ(importance(model, ImportanceKind::split), (std::vector<double>{2, 2}));
  EXPECT_EQ(importance(model, ImportanceKind::cover), (std::vector<double>{200, 120}));
  EXPECT_EQ(importance_from_name("cover").value(), ImportanceKind::cover);
  EXPECT_EQ(importance_from_name("weight").status().kind(), StatusKind::invalid_input);
}

// A change here is a new canonical version; docs/formats/model.md has the bytes.
TEST(Model, TheCanonicalBytesAreWhatTheyWere) {
  EXPECT_EQ(digest(small_model()),
            "f0b8abcd094939da5b276bb4f6ed1e1969de1611ea3ffea426d8021c995b0a16");
}

}  // namespace
}  // namespace evergrove::model

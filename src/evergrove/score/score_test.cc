// The scorer against its slow, obvious twin: a walk of the model's own nodes on raw values, row by
// row. Same margins and same leaves for any model, any values, any block size, any threads.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "evergrove/base/hash.h"
#include "evergrove/exact/exp_log.h"
#include "evergrove/exact/testing_simd.h"
#include "evergrove/score/scorer.h"
#include "evergrove/table/memory_source.h"

namespace evergrove::score {
namespace {

using model::Feature;
using model::Model;
using model::Node;
using model::Tree;
using table::ColumnKind;
using table::ColumnValues;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Random numbers with a memory, for tests only.
class Dice {
 public:
  explicit Dice(uint64_t seed) : key_(seed, "dice") {}
  uint64_t bits() { return key_.at(count_++); }
  size_t below(size_t n) { return bits() % n; }
  bool one_in(size_t n) { return below(n) == 0; }
  double uniform() { return double(bits() >> 11) * 0x1p-53; }

 private:
  RandomKey key_;
  uint64_t count_ = 0;
};

// ---- the twin ----

bool goes_left(const Model& model, const Node& node, const ColumnValues& column, size_t row) {
  const Feature& feature = model.features[node.feature];
  if (feature.kind == ColumnKind::numeric) {
    const double x = column.number(row);
    return std::isnan(x) ? node.missing_left : x <= node.threshold;
  }
  if (column.codes[row] < 0) return node.missing_left;
  const std::string& name = column.dictionary[column.codes[row]];
  const auto found = std::find(feature.categories.begin(), feature.categories.end(), name);
  if (found == feature.categories.end()) return node.missing_left;
  const auto category = static_cast<uint32_t>(found - feature.categories.begin());
  return std::count(node.categories_left.begin(), node.categories_left.end(), category) > 0;
}

int32_t leaf_of(const Model& model, const Tree& tree, const table::RowBlock& block, size_t row) {
  int32_t index = 0;
  while (tree.nodes[index].feature >= 0) {
    const Node& node = tree.nodes[index];
    index = goes_left(model, node, block.columns[node.feature], row) ? node.left : node.right;
  }
  return index;
}

void expect_like_twin(const Model& model, const table::RowSource& source) {
  ASSERT_TRUE(model::validate(model).ok()) << model::validate(model).message();
  const Scorer scorer(model);
  ASSERT_EQ(scorer.output_count(), model.output_count());
  ASSERT_EQ(scorer.tree_count(), model.trees.size());
  std::vector<size_t> columns(model.features.size());
  std::iota(columns.begin(), columns.end(), 0);
  for (size_t b = 0; b < source.blocks().size(); ++b) {
    const auto block = source.read(b, columns);
    ASSERT_TRUE(block.ok());
    std::vector<int64_t> margins(block->row_count * model.output_count(), -1);
    std::vector<int32_t> leaves(block->row_count * model.trees.size(), -1);
    scorer.margins(*block, margins);
    scorer.leaves(*block, leaves);
    for (size_t row = 0; row < block->row_count; ++row) {
      std::vector<int64_t> expected = model.base_margins;
      for (size_t t = 0; t < model.trees.size(); ++t) {
        const int32_t leaf = leaf_of(model, model.trees[t], *block, row);
        ASSERT_EQ(leaves[row * model.trees.size() + t], leaf) << "tree " << t << " row " << row;
        expected[model.trees[t].output] += model.trees[t].nodes[leaf].value;
      }
      for (size_t k = 0; k < expected.size(); ++k) {
        ASSERT_EQ(margins[row * expected.size() + k], expected[k]) << "row " << row;
      }
    }
  }
}

// ---- models and rows from dice ----

Feature random_feature(Dice& dice, size_t index, size_t size_max) {
  Feature feature;
  feature.name = "x" + std::to_string(index);
  if (dice.one_in(3)) {
    feature.kind = ColumnKind::categorical;
    const size_t count = dice.below(size_max + 1);
    for (size_t i = 0; i < count; ++i) feature.categories.push_back("c" + std::to_string(i));
    return feature;
  }
  const size_t count = dice.below(size_max + 1);
  for (size_t i = 0; i < count; ++i) {
    feature.cuts.push_back(dice.one_in(20) ? 0.0 : std::tan(3 * (dice.uniform() - 0.5)));
  }
  std::sort(feature.cuts.begin(), feature.cuts.end());
  feature.cuts.erase(std::unique(feature.cuts.begin(), feature.cuts.end()), feature.cuts.end());
  return feature;
}

void split(Dice& dice, const Model& model, Tree& tree, size_t leaf) {
  Node node;
  node.feature = static_cast<int32_t>(dice.below(model.features.size()));
  node.missing_left = dice.one_in(2);
  const Feature& feature = model.features[node.feature];
  if (feature.kind == ColumnKind::categorical) {
    for (uint32_t i = 0; i < feature.categories.size(); ++i) {
      if (dice.one_in(2)) node.categories_left.push_back(i);
    }
  } else if (feature.cuts.empty() || dice.one_in(8)) {
    node.threshold = kInfinity;
  } else {
    node.threshold = feature.cuts[dice.below(feature.cuts.size())];
    if (node.threshold == 0 && dice.one_in(2)) node.threshold = -0.0;
  }
  node.left = static_cast<int32_t>(tree.nodes.size());
  node.right = node.left + 1;
  if (dice.one_in(3)) std::swap(node.left, node.right);
  tree.nodes[leaf] = node;
  for (int i = 0; i < 2; ++i) {
    Node child;
    child.value = static_cast<int64_t>(dice.bits() >> 20) - (int64_t{1} << 43);
    tree.nodes.push_back(child);
  }
}

struct ModelShape {
  size_t features_max = 8;
  size_t cuts_max = 40;
  size_t trees_max = 12;
  size_t splits_max = 60;
  size_t outputs_max = 4;
};

Model random_model(Dice& dice, const ModelShape& shape) {
  Model model;
  const size_t outputs = 1 + dice.below(shape.outputs_max);
  if (outputs > 1) model.objective = model::ObjectiveKind::multiclass;
  for (size_t k = 0; k < outputs; ++k) {
    model.base_margins.push_back(static_cast<int64_t>(dice.below(1000)) - 500);
  }
  const size_t feature_count = 1 + dice.below(shape.features_max);
  for (size_t i = 0; i < feature_count; ++i) {
    model.features.push_back(random_feature(dice, i, shape.cuts_max));
  }
  const size_t tree_count = dice.below(shape.trees_max + 1);
  for (size_t t = 0; t < tree_count; ++t) {
    Tree tree;
    tree.output = static_cast<uint32_t>(dice.below(outputs));
    tree.nodes.emplace_back().value = static_cast<int64_t>(dice.below(100));
    const size_t splits = dice.below(shape.splits_max + 1);
    const bool deep = dice.one_in(3);  // always the newest leaf, which makes a chain
    for (size_t i = 0; i < splits; ++i) {
      size_t leaf = tree.nodes.size() - 1;
      while (!deep && tree.nodes[leaf = dice.below(tree.nodes.size())].feature >= 0) {
      }
      split(dice, model, tree, leaf);
    }
    model.trees.push_back(std::move(tree));
  }
  return model;
}

double random_number(Dice& dice, const Feature& feature) {
  const size_t kind = dice.below(12);
  if (kind == 0) return kNaN;
  if (kind == 1) return dice.one_in(2) ? kInfinity : -kInfinity;
  if (kind == 2) return dice.one_in(2) ? 0.0 : -0.0;
  if (kind == 3) return dice.one_in(2) ? std::numeric_limits<double>::max() : 5e-324;
  if (kind < 8 && !feature.cuts.empty()) {
    const double cut = feature.cuts[dice.below(feature.cuts.size())];
    if (kind < 6) return cut;
    return std::nextafter(cut, kind == 6 ? kInfinity : -kInfinity);
  }
  return std::tan(3 * (dice.uniform() - 0.5));
}

ColumnValues random_column(Dice& dice, const Feature& feature, size_t row_count) {
  if (feature.kind == ColumnKind::categorical) {
    // Known names in another order, some twice as many that the model never saw.
    std::vector<std::string> dictionary{"never seen", ""};
    for (size_t i = feature.categories.size(); i > 0; --i) {
      dictionary.push_back(feature.categories[i - 1]);
    }
    std::vector<int32_t> codes(row_count);
    for (int32_t& code : codes) code = static_cast<int32_t>(dice.below(dictionary.size() + 1)) - 1;
    return ColumnValues::of(std::move(codes), std::move(dictionary));
  }
  std::vector<double> values(row_count);
  for (double& value : values) value = random_number(dice, feature);
  if (dice.one_in(2)) return ColumnValues::of(std::move(values));
  auto floats = std::make_shared<std::vector<float>>();
  for (double value : values) floats->push_back(static_cast<float>(value));
  ColumnValues column;
  column.f32 = *floats;
  column.owner = floats;
  return column;
}

table::MemorySource random_rows(Dice& dice, const Model& model, size_t row_count,
                                size_t block_rows) {
  std::vector<table::ColumnSpec> schema;
  std::vector<ColumnValues> columns;
  for (const Feature& feature : model.features) {
    schema.push_back({feature.name, feature.kind, ""});
    columns.push_back(random_column(dice, feature, row_count));
  }
  return table::MemorySource(std::move(schema), std::move(columns), row_count, block_rows);
}

// ---- laws ----

RC_GTEST_PROP(Scorer, EndsWhereTheTwinEnds, (uint64_t seed)) {
  Dice dice(seed);
  const Model model = random_model(dice, {});
  const size_t block_rows = 1 + dice.below(700);
  expect_like_twin(model, random_rows(dice, model, 1 + dice.below(1200), block_rows));
  RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Scorer, EndsWhereTheTwinEndsWithSixteenBitCodes) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Dice dice(seed);
    const Model model =
        random_model(dice, {.features_max = 3, .cuts_max = 900, .splits_max = 3000});
    expect_like_twin(model, random_rows(dice, model, 700, 300));
  }
}

TEST(Scorer, HasRoomForManyFeatures) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Dice dice(seed);
    const Model model = random_model(
        dice, {.features_max = 3000, .cuts_max = 5, .trees_max = 30, .splits_max = 500});
    expect_like_twin(model, random_rows(dice, model, 150, 100));
  }
}

// A tree that splits in so many ways at most, each at any depth, as symmetric growth does with one
// a level.
Tree few_ways_tree(Dice& dice, const Model& model, size_t ways, size_t splits) {
  Tree tree;
  tree.output = static_cast<uint32_t>(dice.below(model.output_count()));
  tree.nodes.emplace_back().value = 3;
  std::vector<Node> known;
  for (size_t i = 0; i < splits; ++i) {
    size_t leaf = dice.below(tree.nodes.size());
    while (tree.nodes[leaf].feature >= 0) leaf = dice.below(tree.nodes.size());
    split(dice, model, tree, leaf);
    Node& node = tree.nodes[leaf];
    if (known.size() < ways) {
      known.push_back(node);
      continue;
    }
    const int32_t left = node.left;
    const int32_t right = node.right;
    node = known[dice.below(known.size())];
    node.left = left;
    node.right = right;
  }
  return tree;
}

TEST(Scorer, EndsWhereTheTwinEndsWithAnyInstructions) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Dice dice(seed);
    ModelShape shape{.features_max = 6, .cuts_max = 200};
    // Few leaves, and as many as are told by a byte, and more; and more trees than bytes are
    // summed of without a break.
    shape.splits_max = seed % 3 == 0 ? 15 : seed % 3 == 1 ? 150 : 500;
    shape.trees_max = seed % 5 == 0 ? 700 : 12;
    Model model = random_model(dice, shape);
    for (size_t i = 0; i < 4; ++i) {
      model.trees.push_back(few_ways_tree(dice, model, 1 + dice.below(9), dice.below(80)));
    }
    const table::MemorySource rows = random_rows(dice, model, 1 + dice.below(600), 300);
    exact::with_each_simd([&] { expect_like_twin(model, rows); });
  }
}

// A chain of splits on one numeric feature, at the given thresholds one after the other.
Tree chain(const std::vector<double>& thresholds) {
  Tree tree;
  tree.nodes.emplace_back();
  for (double threshold : thresholds) {
    Node& node = tree.nodes.back();
    node.feature = 0;
    node.threshold = threshold;
    const auto size = static_cast<int32_t>(tree.nodes.size());
    node.missing_left = size % 3 == 0;
    node.left = size;
    node.right = size + 1;
    tree.nodes.emplace_back().value = size;
    tree.nodes.emplace_back().value = -size;
  }
  return tree;
}

Model one_feature_model(size_t cut_count) {
  Model model;
  model.base_margins = {17};
  Feature& feature = model.features.emplace_back();
  feature.name = "x";
  for (size_t i = 0; i < cut_count; ++i) feature.cuts.push_back(double(i) / 4 - 100);
  return model;
}

TEST(Scorer, WalksAChainOfTenThousandNodes) {
  Model model = one_feature_model(10'000);
  model.trees.push_back(chain(model.features[0].cuts));
  Dice dice(1);
  expect_like_twin(model, random_rows(dice, model, 600, 600));
}

TEST(Scorer, TellsSixtyThousandThresholdsApart) {
  // As many as 16-bit codes hold, and more; in one tree of more nodes than 16 bits can name, and
  // in many small ones.
  for (const size_t cut_count : {size_t{253}, size_t{254}, size_t{255}, size_t{256}, size_t{60'000},
                                 size_t{65'534}, size_t{65'535}, size_t{70'000}}) {
    Model model = one_feature_model(cut_count);
    const std::vector<double>& cuts = model.features[0].cuts;
    for (size_t i = 0; i < cuts.size(); i += 16) {
      const size_t end = std::min(cuts.size(), i + 16);
      model.trees.push_back(chain({cuts.begin() + i, cuts.begin() + end}));
    }
    Dice dice(cut_count);
    expect_like_twin(model, random_rows(dice, model, 60, 60));
  }
}

TEST(Scorer, AddsUpTheLargestBytesOfManyTrees) {
  Model model = one_feature_model(3);
  for (size_t i = 0; i < 1100; ++i) {
    Tree& tree = model.trees.emplace_back(chain({model.features[0].cuts[1]}));
    tree.nodes[1].value = 255;
    tree.nodes[2].value = -255 * 256;
  }
  Dice dice(7);
  const table::MemorySource rows = random_rows(dice, model, 300, 300);
  exact::with_each_simd([&] { expect_like_twin(model, rows); });
}

TEST(Scorer, TakesATreeOfMoreNodesThanSixteenBitsCanName) {
  Model model = one_feature_model(20);
  Dice dice(5);
  Tree& tree = model.trees.emplace_back();
  tree.nodes.emplace_back();
  for (size_t leaf = 0; leaf < 40'000; ++leaf) split(dice, model, tree, leaf);
  expect_like_twin(model, random_rows(dice, model, 500, 500));
}

TEST(Scorer, GivesTheSameBitsForAnyThreadsAndBlocks) {
  Dice dice(3);
  const Model model = random_model(dice, {.trees_max = 40, .splits_max = 100});
  Dice row_dice(4);
  const table::MemorySource source = random_rows(row_dice, model, 20'000, 20'000);
  std::vector<size_t> columns(model.features.size());
  std::iota(columns.begin(), columns.end(), 0);
  const Scorer scorer(model);
  std::vector<int64_t> expected(20'000 * model.output_count());
  scorer.margins(*source.read(0, columns), expected);
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 8);
  for (const int threads : {1, 2, 3, 8}) {
    for (const size_t block_rows : {size_t{1000}, size_t{777}, size_t{64}}) {
      Dice again(4);
      const table::MemorySource blocks = random_rows(again, model, 20'000, block_rows);
      tbb::task_arena arena(threads);
      for (size_t b = 0; b < blocks.blocks().size(); ++b) {
        const auto block = blocks.read(b, columns);
        std::vector<int64_t> margins(block->row_count * model.output_count());
        arena.execute([&] { scorer.margins(*block, margins); });
        ASSERT_TRUE(std::equal(margins.begin(), margins.end(),
                               expected.begin() + static_cast<std::ptrdiff_t>(
                                                      block->first_row * model.output_count())));
      }
    }
  }
}

TEST(Scorer, ScoresNoRowsAndModelsWithoutTreesOrSplits) {
  Model model = one_feature_model(3);
  Dice dice(1);
  expect_like_twin(model, random_rows(dice, model, 100, 100));
  model.trees.emplace_back().nodes.emplace_back().value = 5;
  expect_like_twin(model, random_rows(dice, model, 100, 100));
  table::RowBlock empty;
  empty.columns.resize(1);
  const Scorer scorer(model);
  scorer.margins(empty, {});
  scorer.leaves(empty, {});
  EXPECT_TRUE(scorer.used_features().empty());
}

TEST(Scorer, DoesNotLookAtFeaturesThatNoTreeUses) {
  Model model;
  model.base_margins = {0};
  model.features.resize(3);
  for (Feature& feature : model.features) feature.cuts = {1};
  Tree tree = chain({1.0});
  tree.nodes[0].feature = 1;
  model.trees.push_back(tree);
  const Scorer scorer(model);
  ASSERT_EQ(scorer.used_features().size(), 1u);
  EXPECT_EQ(scorer.used_features()[0], 1u);
  table::RowBlock block;
  block.row_count = 2;
  block.columns.resize(3);
  block.columns[1] = ColumnValues::of({0.0, 2.0});
  std::vector<int64_t> margins(2);
  scorer.margins(block, margins);
  EXPECT_EQ(margins, (std::vector<int64_t>{1, -1}));
}

TEST(ScorerDeathTest, RefusesRoomOfTheWrongSize) {
  const Scorer scorer(one_feature_model(3));
  table::RowBlock block;
  block.row_count = 2;
  block.columns.push_back(ColumnValues::of({0.0, 2.0}));
  std::vector<int64_t> margins(3);
  EXPECT_DEATH(scorer.margins(block, margins), "margins.size");
  block.columns.clear();
  margins.resize(2);
  EXPECT_DEATH(scorer.margins(block, margins), "columns.size");
}

// ---- probabilities ----

TEST(Probabilities, AreSigmoidSoftmaxOrTheValueItself) {
  const std::vector<int64_t> margins{0, 3 << 20, -(5 << 20), 1 << 22, -(1 << 24), 7};
  std::vector<double> out(margins.size());
  Model model;
  model.value_exponent = -20;
  model.base_margins = {0};
  probabilities(model, margins, out);
  for (size_t i = 0; i < margins.size(); ++i) {
    EXPECT_EQ(out[i], exact::sigmoid(double(margins[i]) * 0x1p-20));
  }
  model.objective = model::ObjectiveKind::regression;
  probabilities(model, margins, out);
  for (size_t i = 0; i < margins.size(); ++i) EXPECT_EQ(out[i], double(margins[i]) * 0x1p-20);

  model.objective = model::ObjectiveKind::multiclass;
  model.base_margins = {0, 0, 0};
  probabilities(model, margins, out);
  for (size_t row = 0; row < 2; ++row) {
    double sum = 0;
    double exponentials = 0;
    for (size_t k = 0; k < 3; ++k) exponentials += std::exp(double(margins[3 * row + k]) * 0x1p-20);
    for (size_t k = 0; k < 3; ++k) {
      const double p = std::exp(double(margins[3 * row + k]) * 0x1p-20) / exponentials;
      EXPECT_NEAR(out[3 * row + k], p, 1e-15);
      sum += out[3 * row + k];
    }
    EXPECT_NEAR(sum, 1, 1e-15);
  }
}

TEST(Probabilities, StayBetweenZeroAndOneForHugeMargins) {
  Model model;
  model.value_exponent = -10;
  model.base_margins = {0};
  std::vector<double> out(2);
  probabilities(model, std::vector<int64_t>{int64_t{1} << 52, -(int64_t{1} << 52)}, out);
  EXPECT_EQ(out, (std::vector<double>{1, 0}));
  model.objective = model::ObjectiveKind::multiclass;
  model.base_margins = {0, 0};
  probabilities(model, std::vector<int64_t>{int64_t{1} << 52, -(int64_t{1} << 52)}, out);
  EXPECT_EQ(out, (std::vector<double>{1, 0}));
}

TEST(Probabilities, DoNotDependOnWhatIsScoredWithARow) {
  Model model;
  model.objective = model::ObjectiveKind::multiclass;
  model.base_margins = {0, 0, 0, 0, 0};
  Dice dice(9);
  std::vector<int64_t> margins(5 * 37);
  for (int64_t& margin : margins) margin = static_cast<int64_t>(dice.bits() >> 27) - (1ll << 36);
  std::vector<double> together(margins.size());
  probabilities(model, margins, together);
  for (size_t row = 0; row < 37; ++row) {
    std::vector<double> alone(5);
    probabilities(model, std::span(margins).subspan(row * 5, 5), alone);
    for (size_t k = 0; k < 5; ++k) EXPECT_EQ(alone[k], together[row * 5 + k]);
  }
}

}  // namespace
}  // namespace evergrove::score

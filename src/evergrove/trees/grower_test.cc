// The grower against a slow, obvious twin that grows leaf by leaf, sums row by row and tries every
// split; and against itself with other numbers of threads.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/trees/grower.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cmath>
#include <map>
#include <string>

#include "evergrove/base/hash.h"
#include "evergrove/trees/binned_tree.h"

namespace evergrove::trees {
namespace {

struct ProblemOptions {
  size_t rows = 3000;
  size_t numeric = 4;
  size_t categorical = 2;
  uint32_t bins = 20;
  bool wide = false;
  bool missing = true;
  uint64_t seed = 1;
};

struct Problem {
  std::vector<model::Feature> features;
  bins::BinMatrix bins;
  Gradients gradients;

  explicit Problem(const ProblemOptions& options) {
    const RandomKey key(options.seed, "problem");
    for (size_t f = 0; f < options.numeric; ++f) {
      model::Feature feature{"n" + std::to_string(f), table::ColumnKind::numeric, {}, {}};
      for (uint32_t i = 0; i + 1 < options.bins; ++i) feature.cuts.push_back(i + 0.5);
      features.push_back(feature);
    }
    for (size_t f = 0; f < options.categorical; ++f) {
      model::Feature feature{"c" + std::to_string(f), table::ColumnKind::categorical, {}, {}};
      const size_t count = f == 0 ? 3 : 12;
      for (size_t i = 0; i < count; ++i) feature.categories.push_back("v" + std::to_string(i));
      features.push_back(feature);
    }
    bins = bins::BinMatrix(options.rows, features);
    gradients.wide = options.wide;
    gradients.g_unit = 1.0 / (options.wide ? kWideMax : kNarrowMax);
    gradients.h_unit = 0.25 / (options.wide ? kWideMax : kNarrowMax);
    for (size_t row = 0; row < options.rows; ++row) {
      double signal = 0;
      for (size_t f = 0; f < features.size(); ++f) {
        uint64_t bits = key.at(row * 64 + f);
        uint32_t bin = 1 + bits % (features[f].bin_count() - 1);
        if (options.missing && (bits >> 40) % 10 == 0 && f % 2 == 0) bin = 0;
        if (bins.bin_bytes() == 1) {
          bins.column<uint8_t>(f)[row] = static_cast<uint8_t>(bin);
        } else {
          bins.column<uint16_t>(f)[row] = static_cast<uint16_t>(bin);
        }
        signal += std::sin(bin * 1.3 + f);
      }
      const double noise = double(key.at(~row) >> 11) * 0x1p-53 - 0.5;
      const double g = std::clamp(0.3 * signal + noise, -1.0, 1.0);
      const double h = 0.2 + 0.8 * double(key.at(row * 64 + 63) >> 11) * 0x1p-53;
      if (options.wide) {
        gradients.wide_pairs.push_back(
            {static_cast<int32_t>(g * kWideMax), static_cast<int32_t>(h * kWideMax)});
      } else {
        gradients.narrow.push_back(
            {static_cast<int16_t>(g * kNarrowMax), static_cast<uint16_t>(h * kNarrowMax)});
      }
    }
    bins.build_rows();
  }

  Sums sums_of(uint32_t row) const {
    if (gradients.wide) {
      return {gradients.wide_pairs[row].g, gradients.wide_pairs[row].h, 1};
    }
    return {gradients.narrow[row].g, gradients.narrow[row].h, 1};
  }
};

// The twin. Nodes by their path; best-first by (gain, path), as the grower's header promises.
class SlowGrower {
 public:
  SlowGrower(const Problem& problem, const GrowthOptions& options)
      : problem_(problem), options_(options) {}

  struct Node {
    std::vector<uint32_t> rows;
    uint32_t depth = 0;
    uint64_t path = 1;
    Split split;
    int node = 0;
  };

  model::Tree grow() {
    Node root;
    for (uint32_t row = 0; row < problem_.bins.row_count(); ++row) root.rows.push_back(row);
    std::vector<Node> open;
    tree_.nodes.resize(1);
    add(open, std::move(root));
    uint32_t leaves = 1;
    while (leaves < options_.leaves_max && !open.empty()) {
      size_t best = 0;
      for (size_t i = 1; i < open.size(); ++i) {
        if (before(open[i], open[best])) best = i;
      }
      Node node = std::move(open[best]);
      open.erase(open.begin() + static_cast<long>(best));
      divide(open, node);
      ++leaves;
    }
    return tree_;
  }

 private:
  bool before(const Node& a, const Node& b) const {
    if (options_.order == GrowthOrder::by_level && a.depth != b.depth) return a.depth < b.depth;
    if (a.split.gain != b.split.gain) return a.split.gain > b.split.gain;
    return a.path < b.path;
  }

  bool goes_left(const Split& split, uint32_t row) const {
    const uint32_t bin = problem_.bins.bin(row, static_cast<size_t>(split.feature));
    if (bin == 0) return split.missing_left;
    if (problem_.features[split.feature].kind == table::ColumnKind::numeric) {
      return bin <= split.bin_last;
    }
    return std::count(split.bins_left.begin(), split.bins_left.end(), bin) > 0;
  }

  Sums total(const std::vector<uint32_t>& rows) const {
    Sums sums;
    for (uint32_t row : rows) sums = sums + problem_.sums_of(row);
    return sums;
  }

  GradientUnits units() const { return {problem_.gradients.g_unit, problem_.gradients.h_unit}; }

  void consider(Split split, const Node& node, double extra_l2, Split& best) const {
    split.left = {};
    for (uint32_t row : node.rows) {
      if (goes_left(split, row)) split.left = split.left + problem_.sums_of(row);
    }
    const Sums sums = total(node.rows);
    const Sums right = sums - split.left;
    for (const Sums& side : {split.left, right}) {
      if (side.count < static_cast<int64_t>(options_.leaf_rows_min)) return;
      if (double(side.h) * units().h < options_.leaf_hessian_min) return;
    }
    GrowthOptions with = options_;
    with.lambda_l2 += extra_l2;
    const double own = leaf_score(sums, units(), options_);
    const double score = leaf_score(split.left, units(), with) + leaf_score(right, units(), with);
    if (!(score > own + std::max(2 * options_.gain_min, 1e-9 * own))) return;
    split.gain = (score - own) / 2;
    if (split.gain > best.gain) best = split;
  }

  Split find(const Node& node) const {
    Split best;
    for (size_t f = 0; f < problem_.features.size(); ++f) {
      const model::Feature& feature = problem_.features[f];
      std::map<uint32_t, Sums> present;
      for (uint32_t row : node.rows) {
        Sums& sums = present[problem_.bins.bin(row, f)];
        sums = sums + problem_.sums_of(row);
      }
      Split split;
      split.feature = static_cast<int32_t>(f);
      if (feature.kind == table::ColumnKind::numeric) {
        for (bool missing_left : {false, true}) {
          if (missing_left && present.count(0) == 0) continue;
          for (uint32_t bin = 1; bin < feature.bin_count(); ++bin) {
            split.bin_last = bin;
            split.missing_left = missing_left;
            consider(split, node, 0, best);
          }
        }
        if (best.feature == static_cast<int32_t>(f) && present.count(0) == 0) {
          best.missing_left = 2 * best.left.count >= static_cast<int64_t>(node.rows.size());
        }
        continue;
      }
      if (present.size() < 2) continue;
      if (present.size() <= options_.onehot_max) {
        for (const auto& [bin, sums] : present) {
          split.missing_left = bin == 0;
          split.bins_left = bin == 0 ? std::vector<uint32_t>{} : std::vector<uint32_t>{bin};
          consider(split, node, 0, best);
        }
        continue;
      }
      std::vector<std::pair<double, uint32_t>> order;
      for (const auto& [bin, sums] : present) {
        const uint64_t rows_min = options_.category_rows(feature.categories.size());
        if (sums.count < static_cast<int64_t>(rows_min)) continue;
        order.emplace_back(
            double(sums.g) * units().g / (double(sums.h) * units().h + options_.category_smooth),
            bin);
      }
      std::sort(order.begin(), order.end());
      const size_t longest = (order.size() + 1) / 2;
      for (bool from_top : {false, true}) {
        if (from_top) std::reverse(order.begin(), order.end());
        split.bins_left.clear();
        split.missing_left = false;
        for (size_t i = 0; i < longest; ++i) {
          if (order[i].second == 0) {
            split.missing_left = true;
          } else {
            split.bins_left.push_back(order[i].second);
          }
          Split sorted = split;
          std::sort(sorted.bins_left.begin(), sorted.bins_left.end());
          consider(sorted, node, options_.category_l2, best);
        }
      }
    }
    return best;
  }

  void add(std::vector<Node>& open, Node node) {
    model::Node& out = tree_.nodes[node.node];
    const Sums sums = total(node.rows);
    out.cover = node.rows.size();
    out.value = leaf_value(sums, units(), options_);
    if (options_.depth_max > 0 && node.depth >= options_.depth_max) return;
    node.split = find(node);
    if (node.split.found()) open.push_back(std::move(node));
  }

  void divide(std::vector<Node>& open, const Node& node) {
    const model::Feature& feature = problem_.features[node.split.feature];
    model::Node& out = tree_.nodes[node.node];
    out.feature = node.split.feature;
    out.value = 0;
    out.gain = node.split.gain;
    out.missing_left = node.split.missing_left;
    if (feature.kind == table::ColumnKind::numeric) {
      const size_t cut = node.split.bin_last - 1;
      out.threshold = cut < feature.cuts.size() ? feature.cuts[cut] : INFINITY;
    }
    for (uint32_t bin : node.split.bins_left) out.categories_left.push_back(bin - 1);
    out.left = static_cast<int32_t>(tree_.nodes.size());
    out.right = out.left + 1;
    Node left, right;
    left.node = out.left;
    right.node = out.right;
    left.depth = right.depth = node.depth + 1;
    left.path = mix64(2 * node.path + RandomKey::kGamma);
    right.path = mix64(2 * node.path + 1 + RandomKey::kGamma);
    for (uint32_t row : node.rows) {
      (goes_left(node.split, row) ? left : right).rows.push_back(row);
    }
    tree_.nodes.resize(tree_.nodes.size() + 2);
    add(open, std::move(left));
    add(open, std::move(right));
  }

  const Problem& problem_;
  GrowthOptions options_;
  model::Tree tree_;
};

std::string text(const model::Tree& tree) {
  ByteWriter out;
  std::string lines;
  for (const model::Node& node : tree.nodes) {
    char line[200];
    std::snprintf(line, sizeof(line), "%d %.17g %d %d %d %lld %llu %.17g", node.feature,
                  node.feature < 0 ? 0 : node.threshold, node.missing_left, node.left, node.right,
                  static_cast<long long>(node.value), static_cast<unsigned long long>(node.cover),
                  node.gain);
    lines += line;
    for (uint32_t category : node.categories_left) lines += " c" + std::to_string(category);
    lines += '\n';
  }
  return lines;
}

model::Tree grow(const Problem& problem, const GrowthOptions& options, int threads = 2) {
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 8);
  tbb::task_arena arena(threads);
  Grower grower(problem.bins, problem.features, options);
  return arena.execute([&] { return grower.grow(problem.gradients, 0, 0, {}).tree; });
}

GrowthOptions small_leaves() {
  GrowthOptions options;
  options.leaf_rows_min = 7;
  options.category_rows_min = 5;
  options.leaves_max = 40;
  return options;
}

TEST(Grower, GrowsTheTreeOfTheSlowTwin) {
  for (const bool wide : {false, true}) {
    for (const bool missing : {false, true}) {
      for (uint64_t seed = 1; seed <= 4; ++seed) {
        for (const GrowthOrder order : {GrowthOrder::best_first, GrowthOrder::by_level}) {
          ProblemOptions shape;
          shape.wide = wide;
          shape.missing = missing;
          shape.seed = seed;
          shape.rows = 400 + 700 * seed;
          const Problem problem(shape);
          GrowthOptions options = small_leaves();
          options.order = order;
          options.depth_max = order == GrowthOrder::by_level ? 5 : 0;
          options.lambda_l1 = seed == 2 ? 0.5 : 0;
          options.gain_min = seed == 3 ? 0.3 : 0;
          const model::Tree slow = SlowGrower(problem, options).grow();
          EXPECT_GT(slow.nodes.size(), 5u);
          EXPECT_EQ(text(grow(problem, options)), text(slow))
              << "wide " << wide << " missing " << missing << " seed " << seed;
        }
      }
    }
  }
}

TEST(Grower, GrowsTheTreeOfTheSlowTwinWithSixteenBitBins) {
  ProblemOptions shape;
  shape.bins = 700;
  shape.rows = 3000;
  shape.numeric = 3;
  shape.categorical = 1;
  const Problem problem(shape);
  ASSERT_EQ(problem.bins.bin_bytes(), 2);
  EXPECT_EQ(text(grow(problem, small_leaves())), text(SlowGrower(problem, small_leaves()).grow()));
}

// Large enough that rows are summed in parts, split in parts, and packed sums overflow into wide.
TEST(Grower, GivesTheSameTreeOnAnyNumberOfThreads) {
  ProblemOptions shape;
  shape.rows = 300'000;
  shape.bins = 200;
  const Problem problem(shape);
  for (const GrowthOrder order :
       {GrowthOrder::best_first, GrowthOrder::by_level, GrowthOrder::symmetric}) {
    GrowthOptions options = small_leaves();
    options.order = order;
    options.leaves_max = 120;
    options.columns_by_node = 0.7;
    options.columns_by_level = 0.8;
    options.depth_max = order == GrowthOrder::best_first ? 0 : 7;
    const std::string one = text(grow(problem, options, 1));
    EXPECT_GT(one.size(), 1000u);
    for (const int threads : {2, 3, 8}) EXPECT_EQ(text(grow(problem, options, threads)), one);
  }
}

TEST(Grower, HonoursItsLimits) {
  const Problem problem(ProblemOptions{});
  GrowthOptions options;
  options.leaf_rows_min = 150;
  options.leaves_max = 1000;
  options.depth_max = 4;
  for (const GrowthOrder order :
       {GrowthOrder::best_first, GrowthOrder::by_level, GrowthOrder::symmetric}) {
    options.order = order;
    const model::Tree tree = grow(problem, options);
    EXPECT_GT(tree.nodes.size(), 3u);
    std::vector<int> depth(tree.nodes.size(), 0);
    for (size_t i = 0; i < tree.nodes.size(); ++i) {
      const model::Node& node = tree.nodes[i];
      EXPECT_GE(node.cover, 150u);
      EXPECT_LE(depth[i], 4);
      if (node.feature < 0) continue;
      EXPECT_EQ(tree.nodes[node.left].cover + tree.nodes[node.right].cover, node.cover);
      depth[node.left] = depth[node.right] = depth[i] + 1;
    }
  }
}

TEST(Grower, SymmetricTreesAskTheSameOnEachLevel) {
  ProblemOptions shape;
  shape.categorical = 0;
  const Problem problem(shape);
  GrowthOptions options;
  options.order = GrowthOrder::symmetric;
  options.leaf_rows_min = 1;
  options.depth_max = 3;
  const model::Tree tree = grow(problem, options);
  EXPECT_EQ(tree.nodes.size(), 15u);
  std::map<int, std::pair<int, double>> asked;
  std::vector<int> depth(tree.nodes.size(), 0);
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    const model::Node& node = tree.nodes[i];
    if (node.feature < 0) continue;
    const std::pair<int, double> question{node.feature, node.threshold};
    EXPECT_EQ(asked.try_emplace(depth[i], question).first->second, question);
    depth[node.left] = depth[node.right] = depth[i] + 1;
  }
}

TEST(Grower, LeavesHoldTheRowsThatTheTreeSendsThere) {
  const Problem problem(ProblemOptions{});
  Grower grower(problem.bins, problem.features, small_leaves());
  const GrownTree grown = grower.grow(problem.gradients, 0, 0, {});
  std::vector<int64_t> by_leaf(problem.bins.row_count(), 0);
  grower.add_leaves(grown, by_leaf);
  const auto binned = BinnedTree::make(grown.tree, problem.features);
  ASSERT_TRUE(binned.ok());
  std::vector<int64_t> by_walk(problem.bins.row_count(), 0);
  binned->add(problem.bins, {}, by_walk);
  EXPECT_EQ(by_leaf, by_walk);
}

TEST(GrowthOptions, FeaturesOfFewCategoriesWantMoreRowsOfEach) {
  GrowthOptions options;
  options.category_rows_min = 30;
  EXPECT_EQ(options.category_rows(2), 30);
  options.category_rows_wanted = 100;
  options.training_rows = 30'000;
  EXPECT_EQ(options.category_rows(0), 30);
  EXPECT_EQ(options.category_rows(20), 100);
  EXPECT_EQ(options.category_rows(100), 75);
  EXPECT_EQ(options.category_rows(10'000), 30);
}

TEST(Grower, GrowsOnASampleAsOnThoseRowsAlone) {
  const Problem problem(ProblemOptions{});
  std::vector<uint32_t> sample;
  for (uint32_t row = 0; row < problem.bins.row_count(); row += 3) sample.push_back(row);
  Grower grower(problem.bins, problem.features, small_leaves());
  const GrownTree grown = grower.grow(problem.gradients, 0, 0, sample);
  EXPECT_EQ(grown.tree.nodes[0].cover, sample.size());
  uint64_t rows = 0;
  for (const LeafRows& leaf : grown.leaves) rows += leaf.run.count;
  EXPECT_EQ(rows, sample.size());
}

TEST(Pack, HoldsTheSumOfTheMostRowsOfTheLargestGradients) {
  uint64_t high = 0;
  uint64_t low = 0;
  for (size_t i = 0; i < kPackedRows; ++i) {
    high += pack({kNarrowMax, kNarrowMax});
    low += pack({-kNarrowMax, kNarrowMax});
  }
  const auto rows = static_cast<int64_t>(kPackedRows);
  EXPECT_EQ(unpack(high), (Sums{kNarrowMax * rows, kNarrowMax * rows, rows}));
  EXPECT_EQ(unpack(low), (Sums{-kNarrowMax * rows, kNarrowMax * rows, rows}));
  EXPECT_EQ(unpack(high - pack({kNarrowMax, 5})),
            (Sums{kNarrowMax * (rows - 1), kNarrowMax * rows - 5, rows - 1}));
}

TEST(LeafValue, IsLimitedBeforeTheLearningRate) {
  GrowthOptions options;
  options.lambda_l2 = 0;
  options.value_exponent = 0;
  options.learning_rate = 100;
  const Sums steep{-40, 2, 2};  // a step of 20 units
  const GradientUnits units{1, 1};
  EXPECT_EQ(leaf_value(steep, units, options), 2000);
  options.step_max = 5;
  EXPECT_EQ(leaf_value(steep, units, options), 500);
  EXPECT_EQ(leaf_value({40, 2, 2}, units, options), -500);
  EXPECT_EQ(leaf_value({-4, 2, 2}, units, options), 200) << "a smaller step is left as it is";
}

}  // namespace
}  // namespace evergrove::trees

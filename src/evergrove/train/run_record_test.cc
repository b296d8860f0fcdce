// Records of a run: written, read and written again they are the same bytes, and no bytes at all
// do harm.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/run_record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evergrove/base/hash.h"

namespace evergrove::train {
namespace {

// A source of small random things for one record.
class Dice {
 public:
  explicit Dice(uint64_t seed) : key_(seed, "run record") {}
  uint64_t below(uint64_t limit) { return key_.at(counter_++) % limit; }
  double number() { return std::ldexp(static_cast<double>(below(1 << 20)) - 5e5, -10); }
  std::string text() {
    std::string result;
    for (uint64_t i = below(12); i > 0; --i) result += static_cast<char>(below(256));
    return result;
  }

 private:
  RandomKey key_;
  uint64_t counter_ = 0;
};

table::Manifest random_manifest(Dice& dice) {
  table::Manifest manifest;
  for (uint64_t i = dice.below(4); i > 0; --i) {
    const uint64_t rows = dice.below(1000);
    manifest.files.push_back({dice.text(), dice.below(1 << 30), manifest.row_count, rows, "abc"});
    manifest.row_count += rows;
  }
  return manifest;
}

std::vector<std::string> random_texts(Dice& dice, size_t count) {
  std::vector<std::string> texts;
  while (texts.size() < count) texts.push_back(dice.text() + std::to_string(texts.size()));
  return texts;
}

model::Feature random_feature(Dice& dice, size_t index) {
  model::Feature feature;
  feature.name = dice.text() + std::to_string(index);
  if (dice.below(2) == 0) {
    for (uint64_t i = dice.below(9); i > 0; --i) {
      feature.cuts.push_back((feature.cuts.empty() ? -50 : feature.cuts.back()) +
                             std::fabs(dice.number()) + 0.125);
    }
  } else {
    feature.kind = table::ColumnKind::categorical;
    feature.categories = random_texts(dice, dice.below(9));
  }
  return feature;
}

RunHeader random_header(uint64_t seed) {
  Dice dice(seed);
  RunHeader header;
  header.parameters.objective = static_cast<model::ObjectiveKind>(dice.below(3));
  header.parameters.seed = dice.below(~uint64_t{0});
  header.parameters.learning_rate = static_cast<double>(dice.below(999) + 1) / 1000;
  header.label = dice.text();
  header.weight = dice.text();
  header.valid_fraction = static_cast<double>(dice.below(10)) / 10;
  header.valid_names = random_texts(dice, dice.below(3));
  header.classes = random_texts(dice, 2 + dice.below(5));
  const size_t feature_count = dice.below(5);
  for (size_t i = 0; i < feature_count; ++i) header.features.push_back(random_feature(dice, i));
  header.value_exponent = -static_cast<int32_t>(dice.below(100));
  const bool is_multiclass = header.parameters.objective == model::ObjectiveKind::multiclass;
  header.base_margins.resize(is_multiclass ? header.classes.size() : 1);
  for (int64_t& margin : header.base_margins) margin = static_cast<int64_t>(dice.below(~0ull));
  header.manifest = random_manifest(dice);
  for (uint64_t i = dice.below(3); i > 0; --i) {
    header.valid_manifests.push_back(random_manifest(dice));
  }
  return header;
}

// A tree whose nodes split in order until there are as many as wished.
model::Tree random_tree(Dice& dice, uint32_t output) {
  model::Tree tree;
  tree.output = output;
  tree.nodes.resize(1);
  const size_t splits = dice.below(6);
  for (size_t node = 0; node < splits && node < tree.nodes.size(); ++node) {
    model::Node& split = tree.nodes[node];
    split.feature = static_cast<int32_t>(dice.below(5));
    if (dice.below(2) == 0)
      split.threshold = dice.number();
    else
      split.categories_left = {0, 2, 7};
    split.missing_left = dice.below(2) == 0;
    split.gain = std::fabs(dice.number());
    split.cover = dice.below(1 << 20);
    split.left = static_cast<int32_t>(tree.nodes.size());
    split.right = split.left + 1;
    tree.nodes.resize(tree.nodes.size() + 2);
  }
  for (model::Node& node : tree.nodes) {
    if (node.feature < 0) node.value = static_cast<int64_t>(dice.below(1 << 30)) - (1 << 29);
  }
  return tree;
}

Iteration random_iteration(uint64_t seed) {
  Dice dice(seed);
  Iteration iteration;
  iteration.index = dice.below(~uint64_t{0});
  const uint64_t outputs = dice.below(4);
  for (uint32_t k = 0; k < outputs; ++k) iteration.trees.push_back(random_tree(dice, k));
  for (uint64_t i = dice.below(4); i > 0; --i) {
    iteration.metrics.push_back({dice.text(), dice.text(), dice.number()});
  }
  iteration.metrics.push_back({"valid", "auc", std::numeric_limits<double>::quiet_NaN()});
  return iteration;
}

TEST(RunRecord, HeaderComesBackWhole) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const RunHeader header = random_header(seed);
    const std::string bytes = encode_header(header);
    const auto back = decode_header(bytes);
    ASSERT_TRUE(back.ok()) << seed << ": " << back.status().message();
    ASSERT_EQ(encode_header(*back), bytes) << seed;
    ASSERT_EQ(back->label, header.label);
    ASSERT_EQ(back->classes, header.classes);
    ASSERT_EQ(back->base_margins, header.base_margins);
    ASSERT_EQ(back->parameters.seed, header.parameters.seed);
    ASSERT_EQ(back->features.size(), header.features.size());
    for (size_t i = 0; i < header.features.size(); ++i) {
      ASSERT_EQ(back->features[i].name, header.features[i].name);
      ASSERT_EQ(back->features[i].cuts, header.features[i].cuts);
      ASSERT_EQ(back->features[i].categories, header.features[i].categories);
    }
    ASSERT_EQ(back->manifest.files.size(), header.manifest.files.size());
    ASSERT_EQ(back->manifest.row_count, header.manifest.row_count);
    ASSERT_EQ(back->valid_manifests.size(), header.valid_manifests.size());
  }
}

TEST(RunRecord, IterationComesBackWhole) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const Iteration iteration = random_iteration(seed);
    const std::string bytes = encode_iteration(iteration);
    const auto back = decode_iteration(bytes);
    ASSERT_TRUE(back.ok()) << seed << ": " << back.status().message();
    ASSERT_EQ(encode_iteration(*back), bytes) << seed;
    ASSERT_EQ(back->index, iteration.index);
    ASSERT_EQ(back->trees.size(), iteration.trees.size());
    for (size_t k = 0; k < iteration.trees.size(); ++k) {
      ASSERT_EQ(back->trees[k].output, iteration.trees[k].output);
      ASSERT_EQ(back->trees[k].nodes.size(), iteration.trees[k].nodes.size());
    }
    ASSERT_EQ(back->metrics.size(), iteration.metrics.size());
    ASSERT_TRUE(std::isnan(back->metrics.back().value));
  }
}

TEST(RunRecord, EveryPrefixIsRefused) {
  const std::string header = encode_header(random_header(1));
  for (size_t size = 0; size < header.size(); ++size) {
    ASSERT_FALSE(decode_header(std::string_view(header).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(decode_header(header + '\0').ok());
  const std::string iteration = encode_iteration(random_iteration(1));
  for (size_t size = 0; size < iteration.size(); ++size) {
    ASSERT_FALSE(decode_iteration(std::string_view(iteration).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(decode_iteration(iteration + '\0').ok());
}

TEST(RunRecord, AnotherVersionIsNamed) {
  std::string header = encode_header(random_header(1));
  header[0] = 9;
  EXPECT_EQ(decode_header(header).status().kind(), StatusKind::unsupported);
  std::string iteration = encode_iteration(random_iteration(1));
  iteration[0] = 9;
  EXPECT_EQ(decode_iteration(iteration).status().kind(), StatusKind::unsupported);
}

// A signalling NaN would come back as a quiet one: other bytes for the same record.
TEST(RunRecord, NoNumberOfATreeIsNaN) {
  for (const double bad :
       {std::numeric_limits<double>::signaling_NaN(), std::numeric_limits<double>::quiet_NaN()}) {
    Iteration iteration;
    model::Tree& tree = iteration.trees.emplace_back();
    tree.nodes.resize(3);
    tree.nodes[0].feature = 0;
    tree.nodes[0].left = 1;
    tree.nodes[0].right = 2;
    EXPECT_TRUE(decode_iteration(encode_iteration(iteration)).ok());
    tree.nodes[0].gain = bad;
    EXPECT_EQ(decode_iteration(encode_iteration(iteration)).status().kind(), StatusKind::corrupt);
    tree.nodes[0].gain = 1;
    tree.nodes[0].threshold = bad;
    EXPECT_EQ(decode_iteration(encode_iteration(iteration)).status().kind(), StatusKind::corrupt);
  }
}

TEST(RunRecord, AContradictoryHeaderIsCorrupt) {
  RunHeader header = random_header(1);
  header.base_margins.push_back(0);
  EXPECT_EQ(decode_header(encode_header(header)).status().kind(), StatusKind::corrupt);
  header = random_header(1);
  header.valid_fraction = std::nan("");
  EXPECT_EQ(decode_header(encode_header(header)).status().kind(), StatusKind::corrupt);
}

// Goal: no bytes crash the reader, and whatever it takes is written as it was read.
TEST(RunRecord, AlteredBytesNeverCrash) {
  const RandomKey key(2, "altered bytes");
  for (uint64_t i = 0; i < 30'000; ++i) {
    std::string header = encode_header(random_header(i % 50));
    std::string iteration = encode_iteration(random_iteration(i % 50));
    for (uint64_t change = 0; change <= i % 3; ++change) {
      const uint64_t hash = key.at(4 * i + change);
      header[hash % header.size()] = static_cast<char>(hash >> 32);
      iteration[hash % iteration.size()] = static_cast<char>(hash >> 40);
    }
    if (const auto back = decode_iteration(iteration); back.ok()) {
      ASSERT_EQ(encode_iteration(*back), iteration);
    }
    (void)decode_header(header);
  }
}

}  // namespace
}  // namespace evergrove::train

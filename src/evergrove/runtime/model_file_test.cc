// The model file: what was written is read, and what was altered is not.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/model_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "evergrove/base/hash.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/model_metadata.h"
#include "evergrove/runtime/testing_rows.h"

namespace evergrove::runtime {
namespace {

model::Model trained(bool three_classes) {
  TrainingRequest request = testing_request(6, three_classes);
  auto report = train(request);
  EXPECT_TRUE(report.ok()) << report.status().message();
  return report->model;
}

class ModelFile : public testing::TestWithParam<bool> {};

TEST_P(ModelFile, GivesBackTheModelAndWhatIsToldAboutIt) {
  model::Model model = trained(GetParam());
  model.metadata.metrics[1][0].value = std::numeric_limits<double>::quiet_NaN();
  model.trees[0].nodes[0].threshold = std::numeric_limits<double>::infinity();
  const auto bytes = model_to_bytes(model);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const auto back = model_from_bytes(*bytes);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(model::canonical_bytes(*back), model::canonical_bytes(model));
  EXPECT_EQ(back->metadata.parameters_json,
            metadata_from_json(metadata_to_json(model, "")).value().model.metadata.parameters_json);
  EXPECT_EQ(back->metadata.classes, model.metadata.classes);
  EXPECT_EQ(back->metadata.label, model.metadata.label);
  EXPECT_EQ(back->metadata.best_iteration, model.metadata.best_iteration);
  ASSERT_EQ(back->metadata.metrics.size(), model.metadata.metrics.size());
  EXPECT_TRUE(std::isnan(back->metadata.metrics[1][0].value));
  EXPECT_EQ(back->metadata.metrics[2][0].value, model.metadata.metrics[2][0].value);
  EXPECT_EQ(back->metadata.manifest.files[0].fingerprint, "1");
  EXPECT_EQ(model_to_bytes(*back).value(), *bytes) << "save, load, save: the same bytes";
  const std::string compressed = model_to_bytes(model, ModelBytes::compressed).value();
  EXPECT_LT(compressed.size(), bytes->size());
  EXPECT_EQ(model_to_bytes(model_from_bytes(compressed).value()).value(), *bytes);
}
INSTANTIATE_TEST_SUITE_P(Objectives, ModelFile, testing::Bool());

TEST(ModelFileDamage, EveryCutIsRefused) {
  const std::string bytes = model_to_bytes(trained(false)).value();
  for (size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 37) {
    const auto model = model_from_bytes(std::string_view(bytes).substr(0, size));
    EXPECT_EQ(model.status().kind(), StatusKind::corrupt) << size;
  }
}

TEST(ModelFileDamage, AFlippedByteIsRefusedOrAltersNothing) {
  const model::Model original = trained(false);
  for (const ModelBytes how : {ModelBytes::plain, ModelBytes::compressed}) {
    const std::string bytes = model_to_bytes(original, how).value();
    size_t refused = 0;
    size_t tried = 0;
    for (size_t place = 0; place < bytes.size(); place += 13, ++tried) {
      std::string altered = bytes;
      altered[place] = static_cast<char>(altered[place] ^ 0x11);
      const auto model = model_from_bytes(altered);
      if (!model.ok()) {
        ++refused;
        continue;
      }
      // Padding and Arrow's own redundancy may change without harm; the model may not.
      EXPECT_EQ(model::digest(*model), model::digest(original)) << place;
      EXPECT_EQ(metadata_to_json(*model, ""), metadata_to_json(original, "")) << place;
    }
    EXPECT_GT(refused, tried / 2);
  }
}

// Each buffer begins with the length that it unfolds to.
TEST(ModelFileDamage, TakesNoMemoryForALengthThatIsNotSo) {
  const std::string bytes = model_to_bytes(trained(false), ModelBytes::compressed).value();
  constexpr std::string_view kFrame = "\x28\xb5\x2f\xfd";  // how Zstandard begins
  size_t lengths = 0;
  for (size_t at = bytes.find(kFrame); at != std::string::npos; at = bytes.find(kFrame, at + 1)) {
    ASSERT_GE(at, 8u);
    std::string altered = bytes;
    altered[at - 4] = '\x7f';  // 127 * 2^32 and some
    EXPECT_EQ(model_from_bytes(altered).status().kind(), StatusKind::corrupt);
    ++lengths;
  }
  EXPECT_GT(lengths, 5u);
}

TEST(ModelFileDamage, SaysWhatOtherFilesAre) {
  EXPECT_EQ(model_from_bytes("PAR1 something").status().kind(), StatusKind::corrupt);
  EXPECT_EQ(model_from_bytes("").status().kind(), StatusKind::corrupt);
  std::string bytes = model_to_bytes(trained(false)).value();
  // The version's value stands after its key, in the schema at the start and in the footer.
  for (size_t at = bytes.find("evergrove.version"); at != std::string::npos;
       at = bytes.find("evergrove.version", at + 1)) {
    const size_t value = bytes.rfind('1', at);
    ASSERT_NE(value, std::string::npos);
    bytes[value] = '9';
  }
  const auto model = model_from_bytes(bytes);
  EXPECT_EQ(model.status().kind(), StatusKind::unsupported) << model.status().message();
}

TEST(ModelFileDamage, TellsUtf8FromOtherBytes) {
  for (const char* text : {"", "plain", "gr\xc3\xbcn", "\xe2\x82\xac", "\xf0\x9f\x8c\xb2"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "a\x80", "\xe2\x82"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

}  // namespace
}  // namespace evergrove::runtime

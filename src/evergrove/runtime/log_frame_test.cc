// The bytes of a log, cut off and spoilt at every place.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/log_frame.h"

#include <gtest/gtest.h>

#include "evergrove/base/hash.h"

namespace evergrove::runtime {
namespace {

const std::vector<std::string> kPayloads = {"the header", "", std::string("one\0two", 7),
                                            std::string(300, 'x')};

std::string whole_log() {
  std::string log(kLogMagic);
  for (size_t i = 0; i < kPayloads.size(); ++i) {
    log += frame(i == 0 ? LogRecordType::header : LogRecordType::iterations, kPayloads[i]);
  }
  return log;
}

TEST(LogFrame, GivesBackWhatWasFramed) {
  const std::string log = whole_log();
  const auto contents = parse_log(log);
  ASSERT_TRUE(contents.ok());
  ASSERT_EQ(contents->records.size(), kPayloads.size());
  for (size_t i = 0; i < kPayloads.size(); ++i) {
    EXPECT_EQ(contents->records[i].payload, kPayloads[i]);
  }
  EXPECT_EQ(contents->torn_bytes, 0u);
  EXPECT_EQ(contents->whole_bytes, log.size());
}

TEST(LogFrame, GivesTheWholeRecordsOfALogCutOffAnywhere) {
  const std::string log = whole_log();
  size_t most = 0;
  for (size_t size = 0; size <= log.size(); ++size) {
    const auto contents = parse_log(std::string_view(log).substr(0, size));
    ASSERT_TRUE(contents.ok()) << size << ": " << contents.status().message();
    EXPECT_EQ(contents->whole_bytes + contents->torn_bytes, size);
    for (size_t i = 0; i < contents->records.size(); ++i) {
      EXPECT_EQ(contents->records[i].payload, kPayloads[i]);
    }
    EXPECT_GE(contents->records.size(), most) << "a longer log has fewer records";
    most = contents->records.size();
  }
  EXPECT_EQ(most, kPayloads.size());
}

TEST(LogFrame, DropsASpoiltLastRecordAndRefusesOneBeforeIt) {
  const std::string log = whole_log();
  const size_t last = log.size() - (13 + kPayloads.back().size());
  for (size_t place = 0; place < log.size(); ++place) {
    for (const char flip : {'\x01', '\x80'}) {
      std::string spoilt = log;
      spoilt[place] = static_cast<char>(spoilt[place] ^ flip);
      const auto contents = parse_log(spoilt);
      if (place < last) {
        EXPECT_FALSE(contents.ok()) << "byte " << place;
      } else {
        ASSERT_TRUE(contents.ok()) << "byte " << place;
        EXPECT_EQ(contents->records.size(), kPayloads.size() - 1);
        EXPECT_EQ(contents->torn_bytes, log.size() - last);
      }
    }
  }
}

TEST(LogFrame, ATakeoverIsFirstOrNowhere) {
  const std::string header = frame(LogRecordType::header, "header");
  const std::string iterations = frame(LogRecordType::iterations, "iterations");
  const std::string takeover = frame(LogRecordType::takeover, "takeover");
  const auto is_log = [](const std::string& frames) {
    return parse_log(std::string(kLogMagic) + frames).ok();
  };
  EXPECT_TRUE(is_log(header + iterations + iterations));
  EXPECT_TRUE(is_log(takeover + iterations));
  EXPECT_TRUE(is_log(takeover + header + iterations));
  EXPECT_FALSE(is_log(iterations));
  EXPECT_FALSE(is_log(takeover + takeover));
  EXPECT_FALSE(is_log(header + takeover));
  EXPECT_FALSE(is_log(header + header));
  EXPECT_FALSE(is_log(takeover + iterations + header));
  EXPECT_FALSE(is_log(takeover + header + header));
}

TEST(LogFrame, ARecordOfAnObjectIsWholeOrRefused) {
  const std::string object =
      std::string(kLogMagic) + frame(LogRecordType::iterations, "iterations");
  ASSERT_TRUE(parse_record_object(object).ok());
  EXPECT_EQ(parse_record_object(object)->payload, "iterations");
  for (size_t size = 0; size < object.size(); ++size) {
    EXPECT_EQ(parse_record_object(object.substr(0, size)).status().kind(), StatusKind::corrupt);
  }
  EXPECT_EQ(parse_record_object(object + "x").status().kind(), StatusKind::corrupt);
  EXPECT_EQ(parse_record_object("EVERGROVE LOG 2\nx").status().kind(), StatusKind::unsupported);
}

TEST(LogFrame, RefusesAnotherVersionByName) {
  const auto contents = parse_log("EVERGROVE LOG 2\nwhatever");
  EXPECT_EQ(contents.status().kind(), StatusKind::unsupported);
  EXPECT_NE(contents.status().message().find("version: 2"), std::string::npos);
}

TEST(LogFrame, TakesAnyBytesWithoutHarm) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const RandomKey key(seed, "bytes");
    std::string bytes = seed % 2 == 0 ? std::string(kLogMagic) : whole_log();
    for (uint64_t i = 0; i < seed; ++i) bytes += static_cast<char>(key.at(i) % 5);
    const auto contents = parse_log(bytes);
    if (contents.ok()) {
      EXPECT_EQ(contents->whole_bytes + contents->torn_bytes, bytes.size());
    }
  }
}

}  // namespace
}  // namespace evergrove::runtime

// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

namespace evergrove::runtime {
namespace {

using std::chrono::milliseconds;

void spend(milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) continue;
}

TEST(Profile, GivesEachPhaseItsOwnTime) {
  Profile profile(true);
  const auto work = [] {
    const PhaseScope outer(Phase::histogram);
    spend(milliseconds(20));
    const PhaseScope inner(Phase::partition);
    spend(milliseconds(60));
  };
  std::thread other(work);
  work();
  other.join();
  profile.stop();
  const auto rows = profile.rows();
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0].phase, Phase::partition);
  EXPECT_EQ(rows[0].count, 2);
  EXPECT_GE(rows[0].seconds, 0.12);
  EXPECT_EQ(rows[1].phase, Phase::histogram);
  EXPECT_GE(rows[1].seconds, 0.04);
  // Of both threads together no more than there was of both.
  EXPECT_LE(rows[0].seconds + rows[1].seconds, 2 * profile.seconds());
  const std::string table = profile.table(2);
  EXPECT_NE(table.find("partition"), std::string::npos) << table;
  EXPECT_EQ(table.find("search"), std::string::npos) << table;
}

TEST(Profile, WritesATraceThatBrowsersRead) {
  Profile profile(true);
  { const PhaseScope scope(Phase::search); }
  profile.stop();
  { const PhaseScope scope(Phase::search); }  // nobody listens any more
  const auto trace = nlohmann::json::parse(profile.chrome_trace());
  ASSERT_EQ(trace["traceEvents"].size(), 1);
  const auto& event = trace["traceEvents"][0];
  EXPECT_EQ(event["name"], "search");
  EXPECT_EQ(event["ph"], "X");
  EXPECT_GE(event["ts"], 0);
  EXPECT_GE(event["dur"], 0);
}

TEST(Profile, OfOneRunHasNothingOfTheOneBefore) {
  {
    Profile first(false);
    const PhaseScope scope(Phase::read);
  }
  Profile second(false);
  { const PhaseScope scope(Phase::bin); }
  second.stop();
  ASSERT_EQ(second.rows().size(), 1);
  EXPECT_EQ(second.rows()[0].phase, Phase::bin);
}

}  // namespace
}  // namespace evergrove::runtime

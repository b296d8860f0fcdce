// Every scenario of tests/cases, for some seeds; and what is refused in such a file, with its
// place. A failure names the file and the seed; evergrove-sim --case FILE --seeds SEED --story
// tells it. SPDX-License-Identifier: Apache-2.0
#include "sim/case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/simulation.h"

namespace evergrove::sim {
namespace {

std::vector<std::filesystem::path> case_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(EVERGROVE_CASES)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<Case> read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return read_case(text.str(), path.filename().string());
}

class EachCase : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(EachCase, HasTheDigestOfOneMachine) {
  const Result<Case> scenario = read_file(GetParam());
  ASSERT_TRUE(scenario.ok()) << scenario.status().message();
  for (uint64_t seed = 0; seed < 2; ++seed) {
    const Outcome outcome = Simulation(*scenario, seed).run();
    EXPECT_EQ(outcome.violation, "")
        << "evergrove-sim --case tests/cases/" << GetParam().filename().string() << " --seeds "
        << seed << " --story";
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, EachCase, testing::ValuesIn(case_files()),
                         [](const auto& file) { return file.param.stem().string(); });

constexpr const char* kSmall = R"(about = "small"
[data]
rows = 300
shards = 3
[parameters]
n_estimators = 4
min_rows = 5
[[worker]]
[[worker]]
)";

std::string violation_of(const std::string& more) {
  const Result<Case> scenario = read_case(kSmall + more, "x.toml");
  EXPECT_TRUE(scenario.ok()) << scenario.status().message();
  return scenario.ok() ? Simulation(*scenario, 1).run().violation : "";
}

TEST(Case, WhatItExpectsIsChecked) {
  EXPECT_EQ(violation_of("[expect]\njoined = 2\nlost = 0\nleft = 0\nseconds_max = 60"), "");
  EXPECT_EQ(violation_of("[expect]\njoined = 3"), "2 workers joined, the case expects 3");
  EXPECT_EQ(violation_of("[expect]\nlost = 1"), "0 workers were lost, the case expects 1");
  EXPECT_EQ(violation_of("[expect]\nleft = 1"), "0 workers left, the case expects 1");
  EXPECT_EQ(violation_of("[expect]\nstops_early = true"), "the run did not stop early");
  EXPECT_NE(violation_of("[expect]\nseconds_max = 0.001").find("the case gives it 1"),
            std::string::npos);
  EXPECT_EQ(violation_of("[[event]]\nat_iteration = 9\ndo = \"add_worker\""),
            "the run has ended before event 1 of the case");
  EXPECT_EQ(violation_of("[[event]]\nat_iteration = 9\ndo = \"add_worker\"\nonly = \"processes\""),
            "");
}

TEST(Case, ARunWhoseWorkersAreAllGoneDoesNotEnd) {
  const std::string violation = violation_of(R"([[event]]
at_iteration = 1
do = "kill_worker"
worker = 1
[[event]]
do = "kill_worker"
worker = 2
)");
  EXPECT_NE(violation.find("no end in"), std::string::npos) << violation;
}

TEST(Case, TheSameSeedTellsTheSameStory) {
  const auto story_of = [](uint64_t seed) {
    std::ostringstream story;
    Simulation(read_case(kSmall, "x.toml").value(), seed, &story).run();
    return story.str();
  };
  EXPECT_GT(story_of(7).size(), 1000u);
  EXPECT_EQ(story_of(7), story_of(7));
  EXPECT_NE(story_of(7), story_of(8));
}

struct Wrong {
  std::string text;
  std::vector<std::string> says;
};

TEST(Case, WhatIsWrongIsRefusedWithItsPlace) {
  const std::string event = std::string(kSmall) + "[[event]]\n";
  const std::vector<Wrong> all = {
      {"about = ", {"not TOML", "line: 1", "x.toml"}},
      {"[data]\nrows = 300\n[[worker]]", {"says what it is about", "key: about"}},
      {"about = 3\n[[worker]]", {"text in quotes", "key: about", "line: 1"}},
      {"about = \"x\"", {"[[worker]]", "key: worker"}},
      {"about = \"x\"\nworker = 3", {"several of these: [[worker]]", "line: 2"}},
      {"about = \"x\"\ndata = 3\n[[worker]]", {"table: [data]", "line: 2"}},
      {"about = \"x\"\nspeed = 3\n[[worker]]", {"no such key", "key: speed", "line: 2"}},
      {"about = \"x\"\n[data]\nrow = 3\n[[worker]]", {"rows, shards", "key: data.row", "line: 3"}},
      {"about = \"x\"\n[data]\nrows = \"3\"\n[[worker]]", {"from 100", "key: data.rows"}},
      {"about = \"x\"\n[data]\nrows = 3.5\n[[worker]]", {"whole number", "key: data.rows"}},
      {"about = \"x\"\n[data]\nweighted = 1\n[[worker]]", {"true or false", "data.weighted"}},
      {"about = \"x\"\n[data]\nvalid_fraction = nan\n[[worker]]", {"data.valid_fraction"}},
      {"about = \"x\"\n[data]\nobjective = \"rank\"\n[[worker]]", {"binary, multiclass"}},
      {"about = \"x\"\n[parameters]\nleafs = 3\n[[worker]]", {"parameters.leafs", "line: 3"}},
      {"about = \"x\"\n[parameters]\nmax_leaves = 1\n[[worker]]", {"parameters.max_leaves"}},
      {"about = \"x\"\n[parameters]\nobjective = \"binary\"\n[[worker]]", {"[data]"}},
      {"about = \"x\"\n[[worker]]\nthreads = 0", {"from 1", "key: worker 1.threads", "line: 3"}},
      {"about = \"x\"\n[[worker]]\nmemory = 0", {"above 0", "key: worker 1.memory"}},
      {"about = \"x\"\n[[worker]]\n[expect]\nloss = 1", {"joined, lost", "key: expect.loss"}},
      {event + "worker = 1", {"what it does", "kill_worker", "key: event 1"}},
      {event + "do = \"burn\"", {"one of", "key: event 1.do", "line: 11"}},
      {event + "do = \"kill_worker\"", {"needs worker", "key: event 1"}},
      {event + "do = \"kill_worker\"\nworker = 3", {"no such worker yet; 2", "event 1.worker"}},
      {event + "do = \"kill_worker\"\nworker = 0", {"from 1", "event 1.worker"}},
      {event + "do = \"stop_worker\"\nworker = 1", {"needs for_seconds"}},
      {event + "do = \"kill_worker\"\nworker = 1\nfor_seconds = 3", {"no such key here"}},
      {event + "do = \"add_worker\"\nafter_seconds = -1", {"from 0", "event 1.after_seconds"}},
      {event + "do = \"add_worker\"\nonly = \"dask\"", {"simulation, processes"}},
      {event + "do = \"slow_log\"\nfor_seconds = 1", {"only = \"simulation\"", "event 1.do"}},
      {event + "do = \"slow_log\"\nfor_seconds = 1\nonly = \"processes\"",
       {"only = \"simulation\""}},
      {event + "do = \"cut_worker\"\nworker = 1\nfor_seconds = 1\nway = \"up\"", {"both, in, out"}},
      {event + "do = \"kill_worker\"\nworker = 1\n[[event]]\ndo = \"drain_worker\"\nworker = 1",
       {"killed or drained", "key: event 2.worker", "line: 15"}},
  };
  for (const Wrong& wrong : all) {
    const Result<Case> read = read_case(wrong.text, "x.toml");
    ASSERT_FALSE(read.ok()) << wrong.text;
    EXPECT_EQ(read.status().kind(), StatusKind::invalid_input);
    for (const std::string& words : wrong.says) {
      EXPECT_NE(read.status().message().find(words), std::string::npos)
          << "expected " << words << " in: " << read.status().message() << "\n"
          << wrong.text;
    }
  }
}

}  // namespace
}  // namespace evergrove::sim

// The log on an object store: durable is a prefix, nothing is unsaid, whoever else writes.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/object_log.h"

#include <gtest/gtest.h>

#include "evergrove/base/hash.h"
#include "evergrove/runtime/epoch.h"
#include "evergrove/runtime/testing_log_store.h"

namespace evergrove::runtime {
namespace {

using Objects = std::shared_ptr<TestingObjects>;

Objects no_objects() { return std::make_shared<TestingObjects>(); }

struct Opened {
  TestingLogStore* store = nullptr;  // the log's
  std::unique_ptr<RunLog> log;
};

Opened open(const Objects& objects, TestingFaults faults = {}, RunLogOptions options = {}) {
  auto store = std::make_unique<TestingLogStore>(objects, faults);
  Opened opened;
  opened.store = store.get();
  auto log = open_object_log(std::move(store), std::move(options));
  EXPECT_TRUE(log.ok()) << log.status().message();
  if (log.ok()) opened.log = std::move(log).value();
  return opened;
}

RunLogContents read(const Objects& objects) {
  TestingLogStore store(objects);
  auto contents = read_object_log(store);
  EXPECT_TRUE(contents.ok()) << contents.status().message();
  return contents.ok() ? std::move(contents).value() : RunLogContents();
}

// Checks that the log is the beginning of the one right sequence.
void check_prefix(const RunLogContents& contents) {
  if (contents.header) {
    EXPECT_EQ(train::encode_header(*contents.header), train::encode_header(testing_header()));
  } else {
    EXPECT_TRUE(contents.iterations.empty());
  }
  for (size_t i = 0; i < contents.iterations.size(); ++i) {
    EXPECT_EQ(train::encode_iteration(contents.iterations[i]),
              train::encode_iteration(testing_iteration(i)));
  }
}

TEST(ObjectLog, GivesBackWhatWasAppended) {
  const Objects objects = no_objects();
  {
    const Opened opened = open(objects);
    EXPECT_FALSE(opened.log->header());
    ASSERT_TRUE(opened.log->start(testing_header()).ok());
    for (uint64_t i = 0; i < 100; ++i) {
      ASSERT_TRUE(opened.log->append(testing_iteration(i)).ok());
    }
    ASSERT_TRUE(opened.log->drain().ok());
    EXPECT_EQ(opened.log->durable_count(), 100u);
  }
  EXPECT_EQ(read(objects).iterations.size(), 100u);
  check_prefix(read(objects));
  const Opened again = open(objects);
  ASSERT_TRUE(again.log->header());
  EXPECT_EQ(again.log->take_iterations().size(), 100u);
  EXPECT_EQ(again.log->durable_count(), 100u);
  ASSERT_TRUE(again.log->append(testing_iteration(100)).ok());
  ASSERT_TRUE(again.log->drain().ok());
  EXPECT_EQ(read(objects).iterations.size(), 101u);
}

TEST(ObjectLog, ALogThatNeverBeganLeavesNothingBehind) {
  const Objects objects = no_objects();
  open(objects).log.reset();
  EXPECT_TRUE(objects->objects.empty());
}

TEST(ObjectLog, HidesTheLatencyOfPutsBehindOneAnother) {
  const Objects objects = no_objects();
  const Opened opened = open(objects, {.delay_max = std::chrono::milliseconds(20)});
  ASSERT_TRUE(opened.log->start(testing_header()).ok());
  for (uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(opened.log->append(testing_iteration(i)).ok());
  EXPECT_EQ(opened.log->seconds_waited(), 0) << "handing over waits for nothing";
  ASSERT_TRUE(opened.log->drain().ok());
  EXPECT_GT(opened.store->in_flight_most(), 4u);
  EXPECT_LE(opened.store->in_flight_most(), kPutsInFlightMax);
}

TEST(ObjectLog, ReportsTheLongestDurablePrefixInOrder) {
  const Objects objects = no_objects();
  std::vector<uint64_t> reported;
  RunLogOptions options;
  options.on_durable = [&](uint64_t count) {
    reported.push_back(count);
    TestingLogStore store(objects);
    const auto contents = read_object_log(store);
    EXPECT_TRUE(contents.ok());
    EXPECT_GE(contents->iterations.size(), count);
  };
  const Opened opened =
      open(objects, {.fail_percent = 20, .delay_max = std::chrono::milliseconds(2)}, options);
  ASSERT_TRUE(opened.log->start(testing_header()).ok());
  for (uint64_t i = 0; i < 60; ++i) ASSERT_TRUE(opened.log->append(testing_iteration(i)).ok());
  ASSERT_TRUE(opened.log->drain().ok());
  ASSERT_FALSE(reported.empty());
  EXPECT_EQ(reported.back(), 60u);
  for (size_t i = 1; i < reported.size(); ++i) EXPECT_LT(reported[i - 1], reported[i]);
}

TEST(ObjectLog, AnswersThatAreLostDoNoHarm) {
  const Objects objects = no_objects();
  const Opened opened = open(objects, {.fail_percent = 20, .lose_answer_percent = 30});
  ASSERT_TRUE(opened.log->start(testing_header()).ok());
  for (uint64_t i = 0; i < 50; ++i) ASSERT_TRUE(opened.log->append(testing_iteration(i)).ok());
  ASSERT_TRUE(opened.log->drain().ok());
  EXPECT_EQ(read(objects).iterations.size(), 50u);
  check_prefix(read(objects));
}

TEST(ObjectLog, AStoreThatIsGoneEndsTheLogInTime) {
  const Objects objects = no_objects();
  Opened opened = open(objects, {.retry_for = std::chrono::milliseconds(200)});
  ASSERT_TRUE(opened.log->start(testing_header()).ok());
  opened.store->kill();
  for (uint64_t i = 0; i < 30; ++i) {
    if (!opened.log->append(testing_iteration(i)).ok()) break;
  }
  EXPECT_EQ(opened.log->drain().kind(), StatusKind::storage);
  EXPECT_EQ(opened.log->append(testing_iteration(30)).kind(), StatusKind::storage);
  opened.log.reset();
  check_prefix(read(objects));
}

TEST(ObjectLog, WhatIsAfterAGapIsNoPartOfTheLogAndIsFilledIn) {
  const Objects objects = no_objects();
  {
    const Opened opened = open(objects);
    ASSERT_TRUE(opened.log->start(testing_header()).ok());
    for (uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(opened.log->append(testing_iteration(i)).ok());
  }
  objects->objects.erase("records/" + numbered_name(6));
  EXPECT_EQ(read(objects).iterations.size(), 5u);
  const Opened again = open(objects);
  EXPECT_EQ(again.log->durable_count(), 5u);
  ASSERT_TRUE(again.log->append(testing_iteration(5)).ok());
  ASSERT_TRUE(again.log->append(testing_iteration(6)).ok());
  ASSERT_TRUE(again.log->drain().ok());
  EXPECT_EQ(read(objects).iterations.size(), 10u);
}

TEST(ObjectLog, ARecordOfAnotherRunIsNotOverwritten) {
  const Objects objects = no_objects();
  const Opened first = open(objects);
  const Opened second = open(objects);
  ASSERT_TRUE(first.log->start(testing_header()).ok());
  ASSERT_TRUE(second.log->start(testing_header()).ok()) << "the same bytes are no conflict";
  ASSERT_TRUE(first.log->append(testing_iteration(0)).ok());
  ASSERT_TRUE(first.log->drain().ok());
  const auto before = objects->objects;
  ASSERT_TRUE(second.log->append(testing_iteration(0, 1)).ok());
  const Status status = second.log->drain();
  EXPECT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("owns the log"), std::string::npos) << status.message();
  EXPECT_EQ(objects->objects, before);
}

TEST(ObjectLog, SpoiltRecordsAreRefusedByName) {
  const Objects objects = no_objects();
  {
    const Opened opened = open(objects);
    ASSERT_TRUE(opened.log->start(testing_header()).ok());
    for (uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(opened.log->append(testing_iteration(i)).ok());
  }
  const auto whole = objects->objects;
  for (const auto& [name, bytes] : whole) {
    for (size_t place = 0; place < bytes.size(); ++place) {
      objects->objects = whole;
      objects->objects[name][place] ^= 4;
      TestingLogStore store(objects);
      const Status status = read_object_log(store).status();
      EXPECT_FALSE(status.ok()) << name << " at " << place;
      EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    }
  }
  objects->objects = whole;
  std::swap(objects->objects["records/" + numbered_name(1)],
            objects->objects["records/" + numbered_name(2)]);
  TestingLogStore store(objects);
  EXPECT_EQ(read_object_log(store).status().kind(), StatusKind::corrupt) << "out of place";
}

TEST(ObjectLog, ACoordinatorThatWasOvertakenStops) {
  const Objects objects = no_objects();
  TestingLogStore store(objects);
  ASSERT_EQ(take_epoch(store, "first").value(), 1u);
  RunLogOptions options;
  options.epoch = 1;
  const Opened first = open(objects, {}, options);
  ASSERT_TRUE(first.log->start(testing_header()).ok());
  ASSERT_EQ(take_epoch(store, "second").value(), 2u);
  ASSERT_TRUE(first.log->append(testing_iteration(0)).ok());
  const Status status = first.log->drain();
  EXPECT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("by: second"), std::string::npos) << status.message();
  auto late = std::make_unique<TestingLogStore>(objects);
  EXPECT_EQ(open_object_log(std::move(late), options).status().kind(), StatusKind::storage);
}

// One coordinator after the other takes over while the former ones still write, or are killed in
// the middle of a put. A failure names its seed.
TEST(ObjectLog, WhateverTheInterleavingTheLogIsAPrefixAndNothingReportedIsLost) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const RandomKey draws(seed, "interleaving");
    const Objects objects = no_objects();
    std::atomic<uint64_t> reported = 0;
    RunLogOptions options;
    options.on_durable = [&](uint64_t count) {
      uint64_t most = reported;
      while (most < count && !reported.compare_exchange_weak(most, count)) {
      }
    };
    std::vector<Opened> reigns;
    std::vector<uint64_t> next;
    for (uint64_t step = 0; step < 60; ++step) {
      const uint64_t draw = draws.at(step);
      if (reigns.empty() || draw % 10 == 0) {
        TestingLogStore store(objects);
        const uint64_t before = reported;
        options.epoch = take_epoch(store, "reign").value();
        EXPECT_EQ(options.epoch, reigns.size() + 1);
        reigns.push_back(open(objects,
                              {.seed = draw,
                               .fail_percent = 10,
                               .lose_answer_percent = 10,
                               .delay_max = std::chrono::microseconds(300)},
                              options));
        RunLog& log = *reigns.back().log;
        if (!log.header()) {
          ASSERT_TRUE(log.start(testing_header()).ok());
        }
        next.push_back(log.take_iterations().size());
        EXPECT_GE(next.back(), before) << "seed " << seed;
      } else {
        const size_t who = (draw >> 16) % reigns.size();
        if (draw % 10 == 1) {
          reigns[who].store->kill();
        } else if (reigns[who].log->append(testing_iteration(next[who])).ok()) {
          ++next[who];
        }
      }
      const uint64_t least = reported;
      const RunLogContents contents = read(objects);
      check_prefix(contents);
      EXPECT_GE(contents.iterations.size(), least) << "seed " << seed;
    }
    reigns.clear();
    check_prefix(read(objects));
    EXPECT_GE(read(objects).iterations.size(), reported.load()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace evergrove::runtime

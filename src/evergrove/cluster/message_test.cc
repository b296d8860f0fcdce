// Messages come back as they were, and no bytes at all do harm.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/cluster/message.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>

#include "evergrove/base/bytes.h"
#include "evergrove/base/testing_sanitizers.h"
#include "evergrove/cluster/testing_messages.h"

namespace {
// What the program has, and the most that it had.
std::atomic<size_t> bytes_held = 0;
std::atomic<size_t> bytes_held_max = 0;
}  // namespace

// A sanitizer has an allocator of its own, which must not be mixed with this one.
#if !EVERGROVE_ADDRESS_SANITIZER && !EVERGROVE_THREAD_SANITIZER
// Not inlined, lest the compiler takes free() for a mistake.
[[gnu::noinline]] void* operator new(size_t size) {
  void* memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) std::abort();
  const size_t held = bytes_held += malloc_usable_size(memory);
  if (held > bytes_held_max) bytes_held_max = held;
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) bytes_held -= malloc_usable_size(memory);
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
#endif

namespace evergrove::cluster {
namespace {

constexpr size_t kTypeAt = 12;  // behind the version and the epoch

// What a byte of a message may take of memory. Summaries of metrics are the worst, for an exact sum
// of 1 KiB is said in a few bytes when most of it is 0.
constexpr size_t kMemoryPerByte = 256;
constexpr size_t kMemoryAtLeast = 16384;

// Decodes and, if that went well, looks whether what was taken can be said again.

Result<Message> decode_hostile(std::string_view bytes) {
  const size_t before = bytes_held;
  bytes_held_max = before;
  Result<Message> message = decode(bytes);
  EXPECT_LE(bytes_held_max - before, kMemoryAtLeast + kMemoryPerByte * bytes.size());
  if (message.ok()) {
    const std::string again = encode(*message);
    const Result<Message> back = decode(again);
    EXPECT_TRUE(back.ok() && same(*back, *message) && encode(*back) == again);
  }
  return message;
}

std::string u32_bytes(uint32_t value) {
  ByteWriter out;
  out.u32(value);
  return out.take();
}

bool is_corrupt(std::string_view bytes) {
  const Result<Message> message = decode_hostile(bytes);
  return !message.ok() && message.status().kind() == StatusKind::corrupt;
}

TEST(Message, ComesBackAsItWas) {
  for (size_t type = 0; type < kTypeCount; ++type) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
      const Message message = random_message(type, seed);
      const std::string bytes = encode(message);
      const auto back = decode(bytes);
      ASSERT_TRUE(back.ok()) << type << " " << seed << ": " << back.status().message();
      ASSERT_TRUE(same(*back, message)) << type << " " << seed;
      ASSERT_EQ(encode(*back), bytes) << type << " " << seed;
    }
  }
}

TEST(Message, HistogramsStayWhereTheyCame) {
  Part part{1, 2, 3, "w1", {{4, Bytes::of("histogram")}}};
  Bytes bytes = Bytes::of(encode(Message{1, part}));
  const Result<Message> message = decode(bytes);
  ASSERT_TRUE(message.ok());
  const Bytes& there = std::get<Part>(message->body).nodes[0].histogram;
  EXPECT_EQ(there.view.data() + there.view.size(), bytes.view.data() + bytes.view.size());
  bytes = {};
  EXPECT_TRUE(same(*message, Message{1, part}));
}

TEST(Message, ComesBackWhenItIsEmpty) {
  for (size_t type = 0; type < kTypeCount; ++type) {
    const Message message{0, empty_body(type)};
    const auto back = decode(encode(message));
    ASSERT_TRUE(back.ok()) << type << ": " << back.status().message();
    EXPECT_TRUE(same(*back, message)) << type;
  }
}

TEST(Message, ComesBackWhenItIsLarge) {
  Dice dice(1);
  LoadShards load;
  for (uint32_t shard = 0; shard < 200'000; ++shard) load.shards.push_back(shard);
  Part part{3, ~uint64_t{0}, 9, std::string(70'000, 'w'), {}};
  for (uint32_t node = 0; node < 40; ++node) {
    Part::Node& added = part.nodes.emplace_back();
    added.node = node;
    std::string histogram(100'000, ' ');
    for (char& c : histogram) c = static_cast<char>(dice.bits());
    added.histogram = Bytes::of(std::move(histogram));
  }
  Plan plan;
  Fill{dice}(plan);
  for (int i = 0; i < 2'000; ++i) plan.iterations.push_back({random_tree(dice), {}});
  const Goodbye goodbye{std::string(1 << 20, '\xff')};
  for (const Body& body : {Body(load), Body(part), Body(plan), Body(goodbye)}) {
    const Message message{~uint64_t{0}, body};
    const auto back = decode_hostile(encode(message));
    ASSERT_TRUE(back.ok()) << body.index() << ": " << back.status().message();
    EXPECT_TRUE(same(*back, message)) << body.index();
  }
}

// So the comparison itself has teeth: messages of other seeds differ, but those without a field.
TEST(Message, DiffersFromOthers) {
  for (size_t type = 0; type < kTypeCount; ++type) {
    Message other = random_message(type, 1);
    const Message message = random_message(type, 2);
    other.epoch = message.epoch;
    const bool is_empty = std::visit(
        [](const auto& body) { return std::is_empty_v<std::decay_t<decltype(body)>>; }, other.body);
    EXPECT_EQ(same(other, message), is_empty) << type;
  }
}

TEST(Message, RefusesEveryProperPrefixAndWhatIsLonger) {
  for (size_t type = 0; type < kTypeCount; ++type) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      const std::string bytes = encode(random_message(type, seed));
      for (size_t size = 0; size < bytes.size(); ++size) {
        ASSERT_TRUE(is_corrupt(std::string_view(bytes).substr(0, size)))
            << type << " " << seed << ": " << size << " of " << bytes.size();
      }
      ASSERT_TRUE(is_corrupt(bytes + '\0')) << type << " " << seed;
      ASSERT_TRUE(is_corrupt(bytes + bytes)) << type << " " << seed;
    }
  }
}

TEST(Message, BearsAlteredBytes) {
  for (size_t type = 0; type < kTypeCount; ++type) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      Dice dice(seed + 1000);
      const std::string bytes = encode(random_message(type, seed));
      for (size_t at = 0; at < bytes.size(); ++at) {
        std::string altered = bytes;
        altered[at] = static_cast<char>(altered[at] ^ (1 << dice.below(8)));
        (void)decode_hostile(altered);
        altered[at] = static_cast<char>(dice.bits());
        altered[dice.below(bytes.size())] = static_cast<char>(dice.bits());
        (void)decode_hostile(altered);
      }
    }
  }
}

// Wherever a count or a length may be: the largest, half of it, and one more than there is.
TEST(Message, TakesNoMemoryForWhatIsOnlySaid) {
  for (size_t type = 0; type < kTypeCount; ++type) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const std::string bytes = encode(random_message(type, seed));
      for (size_t at = 0; at + 4 <= bytes.size(); ++at) {
        for (const uint32_t said :
             {~uint32_t{0}, uint32_t{1} << 31, static_cast<uint32_t>(bytes.size() - at - 3)}) {
          std::string altered = bytes;
          altered.replace(at, 4, u32_bytes(said));
          (void)decode_hostile(altered);
        }
      }
    }
  }
}

TEST(Message, BearsAnyBytes) {
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    Dice dice(seed);
    std::string bytes = u32_bytes(kProtocolVersion) + std::string(8, 7);
    bytes += static_cast<char>(dice.below(kTypeCount + 1));
    // Mostly small numbers, for large ones end the reading at once.
    for (uint64_t i = dice.below(200); i > 0; --i) {
      bytes += static_cast<char>(dice.below(4) == 0 ? dice.below(256) : dice.below(3));
    }
    (void)decode_hostile(bytes);
  }
}

TEST(Message, RefusesAnotherVersionAsUnsupported) {
  const std::string bytes = encode(random_message(0, 1));
  for (const uint32_t version : {0u, kProtocolVersion + 1, 1000u, ~0u}) {
    const std::string front = u32_bytes(version);
    // Whatever may follow: another version may have other bodies.
    for (const std::string& rest : {bytes.substr(4), std::string(), std::string(100, '\xff')}) {
      const auto message = decode(front + rest);
      ASSERT_FALSE(message.ok());
      EXPECT_EQ(message.status().kind(), StatusKind::unsupported);
      const std::string text = message.status().message();
      EXPECT_NE(text.find("another version of the protocol"), std::string::npos) << text;
      EXPECT_NE(text.find("its version: " + std::to_string(version)), std::string::npos) << text;
      EXPECT_NE(text.find("ours: " + std::to_string(kProtocolVersion)), std::string::npos) << text;
    }
  }
}

TEST(Message, RefusesATypeThatThereIsNot) {
  std::string bytes = encode({5, Leave{}});
  ASSERT_EQ(bytes.size(), kTypeAt + 1);
  for (size_t type = kTypeCount; type < 256; ++type) {
    bytes[kTypeAt] = static_cast<char>(type);
    EXPECT_TRUE(is_corrupt(bytes)) << type;
  }
}

TEST(Message, RefusesABodyUnderAnotherType) {
  std::string bytes = encode({5, Heartbeat{~uint64_t{0}, ~uint64_t{0}}});
  for (size_t type = 0; type < kTypeCount; ++type) {
    bytes[kTypeAt] = static_cast<char>(type);
    const bool is_heartbeat = std::holds_alternative<Heartbeat>(empty_body(type));
    EXPECT_EQ(is_corrupt(bytes), !is_heartbeat) << type;
  }
}

TEST(Message, RefusesWhatMakesNoSense) {
  const auto is_refused = [](Body body) { return is_corrupt(encode({5, std::move(body)})); };
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  Plan plan;
  plan.view.members = {{"a", "here:1", {0}}, {"b", "here:2", {}}};
  plan.view.block_owners = {0, 1};
  EXPECT_FALSE(is_refused(plan));
  plan.view.block_owners = {0, 2};
  EXPECT_TRUE(is_refused(plan)) << "an owner that is no member";
  NextRound next;
  EXPECT_FALSE(is_refused(next));
  next.round.kind = static_cast<RoundKind>(5);
  EXPECT_TRUE(is_refused(next)) << "a round of no kind";
  next.round = {};
  next.round.scale.g_max = kNaN;
  EXPECT_TRUE(is_refused(next)) << "a scale without a bound";
  Splits splits;
  splits.splits.resize(1);
  EXPECT_FALSE(is_refused(splits));
  splits.splits[0].split.gain = kNaN;
  EXPECT_TRUE(is_refused(splits)) << "a gain that is no number";
  Facts facts;
  EXPECT_FALSE(is_refused(facts));
  for (const double largest : {kNaN, -1.0}) {
    facts.largest_gradient = largest;
    EXPECT_TRUE(is_refused(facts)) << largest;
  }
}

TEST(Message, RefusesAFlagThatIsNeitherOfTwo) {
  std::string bytes = encode({5, NextRound{}});
  const size_t flag_at = kTypeAt + 1 + 8 + 8 + 1;  // behind view, number and kind: is a tree ended?
  ASSERT_EQ(bytes[flag_at], 0);
  bytes[flag_at] = 2;
  EXPECT_TRUE(is_corrupt(bytes));
}

}  // namespace
}  // namespace evergrove::cluster

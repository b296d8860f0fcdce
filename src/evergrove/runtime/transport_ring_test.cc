// Rings: what is written is read, in order, around the ring's end and by two threads at once; a
// full one takes less and its reader hears that somebody waits; nothing that the other side writes
// to the shared memory leads anywhere else. SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "evergrove/base/hash.h"

namespace evergrove::runtime {
namespace {

std::unique_ptr<RingReader> reader_of(const RingWriter& writer) {
  auto reader = RingReader::open(Descriptor(::dup(writer.descriptor())));
  EXPECT_TRUE(reader.ok()) << reader.status().message();
  return reader.ok() ? *std::move(reader) : nullptr;
}

size_t write(RingWriter& writer, const std::string& text) {
  // In two pieces, of which one may be empty.
  const size_t first = text.size() / 3;
  char* const bytes = const_cast<char*>(text.data());
  const std::array<iovec, 2> pieces = {iovec{bytes, first},
                                       iovec{bytes + first, text.size() - first}};
  return writer.write(pieces);
}

std::string read(RingReader& reader, size_t size) {
  std::string text(size, ' ');
  text.resize(reader.read(text));
  return text;
}

TEST(Ring, GivesWhatWasWritten) {
  const auto writer = RingWriter::make();
  ASSERT_NE(writer, nullptr);
  const auto reader = reader_of(*writer);
  EXPECT_EQ(read(*reader, 10), "");
  EXPECT_EQ(write(*writer, "some bytes"), 10u);
  EXPECT_EQ(read(*reader, 4), "some");
  EXPECT_EQ(write(*writer, ", and more"), 10u);
  EXPECT_EQ(read(*reader, 100), " bytes, and more");
  EXPECT_EQ(write(*writer, ""), 0u);
  EXPECT_FALSE(reader->is_waited_for());
}

TEST(Ring, TakesAsMuchAsItHasRoomFor) {
  const auto writer = RingWriter::make();
  const auto reader = reader_of(*writer);
  const std::string large(kRingBytes - 5, 'x');
  EXPECT_EQ(write(*writer, large), large.size());
  EXPECT_FALSE(reader->is_waited_for());
  EXPECT_EQ(write(*writer, "123456789"), 5u);
  EXPECT_TRUE(reader->is_waited_for());
  EXPECT_FALSE(reader->is_waited_for()) << "once";
  EXPECT_EQ(write(*writer, "6789"), 0u);
  EXPECT_EQ(read(*reader, kRingBytes), large + "12345");
  EXPECT_TRUE(reader->is_waited_for());
  EXPECT_EQ(write(*writer, "6789"), 4u);
  EXPECT_EQ(read(*reader, kRingBytes), "6789");
}

TEST(Ring, KeepsTheOrderBetweenTwoThreads) {
  constexpr size_t kBytes = 20 * kRingBytes;
  const auto writer = RingWriter::make();
  const auto reader = reader_of(*writer);
  const RandomKey key(1, "ring");
  const auto byte_at = [](size_t i) { return static_cast<char>(mix64(i) & 0xff); };
  std::thread writes([&] {
    for (size_t done = 0, step = 0; done < kBytes; ++step) {
      const size_t size = std::min<size_t>(key.at(step) % 30'000, kBytes - done);
      std::string text(size, ' ');
      for (size_t i = 0; i < size; ++i) text[i] = byte_at(done + i);
      const size_t taken = write(*writer, text);
      done += taken;
      if (taken < size) std::this_thread::yield();
    }
  });
  size_t wrong = 0;
  for (size_t done = 0, step = 1'000'000; done < kBytes; ++step) {
    const std::string text = read(*reader, 1 + key.at(step) % 30'000);
    for (size_t i = 0; i < text.size(); ++i) wrong += text[i] != byte_at(done + i);
    done += text.size();
    if (text.empty()) std::this_thread::yield();
  }
  writes.join();
  EXPECT_EQ(wrong, 0u);
}

TEST(Ring, BelievesNoCountsThatCannotBe) {
  const auto writer = RingWriter::make();
  const auto reader = reader_of(*writer);
  EXPECT_EQ(write(*writer, "bytes"), 5u);
  char* const shared = static_cast<char*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer->descriptor(), 0));
  ASSERT_NE(shared, MAP_FAILED);
  for (const uint64_t count : {~uint64_t{0}, uint64_t{1} << 40, uint64_t{kRingBytes} + 6}) {
    std::memcpy(shared, &count, sizeof count);  // written
    EXPECT_LE(read(*reader, 2 * kRingBytes).size(), kRingBytes);
    std::memcpy(shared + 64, &count, sizeof count);  // read
    EXPECT_LE(write(*writer, std::string(2 * kRingBytes, 'x')), kRingBytes);
  }
  ::munmap(shared, 4096);
}

TEST(Ring, IsNothingElse) {
  EXPECT_EQ(RingReader::open({}).status().kind(), StatusKind::corrupt);
  Descriptor unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), kRingBytes + 4096), 0);
  EXPECT_EQ(RingReader::open(std::move(unsealed)).status().kind(), StatusKind::corrupt);
  Descriptor small(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(small.get(), 4096), 0);
  ASSERT_EQ(::fcntl(small.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_EQ(RingReader::open(std::move(small)).status().kind(), StatusKind::corrupt);
}

}  // namespace
}  // namespace evergrove::runtime

// Memory that two processes share for messages: what is put is read, places are used again, and
// what is no room or no place in one is refused.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_shared.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "evergrove/runtime/testing_transport.h"
#include "evergrove/runtime/transport_frame.h"

namespace evergrove::runtime {
namespace {

std::shared_ptr<const SharedView> view_of(const SharedRoom& room) {
  auto view = SharedView::open(Descriptor(::dup(room.descriptor())));
  EXPECT_TRUE(view.ok()) << view.status().message();
  return view.ok() ? *view : nullptr;
}

std::string text_of(int i, size_t size) {
  std::string text(size, static_cast<char>('a' + i % 26));
  return text + std::to_string(i);
}

TEST(SharedRoom, GivesWhatWasPutAndTakesPlacesAgain) {
  const auto room = SharedRoom::make();
  ASSERT_NE(room, nullptr);
  const auto view = view_of(*room);
  std::vector<Bytes> kept;
  std::vector<SharedPlace> places;
  for (int i = 0; i < 4; ++i) {
    const auto place = room->put(text_of(i, 1000));
    ASSERT_TRUE(place.has_value());
    places.push_back(*place);
    kept.push_back(*SharedView::at(view, *place));
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(kept[i].view, text_of(i, 1000));
  // In any order, and as long as anybody has them.
  const Bytes part = kept[1].from(990);
  kept[1] = {};
  kept[2] = {};
  EXPECT_EQ(room->put(text_of(5, 1000))->offset, places[2].offset);
  EXPECT_EQ(part.view, text_of(1, 1000).substr(990));
  EXPECT_GT(room->put(text_of(6, 1000))->offset, places[3].offset);
  kept.clear();
  EXPECT_EQ(room->put(text_of(7, 10))->offset, places[0].offset);
}

TEST(SharedRoom, HasALimitAndTakesAMessageOfItsSize) {
  const auto room = SharedRoom::make();
  const auto view = view_of(*room);
  EXPECT_FALSE(room->put(std::string(SharedRoom::kBytes, 'x')).has_value());
  const auto whole = room->put(std::string(SharedRoom::kBytes - 64, 'x'));
  ASSERT_TRUE(whole.has_value());
  EXPECT_FALSE(room->put("y").has_value());
  { const Bytes bytes = *SharedView::at(view, *whole); }
  EXPECT_TRUE(room->put("y").has_value());
}

TEST(SharedRoom, IsThereAsLongAsItsBytesAre) {
  Bytes bytes;
  {
    const auto room = SharedRoom::make();
    const auto place = room->put(text_of(1, 100'000));
    bytes = *SharedView::at(view_of(*room), *place);
  }
  EXPECT_EQ(bytes.view, text_of(1, 100'000));
}

TEST(SharedView, RefusesWhatIsNoRoom) {
  EXPECT_EQ(SharedView::open({}).status().kind(), StatusKind::corrupt);
  // It could be cut while it is read.
  Descriptor open_ended(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(open_ended.get(), 1 << 20), 0);
  EXPECT_EQ(SharedView::open(std::move(open_ended)).status().kind(), StatusKind::corrupt);
  std::array<int, 2> pipe_ends;
  ASSERT_EQ(::pipe(pipe_ends.data()), 0);
  const Descriptor other_end(pipe_ends[1]);
  EXPECT_EQ(SharedView::open(Descriptor(pipe_ends[0])).status().kind(), StatusKind::corrupt);
}

TEST(SharedView, RefusesPlacesThatAreNotInTheRoom) {
  const auto room = SharedRoom::make();
  const auto view = view_of(*room);
  constexpr auto kSize = static_cast<uint32_t>(SharedRoom::kBytes);
  for (const SharedPlace& place :
       {SharedPlace{1, 10}, SharedPlace{63, 10}, SharedPlace{kSize, 0}, SharedPlace{0, kSize},
        SharedPlace{kSize - 64, 1}, SharedPlace{0, ~0u}, SharedPlace{~0u & ~63u, 10},
        SharedPlace{64, kSize - 64}}) {
    EXPECT_EQ(SharedView::at(view, place).status().kind(), StatusKind::corrupt) << place.offset;
  }
  EXPECT_TRUE(SharedView::at(view, {kSize - 64, 0}).ok());
}

std::string frame(FrameKind kind, const std::string& body) {
  const FrameHeaderBytes header = encode_header({kind, static_cast<uint32_t>(body.size())});
  return std::string(header.begin(), header.end()) + body;
}

Status give(FrameReader& reader, std::string_view bytes, std::vector<Bytes>& messages) {
  const std::span<char> room = reader.room();
  std::copy(bytes.begin(), bytes.end(), room.begin());
  return reader.take(bytes.size(), messages);
}

TEST(SharedFrames, AreRefusedOverANetwork) {
  for (const std::string& bytes :
       {frame(FrameKind::room, ""), frame(FrameKind::placed, SharedPlace{0, 10}.encode()),
        frame(FrameKind::bell_page, ""), frame(FrameKind::bell_call, "x"),
        frame(FrameKind::rings, "")}) {
    FrameReader reader(1 << 20);
    std::vector<Bytes> messages;
    EXPECT_EQ(give(reader, bytes, messages).kind(), StatusKind::corrupt);
    EXPECT_TRUE(messages.empty());
  }
}

TEST(SharedFrames, ComeInAnyPieces) {
  const std::string bytes = frame(FrameKind::room, "") + frame(FrameKind::message, "first") +
                            frame(FrameKind::placed, SharedPlace{64, 7}.encode()) +
                            frame(FrameKind::message, "last");
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    int rooms = 0;
    FrameReader reader(
        1 << 20,
        {.take_room =
             [&] {
               ++rooms;
               return Status();
             },
         .message_at = [](const SharedPlace& place) -> Result<Bytes> {
           return Bytes::of(std::to_string(place.offset) + " " + std::to_string(place.bytes));
         },
         .take_bell = [](FrameKind, std::string_view) { return Status(); }});
    std::vector<Bytes> messages;
    for (size_t begin = 0; begin < bytes.size(); begin += cut) {
      std::string_view rest = std::string_view(bytes).substr(begin, cut);
      while (!rest.empty()) {
        const size_t size = std::min(rest.size(), reader.room().size());
        ASSERT_TRUE(give(reader, rest.substr(0, size), messages).ok());
        rest.remove_prefix(size);
      }
    }
    EXPECT_EQ(rooms, 1);
    ASSERT_EQ(messages.size(), 3u);
    EXPECT_EQ(messages[0].view, "first");
    EXPECT_EQ(messages[1].view, "64 7");
    EXPECT_EQ(messages[2].view, "last");
  }
}

TEST(SharedFrames, AreRefusedIfTheyAreCutShortOrTooLong) {
  for (const size_t size : {0, 4, 7}) {
    FrameReader reader(
        1 << 20, {.take_room = [] { return Status(); },
                  .message_at = [](const SharedPlace&) -> Result<Bytes> { return Bytes::of(""); },
                  .take_bell = [](FrameKind, std::string_view) { return Status(); }});
    std::vector<Bytes> messages;
    const std::string body(size, 'x');
    EXPECT_EQ(give(reader, frame(FrameKind::placed, body), messages).kind(), StatusKind::corrupt);
  }
  EXPECT_FALSE(decode_header(frame(FrameKind::placed, std::string(9, 'x')).substr(0, 5)).ok());
  EXPECT_FALSE(decode_header(frame(FrameKind::room, "x").substr(0, 5)).ok());
}

// More than the room has, kept by who gets it: the rest goes through the socket, in order.
TEST(LocalTransport, KeepsTheOrderOfWhatItsRoomDoesNotHold) {
  std::vector<Received> received;
  {
    Endpoint listener(loopback());
    Endpoint dialler;
    const ConnectionId out = dialler.connect(listener);
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(dialler.transport->send(out, text_of(i, i % 3 == 0 ? 100 : 1'500'000)));
    }
    ASSERT_TRUE(listener.wait([&] { return listener.received.size() == 60; }));
    const std::lock_guard lock(listener.mutex);
    received = std::move(listener.received);
  }
  // They outlive the connection.
  for (int i = 0; i < 60; ++i) {
    EXPECT_TRUE(received[i].bytes.view == text_of(i, i % 3 == 0 ? 100 : 1'500'000)) << i;
  }
}

}  // namespace
}  // namespace evergrove::runtime

// Peers that have the token, and use it to send what no transport would.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/array/util.h>
#include <arrow/buffer.h>
#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <string>

#include "evergrove/base/bytes.h"
#include "evergrove/runtime/testing_transport.h"
#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_frame.h"
#include "evergrove/runtime/transport_status.h"

namespace evergrove::runtime {
namespace {

// A client that has the token, and uses it to send what it likes.
class Rogue {
 public:
  Rogue(const std::string& address, const std::string& greeting) {
    const auto location = *arrow::flight::Location::Parse("grpc://" + address);
    client_ = *arrow::flight::FlightClient::Connect(location);
    arrow::flight::FlightCallOptions call;
    call.headers = {{kTokenHeader, std::string(kTokenStart) + "secret"},
                    {kGreetingHeader, greeting}};
    auto made = client_->DoExchange(call, arrow::flight::FlightDescriptor::Command("evergrove"));
    refusal_ = made.status();
    if (!made.ok()) return;
    writer_ = std::move(made->writer);
    reader_ = std::move(made->reader);
  }
  void write(const std::string& frame) {
    if (writer_ != nullptr) (void)writer_->WriteMetadata(arrow::Buffer::FromString(frame));
  }
  // With a table that has another column than a part's.
  void write_table(const std::string& frame) {
    const auto schema = arrow::schema({arrow::field("bytes", arrow::int64())});
    const auto column = *arrow::MakeArrayFromScalar(arrow::Int64Scalar(7), 1);
    EXPECT_TRUE(writer_->Begin(schema).ok());
    (void)writer_->WriteWithMetadata(*arrow::RecordBatch::Make(schema, 1, {column}),
                                     arrow::Buffer::FromString(frame));
  }
  // Reads to the end of the stream.
  arrow::Status finish() {
    if (reader_ == nullptr) return refusal_;
    for (;;) {
      const auto chunk = reader_->Next();
      if (!chunk.ok()) (void)writer_->Close();
      if (!chunk.ok()) return chunk.status();
      if (chunk->app_metadata == nullptr) return writer_->Close();
    }
  }

 private:
  arrow::Status refusal_;
  std::unique_ptr<arrow::flight::FlightClient> client_;
  std::unique_ptr<arrow::flight::FlightStreamWriter> writer_;
  std::unique_ptr<arrow::flight::FlightStreamReader> reader_;
};

std::string part_of_ten_gigabytes() {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(FrameKind::part)).u64(uint64_t{10} << 30).u64(0);
  return out.take();
}

std::string message_of_four_gigabytes() {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(FrameKind::messages)).u32(0xffffffff);
  return out.take();
}

TEST(TransportRogue, EndsTheConnectionOfWhoSendsNonsense) {
  Besieged place(besieged_options());
  const std::string greeting = encode_greeting({kTransportVersion, "rogue", ""});
  for (const std::string& frame :
       {part_of_ten_gigabytes(), message_of_four_gigabytes(), std::string(1, '\x63'),
        std::string("\x02\x05\x00\x00\x00x", 6), part_frame(100, 50), welcome_frame({})}) {
    SCOPED_TRACE("frame of kind " + std::to_string(static_cast<int>(frame[0])) + ", " +
                 std::to_string(frame.size()) + " bytes");
    const size_t closed_before = [&] {
      const std::lock_guard lock(place.listener.mutex);
      return place.listener.closed.size();
    }();
    Rogue rogue(place.listener.transport->address(), greeting);
    rogue.write(plain_frame(FrameKind::ping));
    rogue.write(frame);
    (void)rogue.finish();
    ASSERT_TRUE(
        place.listener.wait([&] { return place.listener.closed.size() == closed_before + 1; }));
    const Status why = place.listener.closed.rbegin()->second;
    EXPECT_EQ(why.kind(), StatusKind::corrupt) << why.message();
    place.expect_unharmed();
  }
}

TEST(TransportRogue, EndsTheConnectionOfWhoSendsAnotherTable) {
  Besieged place(besieged_options());
  Rogue rogue(place.listener.transport->address(),
              encode_greeting({kTransportVersion, "rogue", ""}));
  rogue.write(plain_frame(FrameKind::ping));
  rogue.write_table(part_frame(8, 0));
  (void)rogue.finish();
  ASSERT_TRUE(place.listener.wait([&] { return place.listener.closed.size() == 1; }));
  const Status why = place.listener.closed.begin()->second;
  EXPECT_EQ(why.kind(), StatusKind::corrupt) << why.message();
}

TEST(TransportRogue, RefusesGreetingsThatAreNone) {
  Besieged place(besieged_options());
  for (const std::string& greeting :
       {std::string(), std::string("x"), std::string(8000, 'x'), std::string(12, '\0'),
        std::string("\x01\x00\x00\x00\xff\xff\xff\xff", 8)}) {
    Rogue rogue(place.listener.transport->address(), greeting);
    rogue.write(plain_frame(FrameKind::ping));
    EXPECT_FALSE(rogue.finish().ok());
  }
  EXPECT_EQ(place.listener.transport->refused_count(), 5u);
}

}  // namespace
}  // namespace evergrove::runtime

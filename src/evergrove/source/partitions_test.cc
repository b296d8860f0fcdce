// Partitions are the rows of one table, in their order; a partition that is computed anew with
// another result is refused, and none is fetched more often than it has to be.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/partitions.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/ipc/api.h>
#include <gtest/gtest.h>
#include <tbb/parallel_for.h>

#include <atomic>
#include <cmath>

namespace evergrove::source {
namespace {

using Batch = std::shared_ptr<arrow::RecordBatch>;

// Columns: amount (double, some missing), count (of the given type), city (text).
Batch make_batch(uint64_t first, uint64_t row_count, bool count_is_text = false) {
  arrow::DoubleBuilder amounts;
  arrow::Int32Builder counts;
  arrow::StringBuilder texts, cities;
  for (uint64_t row = first; row < first + row_count; ++row) {
    EXPECT_TRUE((row % 7 == 0 ? amounts.AppendNull() : amounts.Append(double(row) / 4)).ok());
    EXPECT_TRUE(counts.Append(static_cast<int32_t>(row)).ok());
    EXPECT_TRUE(texts.Append(std::to_string(row)).ok());
    EXPECT_TRUE(cities.Append(row % 3 == 0 ? "Rome" : "Oslo").ok());
  }
  const auto count = count_is_text ? texts.Finish() : counts.Finish();
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("amount", arrow::float64()),
                     arrow::field("count", count_is_text ? arrow::utf8() : arrow::int32()),
                     arrow::field("city", arrow::utf8())}),
      static_cast<int64_t>(row_count), {*amounts.Finish(), *count, *cities.Finish()});
}

void export_batch(const Batch& batch, ArrowArrayStream* stream) {
  const auto reader = arrow::RecordBatchReader::Make({batch}, batch->schema());
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(arrow::ExportRecordBatchReader(*reader, stream).ok());
}

std::string fingerprint(const Batch& batch) {
  ArrowArrayStream stream = {};
  export_batch(batch, &stream);
  return *fingerprint_of(**from_stream(&stream));
}

struct Frame {
  std::vector<Batch> batches;
  std::vector<std::atomic<int>> fetches;
  PartitionSet set;

  explicit Frame(std::vector<Batch> all) : batches(std::move(all)), fetches(batches.size()) {
    for (const Batch& batch : batches) {
      const auto schema = arrow::ipc::SerializeSchema(*batch->schema());
      set.add(uint64_t(batch->num_rows()), (*schema)->ToString(), fingerprint(batch));
    }
  }
  FetchPartition fetch() {
    return [this](size_t partition, ArrowArrayStream* stream) -> Status {
      ++fetches[partition];
      export_batch(batches[partition], stream);
      return {};
    };
  }
};

std::string message_of(const Status& status) { return status.message(); }

TEST(Partitions, AreTheRowsOfOneTable) {
  Frame frame({make_batch(0, 40), make_batch(40, 0), make_batch(40, 1000), make_batch(1040, 3)});
  EXPECT_EQ(frame.set.schemas.size(), 1u);
  const auto source = open_partitions(frame.set, frame.fetch());
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  EXPECT_EQ((*source)->row_count(), 1043u);
  EXPECT_FALSE((*source)->reads_single_columns());
  uint64_t row = 0;
  for (size_t b = 0; b < (*source)->blocks().size(); ++b) {
    const size_t columns[] = {1, 0};
    const auto block = (*source)->read(b, columns);
    ASSERT_TRUE(block.ok()) << message_of(block.status());
    for (size_t i = 0; i < block->row_count; ++i, ++row) {
      EXPECT_EQ(block->columns[0].number(i), double(row));
      EXPECT_EQ(std::isnan(block->columns[1].number(i)), row % 7 == 0);
    }
  }
  EXPECT_EQ(row, 1043u);
  // What is known of a partition makes the manifest; none is fetched for it.
  EXPECT_EQ((*source)->manifest().files[2].fingerprint, frame.set.partitions[2].fingerprint);
  EXPECT_EQ((*source)->manifest().files[2].path, "partition 2");
}

TEST(Partitions, AreFetchedOnceThoughManyWantThem) {
  Frame frame({make_batch(0, 400'000), make_batch(400'000, 10)});
  const auto source = open_partitions(frame.set, frame.fetch());
  ASSERT_TRUE(source.ok());
  ASSERT_GT((*source)->blocks().size(), 2u) << "a large partition has several blocks";
  tbb::parallel_for(size_t{0}, (*source)->blocks().size() * 4, [&](size_t i) {
    const size_t columns[] = {0};
    EXPECT_TRUE((*source)->read(i % (*source)->blocks().size(), columns).ok());
  });
  EXPECT_EQ(frame.fetches[0], 1);
  EXPECT_EQ(frame.fetches[1], 1);
}

TEST(Partitions, ComputedAnewWithAnotherResultAreRefused) {
  Frame frame({make_batch(0, 40), make_batch(40, 40)});
  const auto source = open_partitions(frame.set, frame.fetch());
  frame.batches[1] = make_batch(41, 40);
  const size_t columns[] = {0};
  EXPECT_TRUE((*source)->read(0, columns).ok());
  const auto changed = (*source)->read(1, columns);
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.status().kind(), StatusKind::invalid_input);
  EXPECT_NE(changed.status().message().find("partition: 1"), std::string::npos);
  // With fewer rows as well.
  frame.batches[1] = make_batch(40, 39);
  EXPECT_NE(message_of((*source)->read(1, columns).status()).find("rows now: 39"),
            std::string::npos);
  // And taken again when it is what it was.
  frame.batches[1] = make_batch(40, 40);
  EXPECT_TRUE((*source)->read(1, columns).ok());
}

TEST(Partitions, OfDifferingTypesAreRefusedByNumber) {
  Frame frame({make_batch(0, 40), make_batch(40, 40, /*count_is_text=*/true)});
  const auto source = open_partitions(frame.set, frame.fetch());
  ASSERT_FALSE(source.ok());
  EXPECT_NE(source.status().message().find("partition 1"), std::string::npos)
      << source.status().message();
  EXPECT_NE(source.status().message().find("count"), std::string::npos);
}

TEST(Partitions, CannotBeReadByWhoOnlyDescribes) {
  Frame frame({make_batch(0, 40)});
  const auto source = open_partitions(frame.set, nullptr);
  ASSERT_TRUE(source.ok());
  const size_t columns[] = {0};
  EXPECT_EQ((*source)->read(0, columns).status().kind(), StatusKind::unsupported);
  EXPECT_FALSE(open_partitions({}, nullptr).ok());
}

TEST(Partitions, SayWhatTheFetcherSays) {
  Frame frame({make_batch(0, 40)});
  const auto source = open_partitions(
      frame.set, [](size_t, ArrowArrayStream*) { return storage_error("The peer is gone"); });
  const size_t columns[] = {0};
  EXPECT_EQ(message_of((*source)->read(0, columns).status()), "The peer is gone");
}

TEST(PartitionSet, GoesThroughBytes) {
  Frame frame({make_batch(0, 40), make_batch(40, 5, true), make_batch(45, 2)});
  EXPECT_EQ(frame.set.schemas.size(), 2u);
  ByteWriter out;
  frame.set.encode(out);
  ByteReader in(out.bytes());
  const auto again = PartitionSet::decode(in);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, frame.set);
  for (size_t size = 0; size < out.bytes().size(); ++size) {
    ByteReader cut_off(std::string_view(out.bytes()).substr(0, size));
    EXPECT_FALSE(PartitionSet::decode(cut_off).ok());
  }
}

}  // namespace
}  // namespace evergrove::source

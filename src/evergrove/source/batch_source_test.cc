// Arrow files, streams and data in memory.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/batch_source.h"

#include <arrow/c/bridge.h>
#include <gtest/gtest.h>
#include <tbb/parallel_for.h>

#include "evergrove/source/arrow_read.h"
#include "evergrove/source/source_values.h"
#include "evergrove/source/temporary_files.h"

namespace evergrove::source {
namespace {

using IpcForm = TemporaryFiles::IpcForm;

std::shared_ptr<table::RowSource> open_or_fail(const std::vector<std::string>& paths) {
  auto source = open(paths);
  EXPECT_TRUE(source.ok()) << source.status().message();
  return source.ok() ? *source : nullptr;
}

Result<std::shared_ptr<table::RowSource>> stream_of(const arrow::Table& table, int64_t batch_rows,
                                                    const OpenOptions& options = {}) {
  auto reader = std::make_shared<arrow::TableBatchReader>(table);
  reader->set_chunksize(batch_rows);
  ArrowArrayStream stream = {};
  EXPECT_TRUE(arrow::ExportRecordBatchReader(reader, &stream).ok());
  return from_stream(&stream, options);
}

void expect_counting(const table::RowSource& source, size_t row_count) {
  const std::vector<double> numbers = numbers_of(source, "n");
  const std::vector<double> halves = numbers_of(source, "f");
  const std::vector<std::string> names = names_of(source, "t");
  ASSERT_EQ(numbers.size(), row_count);
  ASSERT_EQ(halves.size(), row_count);
  ASSERT_EQ(names.size(), row_count);
  for (size_t i = 0; i < row_count; ++i) {
    ASSERT_EQ(numbers[i], i);
    ASSERT_EQ(halves[i], i / 2.0);
    ASSERT_EQ(names[i], "value " + std::to_string(i % 5));
  }
}

TEST(BatchSource, ReadsArrowFilesAndStreamsOfAnyBatchesAndCompression) {
  TemporaryFiles files;
  const auto table = counting_table(200'000);
  for (IpcForm form : {IpcForm::file, IpcForm::stream}) {
    for (int64_t batch_rows : {3'000, 65'536, 200'000}) {
      for (auto codec : {arrow::Compression::UNCOMPRESSED, arrow::Compression::LZ4_FRAME,
                         arrow::Compression::ZSTD}) {
        const auto source = open_or_fail({files.ipc("a.arrow", *table, form, batch_rows, codec)});
        expect_counting(*source, 200'000);
        EXPECT_LE(source->blocks().size(), 5);
      }
    }
  }
}

TEST(BatchSource, ReadsSeveralFilesOneAfterTheOther) {
  TemporaryFiles files;
  const auto source =
      open_or_fail({files.ipc("b.arrow", *counting_table(100), IpcForm::file, 30),
                    files.ipc("c.arrow", *counting_table(0), IpcForm::file, 30),
                    files.ipc("a.arrows", *counting_table(50, 100), IpcForm::stream, 30)});
  expect_counting(*source, 150);
  const table::Manifest& manifest = source->manifest();
  ASSERT_EQ(manifest.files.size(), 3);
  EXPECT_EQ(manifest.files[2].first_row, 100);
  EXPECT_EQ(manifest.files[2].row_count, 50);
  EXPECT_EQ(manifest.files[2].fingerprint.size(), 32);
}

TEST(BatchSource, CutsLargeBatchesWithoutCopyingThem) {
  const auto table = counting_table(1'000'000);
  const auto source = stream_of(*table, 1'000'000);
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_GT((*source)->blocks().size(), 4);
  const auto* original =
      static_cast<const arrow::DoubleArray&>(*table->column(0)->chunk(0)).raw_values();
  for (size_t b = 0; b < (*source)->blocks().size(); ++b) {
    const size_t columns[] = {0};
    const auto block = (*source)->read(b, columns);
    ASSERT_TRUE(block.ok());
    EXPECT_EQ(block->columns[0].f64.data(), original + block->first_row);
  }
}

TEST(BatchSource, CutsLargeBatchesOfAFileOnlyIfTheyAreNotCompressed) {
  TemporaryFiles files;
  const auto table = counting_table(400'000);
  const auto block_count = [&](arrow::Compression::type codec) {
    return open_or_fail({files.ipc("a.arrow", *table, IpcForm::file, 400'000, codec)})
        ->blocks()
        .size();
  };
  EXPECT_EQ(block_count(arrow::Compression::UNCOMPRESSED), 4);
  EXPECT_EQ(block_count(arrow::Compression::ZSTD), 1);
}

TEST(BatchSource, FingerprintsValuesWhateverTheBatches) {
  const auto table = counting_table(150'000);
  const auto fingerprint = [](const arrow::Table& rows, int64_t batch_rows) {
    const auto source = stream_of(rows, batch_rows);
    EXPECT_TRUE(source.ok());
    EXPECT_EQ((*source)->manifest().files[0].path, "(memory)");
    return (*source)->manifest().files[0].fingerprint;
  };
  const std::string expected = fingerprint(*table, 150'000);
  EXPECT_EQ(expected.size(), 32);
  EXPECT_EQ(fingerprint(*table, 1'000), expected);
  const auto chunks = arrow::ConcatenateTables({table->Slice(0, 70'000), table->Slice(70'000)});
  EXPECT_EQ(fingerprint(**chunks, 1 << 20), expected);
  EXPECT_NE(fingerprint(*table->Slice(1), 150'000), expected);
  EXPECT_NE(fingerprint(**table->RemoveColumn(2), 150'000), expected);
  arrow::StringDictionary32Builder texts;
  for (int64_t i = 0; i < table->num_rows(); ++i) {
    EXPECT_TRUE(texts.Append("value " + std::to_string(i % 5)).ok());
  }
  const auto dictionary = texts.Finish().ValueOrDie();
  const auto encoded = table->SetColumn(1, arrow::field("t", dictionary->type()),
                                        std::make_shared<arrow::ChunkedArray>(dictionary));
  EXPECT_EQ(fingerprint(**encoded, 10'000), expected);
}

TEST(BatchSource, ServesChosenNumbersAsCategories) {
  const auto source = stream_of(*counting_table(3), 10, {.categorical = {"n"}});
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(names_of(**source, "n"), (std::vector<std::string>{"0", "1", "2"}));
}

TEST(BatchSource, GivesArrowColumnsOfTheBlock) {
  const auto table = counting_table(100'000);
  const auto source = stream_of(*table, 7'000);
  ASSERT_TRUE(source.ok());
  for (size_t b = 0; b < (*source)->blocks().size(); ++b) {
    const size_t columns[] = {1, 0};
    const auto batch = read_arrow(**source, b, columns);
    ASSERT_TRUE(batch.ok()) << batch.status().message();
    const table::BlockExtent extent = (*source)->blocks()[b];
    const auto expected = table->Slice(extent.first_row, extent.row_count);
    EXPECT_TRUE((*batch)->column(0)->Equals(*expected->column(1)->chunk(0)));
    EXPECT_TRUE((*batch)->column(1)->Equals(*expected->column(0)->chunk(0)));
  }
}

TEST(BatchSource, IsReadByManyThreadsAtOnce) {
  TemporaryFiles files;
  const auto source = open_or_fail({files.ipc("a.arrow", *counting_table(500'000), IpcForm::file,
                                              10'000, arrow::Compression::LZ4_FRAME)});
  const size_t block_count = source->blocks().size();
  std::atomic<int> wrong = 0;
  tbb::parallel_for(size_t{0}, 4 * block_count, [&](size_t i) {
    const size_t columns[] = {i % 2 == 0 ? size_t{0} : size_t{2}};
    const auto block = source->read(i % block_count, columns);
    if (!block.ok() || block->columns[0].number(5) !=
                           static_cast<double>(block->first_row + 5) / (i % 2 == 0 ? 1 : 2)) {
      ++wrong;
    }
    source->manifest();
  });
  EXPECT_EQ(wrong, 0);
}

TEST(BatchSource, TakesOverTheStreamAlsoWhenItFails) {
  struct Failing : arrow::RecordBatchReader {
    std::shared_ptr<arrow::Schema> schema() const override {
      return arrow::schema({arrow::field("x", arrow::int8())});
    }
    arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>*) override {
      return arrow::Status::IOError("the well is dry");
    }
  };
  ArrowArrayStream stream = {};
  ASSERT_TRUE(arrow::ExportRecordBatchReader(std::make_shared<Failing>(), &stream).ok());
  const Status status = from_stream(&stream).status();
  EXPECT_EQ(status.kind(), StatusKind::invalid_input);
  EXPECT_NE(status.message().find("the well is dry"), std::string::npos) << status.message();
  EXPECT_EQ(stream.release, nullptr);
  EXPECT_FALSE(from_stream(&stream).ok()) << "a stream that was taken already";
}

TEST(BatchSource, KeepsListsOfAFrameButRefusesToReadThem) {
  const auto source = stream_of(
      *table_of({{"l", arrow::list(arrow::int8()), "[[1], [2]]"}, {"x", arrow::int8(), "[1, 2]"}}),
      10);
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ((*source)->manifest().files[0].fingerprint.size(), 32);
  EXPECT_EQ(numbers_of(**source, "x"), (std::vector<double>{1, 2}));
  const size_t list[] = {0};
  EXPECT_EQ((*source)->read(0, list).status().kind(), StatusKind::invalid_input);
}

TEST(BatchSource, RefusesDamagedFilesAndNeverCrashes) {
  TemporaryFiles files;
  for (IpcForm form : {IpcForm::file, IpcForm::stream}) {
    for (auto codec : {arrow::Compression::UNCOMPRESSED, arrow::Compression::LZ4_FRAME}) {
      const std::string good =
          read_all(files.ipc("a.arrow", *counting_table(300), form, 100, codec));
      const std::string cut = files.bytes("cut.arrow", good.substr(0, good.size() / 2));
      const std::string paths[] = {cut};
      const Status status = open(paths).status();
      EXPECT_EQ(status.kind(), StatusKind::corrupt) << status.message();
      EXPECT_NE(status.message().find("cut.arrow"), std::string::npos) << status.message();
      uint64_t random = 99;
      for (int round = 0; round < 150; ++round) {
        std::string bytes = good;
        for (int i = 0; i < 3; ++i) {
          random = random * 6364136223846793005u + 1442695040888963407u;
          bytes[8 + (random >> 33) % (bytes.size() - 8)] = static_cast<char>(random >> 25);
        }
        const std::string spoilt[] = {files.bytes("spoilt.arrow", bytes)};
        const auto source = open(spoilt);
        if (!source.ok()) continue;
        for (size_t b = 0; b < (*source)->blocks().size(); ++b) {
          for (size_t column = 0; column < (*source)->schema().columns.size(); ++column) {
            (void)(*source)->read(b, {&column, 1}).ok();
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace evergrove::source

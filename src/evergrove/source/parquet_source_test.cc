// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/parquet_source.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "evergrove/source/arrow_read.h"
#include "evergrove/source/column_decoder.h"
#include "evergrove/source/source_values.h"
#include "evergrove/source/temporary_files.h"

namespace evergrove::source {
namespace {

std::shared_ptr<table::RowSource> open_or_fail(const std::vector<std::string>& paths,
                                               const OpenOptions& options = {}) {
  auto source = open(paths, options);
  EXPECT_TRUE(source.ok()) << source.status().message();
  return source.ok() ? *source : nullptr;
}

Status failure(const std::vector<std::string>& paths) {
  const auto source = open(paths);
  EXPECT_FALSE(source.ok());
  return source.status();
}

std::shared_ptr<arrow::Array> as_floats(const arrow::DoubleArray& numbers) {
  arrow::FloatBuilder floats;
  for (const std::optional<double> number : numbers) {
    const arrow::Status added =
        number ? floats.Append(static_cast<float>(*number)) : floats.AppendNull();
    EXPECT_TRUE(added.ok());
  }
  return floats.Finish().ValueOrDie();
}

TEST(ParquetSource, ReadsNumbersAndTextWhateverTheRowGroups) {
  TemporaryFiles files;
  const auto table = counting_table(200'000);
  for (int64_t group_rows : {777, 10'000, 70'000, 1'000'000, -1'000'000}) {
    OpenOptions options;
    if (group_rows < 0) options.readers = Readers::several;
    const auto source =
        open_or_fail({files.parquet("a.parquet", *table, std::abs(group_rows))}, options);
    EXPECT_EQ(source->manifest().row_count, 200'000);
    const std::vector<double> numbers = numbers_of(*source, "n");
    const std::vector<double> halves = numbers_of(*source, "f");
    const std::vector<std::string> names = names_of(*source, "t");
    ASSERT_EQ(numbers.size(), 200'000);
    ASSERT_EQ(names.size(), 200'000);
    for (size_t i = 0; i < numbers.size(); ++i) {
      ASSERT_EQ(numbers[i], i);
      ASSERT_EQ(halves[i], i / 2.0);
      ASSERT_EQ(names[i], "value " + std::to_string(i % 5));
    }
  }
}

TEST(ParquetSource, MergesSmallRowGroupsIntoBlocksAndDividesLargeOnes) {
  TemporaryFiles files;
  const auto small = open_or_fail({files.parquet("s.parquet", *counting_table(200'000), 1'000)});
  EXPECT_LE(small->blocks().size(), 4);
  const auto large = open_or_fail({files.parquet("l.parquet", *counting_table(200'000), 100'000)});
  ASSERT_EQ(large->blocks().size(), 2);
  EXPECT_EQ(large->blocks()[1].first_row, 100'000);
  OpenOptions several;
  several.readers = Readers::several;
  const std::string path = files.parquet("o.parquet", *counting_table(200'002));
  EXPECT_EQ(open_or_fail({path})->blocks().size(), 1);
  const auto one = open_or_fail({path}, several);
  ASSERT_EQ(one->blocks().size(), 13);  // 200'002 / 16'384, rounded up
  EXPECT_EQ(one->blocks()[1].first_row, 15'385);
  EXPECT_EQ(one->blocks()[1].row_count, 15'385);
  EXPECT_EQ(one->blocks()[12].row_count, 15'382);
  const auto mixed =
      open_or_fail({files.parquet("m.parquet", *counting_table(150'001), 150'000)}, several);
  ASSERT_EQ(mixed->blocks().size(), 11);
  EXPECT_EQ(mixed->blocks()[10].first_row, 150'000);
  EXPECT_EQ(mixed->blocks()[10].row_count, 1);
  // Several readers have about as much of few rows each; of many, blocks are as large as ever.
  const auto groups =
      open_or_fail({files.parquet("g.parquet", *counting_table(200'000), 10'000)}, several);
  EXPECT_EQ(groups->blocks().size(), 20);
  const auto tiny =
      open_or_fail({files.parquet("t.parquet", *counting_table(20'000), 100)}, several);
  EXPECT_EQ(tiny->blocks().size(), 5);
  const auto many = open_or_fail({files.parquet("y.parquet", *counting_table(5'000'000))}, several);
  EXPECT_EQ(many->blocks().size(), 77);
}

// Numbers, text as dictionaries and plain, missing values; forwards, backwards, again, by many.
TEST(ParquetSource, ReadsThePiecesOfARowGroupInAnyOrder) {
  TemporaryFiles files;
  constexpr int64_t kRows = 420'000;
  arrow::DoubleBuilder numbers;
  arrow::StringBuilder names;
  for (int64_t i = 0; i < kRows; ++i) {
    ASSERT_TRUE((i % 7 == 3 ? numbers.AppendNull() : numbers.Append(double(i) / 3)).ok());
    ASSERT_TRUE(
        (i % 11 == 5 ? names.AppendNull() : names.Append("n" + std::to_string(i * i % 9'973)))
            .ok());
  }
  const auto table = arrow::Table::Make(
      arrow::schema({arrow::field("x", arrow::float64()), arrow::field("t", arrow::utf8())}),
      {numbers.Finish().ValueOrDie(), names.Finish().ValueOrDie()});
  const std::string path = files.parquet("a.parquet", *table);
  const size_t both[] = {0, 1};
  const auto expect_block = [&](const table::RowSource& source, size_t block) {
    const auto batch = read_arrow(source, block, both);
    ASSERT_TRUE(batch.ok()) << batch.status().message();
    const table::BlockExtent& extent = source.blocks()[block];
    const auto wanted = table->Slice(int64_t(extent.first_row), int64_t(extent.row_count));
    const auto found = arrow::Table::FromRecordBatches({*batch}).ValueOrDie();
    EXPECT_TRUE(found->Equals(*wanted)) << block;
    for (const size_t column : both) {
      const size_t columns[] = {column};
      EXPECT_TRUE(source.read(block, columns).ok());
    }
  };
  OpenOptions several;
  several.readers = Readers::several;
  const auto source = open_or_fail({path}, several);
  const size_t count = source->blocks().size();
  ASSERT_EQ(count, 26);
  for (size_t block = 0; block < count; ++block) expect_block(*source, block);
  for (size_t block = count; block-- > 0;) expect_block(*source, block);
  const auto shared = open_or_fail({path}, several);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 3 * count; ++i) expect_block(*shared, (i * (t + 1) + t) % count);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(ParquetSource, GivesFloatsAsFloatsWithoutConversion) {
  TemporaryFiles files;
  const auto source = open_or_fail({files.parquet("a.parquet", *counting_table(10))});
  const size_t columns[] = {source->schema().find("f").value()};
  const auto block = source->read(0, columns);
  ASSERT_TRUE(block.ok());
  EXPECT_EQ(block->columns[0].f32.size(), 10);
  EXPECT_TRUE(block->columns[0].f64.empty());
}

TEST(ParquetSource, ReadsEveryKindOfNumberAsArrowDoes) {
  TemporaryFiles files;
  for (const std::string missing : {"", ", null"}) {
    const auto json = [&](const char* numbers) {
      return "[" + std::string(numbers) + missing + "]";
    };
    const auto table =
        table_of({{"i8", arrow::int8(), json("-128, 127, 0")},
                  {"u8", arrow::uint8(), json("0, 255, 128")},
                  {"i16", arrow::int16(), json("-32768, 32767, 0")},
                  {"u16", arrow::uint16(), json("0, 65535, 32768")},
                  {"i32", arrow::int32(), json("-2147483648, 2147483647, 0")},
                  {"u32", arrow::uint32(), json("0, 4294967295, 2147483648")},
                  {"i64", arrow::int64(), json("-9223372036854775808, 9007199254740993, 0")},
                  {"u64", arrow::uint64(), json("0, 18446744073709551615, 1")},
                  {"f", arrow::float32(), json("-0.5, 3.4e38, 0")},
                  {"d", arrow::float64(), json("-0.1, 1e300, 0")},
                  {"day", arrow::date32(), json("-1, 0, 20000")},
                  {"at", arrow::timestamp(arrow::TimeUnit::MICRO), json("-1, 0, 1500000")}});
    const auto source = open_or_fail({files.parquet("a.parquet", *table, 2)});
    ASSERT_EQ(source->blocks().size(), 1);
    for (size_t column = 0; column < source->schema().columns.size(); ++column) {
      const table::ColumnSpec& spec = source->schema().columns[column];
      const size_t columns[] = {column};
      const auto read = source->read(0, columns);
      const auto wanted = decode_column(*table->GetColumnByName(spec.name), spec);
      ASSERT_TRUE(read.ok() && wanted.ok()) << spec.name;
      const table::ColumnValues& values = read->columns[0];
      EXPECT_EQ(values.f32.size(), wanted->f32.size()) << spec.name;
      EXPECT_EQ(values.f64.size(), wanted->f64.size()) << spec.name;
      for (size_t row = 0; row < read->row_count; ++row) {
        const double a = values.number(row), b = wanted->number(row);
        EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << spec.name << " " << row;
      }
    }
  }
}

TEST(ParquetSource, ReadsFilesOneAfterTheOther) {
  TemporaryFiles files;
  std::vector<std::string> paths;
  for (int i = 0; i < 40; ++i) {
    paths.push_back(
        files.parquet("part-" + std::to_string(100 + i) + ".parquet", *counting_table(25, i * 25)));
  }
  paths.push_back(files.parquet("none.parquet", *counting_table(0)));
  const auto source = open_or_fail(paths);
  const std::vector<double> numbers = numbers_of(*source, "n");
  ASSERT_EQ(numbers.size(), 1000);
  for (size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], i);
  const table::Manifest& manifest = source->manifest();
  ASSERT_EQ(manifest.files.size(), 41);
  EXPECT_EQ(manifest.files[39].first_row, 975);
  EXPECT_EQ(manifest.files[40].row_count, 0);
  EXPECT_EQ(manifest.files[3].path, paths[3]);
  EXPECT_EQ(manifest.files[3].fingerprint.size(), 32);
  EXPECT_NE(manifest.files[3].fingerprint, manifest.files[4].fingerprint);
}

TEST(ParquetSource, ReadsAnyColumnsInAnyOrderAlsoTwice) {
  TemporaryFiles files;
  const auto source = open_or_fail({files.parquet("a.parquet", *counting_table(10))});
  const size_t columns[] = {2, 0, 2};
  const auto block = source->read(0, columns);
  ASSERT_TRUE(block.ok()) << block.status().message();
  EXPECT_EQ(block->columns[0].f32[9], 4.5f);
  EXPECT_EQ(block->columns[1].f64[9], 9);
  EXPECT_EQ(block->columns[2].f32[9], 4.5f);
  EXPECT_TRUE(source->read(0, {})->columns.empty());
}

TEST(ParquetSource, OpensAFileWithoutRows) {
  TemporaryFiles files;
  const auto source = open_or_fail({files.parquet("a.parquet", *counting_table(0))});
  EXPECT_EQ(source->manifest().row_count, 0);
  EXPECT_TRUE(source->blocks().empty());
  EXPECT_EQ(source->schema().columns.size(), 3);
}

TEST(ParquetSource, KeepsListsButRefusesToReadThem) {
  TemporaryFiles files;
  const auto table = table_of(
      {{"x", arrow::int64(), "[1, 2]"},
       {"l", arrow::list(arrow::int64()), "[[1], [2, 3]]"},
       {"s", arrow::struct_({arrow::field("a", arrow::int8()), arrow::field("b", arrow::utf8())}),
        "[[1, \"u\"], [2, \"v\"]]"},
       {"y", arrow::int64(), "[3, 4]"}});
  const auto source = open_or_fail({files.parquet("a.parquet", *table)});
  EXPECT_FALSE(source->schema().columns[1].usable);
  EXPECT_FALSE(source->schema().columns[2].usable);
  EXPECT_EQ(numbers_of(*source, "y"), (std::vector<double>{3, 4}));
  const size_t list[] = {1};
  const Status status = source->read(0, list).status();
  EXPECT_EQ(status.kind(), StatusKind::invalid_input);
  EXPECT_NE(status.message().find("column: l"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("list<"), std::string::npos) << status.message();
  const size_t all[] = {3, 2, 1, 0};
  const auto batch = read_arrow(*source, 0, all);
  ASSERT_TRUE(batch.ok()) << batch.status().message();
  EXPECT_TRUE((*batch)->column(1)->Equals(*table->column(2)->chunk(0)));
  EXPECT_TRUE((*batch)->column(2)->Equals(*table->column(1)->chunk(0)));
}

TEST(ParquetSource, KeepsTypesForWhoeverWritesThemOn) {
  TemporaryFiles files;
  const auto table =
      table_of({{"i", arrow::int16(), "[1, null]"},
                {"t", arrow::utf8(), R"(["a", null])"},
                {"w", arrow::large_utf8(), R"(["a", "b"])"},
                {"d", arrow::dictionary(arrow::int32(), arrow::utf8()), R"(["x", "y"])"},
                {"z", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "[0, 1]"}});
  const auto source = open_or_fail({files.parquet("a.parquet", *table)});
  const size_t all[] = {0, 1, 2, 3, 4};
  const auto batch = read_arrow(*source, 0, all);
  ASSERT_TRUE(batch.ok()) << batch.status().message();
  EXPECT_TRUE((*batch)->schema()->Equals(*table->schema(), false))
      << (*batch)->schema()->ToString();
  EXPECT_TRUE((*arrow_schema(*source))->Equals(*table->schema(), false));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE((*batch)->column(i)->Equals(*table->column(i)->chunk(0))) << i;
  }
}

TEST(ParquetSource, ReadsTextOfEveryEncoding) {
  TemporaryFiles files;
  const auto table = counting_table(1000);
  for (auto encoding : {parquet::Encoding::PLAIN, parquet::Encoding::DELTA_LENGTH_BYTE_ARRAY,
                        parquet::Encoding::DELTA_BYTE_ARRAY}) {
    const std::string path = files.path("a.parquet");
    const auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
    const auto properties =
        parquet::WriterProperties::Builder().disable_dictionary()->encoding("t", encoding)->build();
    ASSERT_TRUE(
        parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, 300, properties)
            .ok());
    ASSERT_TRUE(file->Close().ok());
    const std::vector<std::string> names = names_of(*open_or_fail({path}), "t");
    ASSERT_EQ(names.size(), 1000);
    for (size_t i = 0; i < names.size(); ++i) {
      ASSERT_EQ(names[i], "value " + std::to_string(i % 5));
    }
  }
}

TEST(ParquetSource, RefusesATruncatedFile) {
  TemporaryFiles files;
  const std::string bytes = read_all(files.parquet("a.parquet", *counting_table(1000)));
  for (size_t size : {size_t{5}, size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    const std::string path = files.bytes("cut.parquet", bytes.substr(0, size));
    const Status status = failure({path});
    EXPECT_EQ(status.kind(), StatusKind::corrupt) << status.message();
    EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("not complete"), std::string::npos) << status.message();
  }
}

TEST(ParquetSource, NeverCrashesOnSpoiltBytes) {
  TemporaryFiles files;
  const std::string good = read_all(files.parquet("a.parquet", *counting_table(300), 100));
  uint64_t random = 12345;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      bytes[(random >> 33) % bytes.size()] = static_cast<char>(random >> 25);
    }
    const std::string path = files.bytes("spoilt.parquet", bytes);
    const std::string paths[] = {path};
    const auto source = open(paths);
    if (!source.ok()) continue;
    for (size_t b = 0; b < (*source)->blocks().size(); ++b) {
      for (size_t column = 0; column < (*source)->schema().columns.size(); ++column) {
        const size_t columns[] = {column};
        (void)(*source)->read(b, columns).ok();
      }
    }
  }
}

// Where the footer says that no number is missing, levels are not read.
TEST(ParquetSource, RefusesAFooterThatHidesMissingNumbers) {
  TemporaryFiles files;
  constexpr int kNulls = 37;
  for (const bool is_float : {false, true}) {
    for (const bool has_dictionary : {false, true}) {
      arrow::DoubleBuilder numbers;
      for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE((i < kNulls ? numbers.AppendNull() : numbers.Append(i / 8.0)).ok());
      }
      const auto array = numbers.Finish().ValueOrDie();
      const auto table = arrow::Table::Make(
          arrow::schema({arrow::field("x", is_float ? arrow::float32() : arrow::float64())}),
          {is_float ? as_floats(static_cast<const arrow::DoubleArray&>(*array)) : array});
      const std::string path = files.path("a.parquet");
      const auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
      parquet::WriterProperties::Builder properties;
      if (!has_dictionary) properties.disable_dictionary();
      ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, 1000,
                                             properties.build())
                      .ok());
      ASSERT_TRUE(file->Close().ok());
      const std::string good = read_all(path);
      int refused = 0;
      for (size_t at = 0; at < good.size(); ++at) {
        if (good[at] != 2 * kNulls) continue;  // how the footer writes the number
        std::string bytes = good;
        bytes[at] = 0;
        const std::string paths[] = {files.bytes("spoilt.parquet", bytes)};
        const auto source = open(paths);
        const size_t columns[] = {0};
        if (source.ok()) refused += (*source)->read(0, columns).ok() ? 0 : 1;
      }
      EXPECT_GE(refused, 1) << is_float << has_dictionary;
    }
  }
}

TEST(ParquetSource, RefusesAFileThatChangesUnderIt) {
  TemporaryFiles files;
  const std::string path = files.parquet("a.parquet", *counting_table(10));
  const auto source = open_or_fail({path});
  files.parquet("a.parquet", *counting_table(20));
  const size_t columns[] = {0};
  const Status status = source->read(0, columns).status();
  EXPECT_EQ(status.kind(), StatusKind::storage);
  EXPECT_NE(status.message().find("changed"), std::string::npos) << status.message();
}

TEST(ParquetSource, RefusesTwoColumnsOfOneName) {
  TemporaryFiles files;
  const auto table = table_of({{"x", arrow::int64(), "[1, 2]"}, {"x", arrow::int64(), "[1, 2]"}});
  const Status status = failure({files.parquet("a.parquet", *table)});
  EXPECT_EQ(status.kind(), StatusKind::invalid_input);
  EXPECT_NE(status.message().find("column: x"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace evergrove::source

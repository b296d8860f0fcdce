// Scores as a Parquet file: what is in it, whatever the row groups and threads, and that a failure
// leaves nothing behind.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/util/decimal.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/file_reader.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "evergrove/base/testing_file_limit.h"
#include "evergrove/runtime/predict.h"
#include "evergrove/runtime/predict_fixture.h"
#include "evergrove/source/open.h"

namespace evergrove::runtime {
namespace {

namespace fs = std::filesystem;

// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "evergrove_predict_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::string path_;
};

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> array_of(Builder builder, size_t count, Value value) {
  for (size_t row = 0; row < count; ++row) {
    const auto cell = value(row);
    EXPECT_TRUE((cell ? builder.Append(*cell) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}

// The rows of the fixture beside columns of other types that are only good for keeping.
std::shared_ptr<arrow::Table> table_of(const Rows& rows, const std::string& label) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  const auto add = [&](const std::string& name, std::shared_ptr<arrow::Array> column) {
    fields.push_back(arrow::field(name, column->type()));
    columns.push_back(std::move(column));
  };
  const size_t n = rows.count;
  using arrow::default_memory_pool;
  const auto number = [](const std::vector<double>& values) {
    return [&values](size_t row) {
      return std::isnan(values[row]) ? std::nullopt : std::optional<double>(values[row]);
    };
  };
  add("id", array_of(arrow::Int64Builder(), n,
                     [](size_t row) { return std::optional<int64_t>(1'000'000'007 * row); }));
  add("time", array_of(arrow::TimestampBuilder(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
                                               default_memory_pool()),
                       n, [](size_t row) {
                         return row % 7 == 0 ? std::nullopt : std::optional<int64_t>(row * 12345);
                       }));
  add("amount", array_of(arrow::Decimal128Builder(arrow::decimal128(12, 2)), n, [](size_t row) {
        return std::optional<arrow::Decimal128>(static_cast<int64_t>(row) * 99 - 500);
      }));
  add("note", array_of(arrow::StringBuilder(), n, [](size_t row) {
        return row % 5 == 0 ? std::nullopt : std::optional<std::string>("n" + std::to_string(row));
      }));
  for (size_t f = 0; f < rows.numbers.size(); ++f) {
    add("x" + std::to_string(f), array_of(arrow::DoubleBuilder(), n, number(rows.numbers[f])));
  }
  const auto text = [](const std::vector<int32_t>& codes, const std::vector<std::string>& names) {
    return [&codes, &names](size_t row) {
      return codes[row] < 0 ? std::nullopt : std::optional<std::string>(names[codes[row]]);
    };
  };
  add("colour",
      array_of(arrow::StringDictionaryBuilder(), n, text(rows.colours, rows.colour_names)));
  if (label == "species") {
    add(label, array_of(arrow::StringBuilder(), n, text(rows.species, rows.species_names)));
  } else {
    add(label,
        array_of(arrow::DoubleBuilder(), n, number(label == "fraud" ? rows.fraud : rows.price)));
  }
  return arrow::Table::Make(arrow::schema(fields), columns);
}

void write(const arrow::Table& table, const std::string& path, int64_t group_rows) {
  const auto file = arrow::io::FileOutputStream::Open(path).ValueOrDie();
  const auto status = parquet::arrow::WriteTable(
      table, arrow::default_memory_pool(), file, group_rows, parquet::default_writer_properties(),
      parquet::ArrowWriterProperties::Builder().store_schema()->build());
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_TRUE(file->Close().ok());
}

std::shared_ptr<arrow::Table> read(const std::string& path) {
  const auto file = arrow::io::ReadableFile::Open(path).ValueOrDie();
  const auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
  return reader->ReadTable().ValueOrDie()->CombineChunks().ValueOrDie();
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::shared_ptr<table::RowSource> open(const std::string& path) {
  const std::string paths[] = {path};
  auto source = source::open(paths);
  EXPECT_TRUE(source.ok()) << source.status().message();
  return *source;
}

model::Model train_file(const std::string& path, const std::string& label) {
  train::DataSpec spec;
  spec.data = open(path);
  spec.label = label;
  spec.exclude = {"id", "time", "amount", "note"};
  train::Parameters parameters;
  parameters.n_estimators = 5;
  auto prepared = train::prepare(spec, parameters, nullptr, nullptr);
  EXPECT_TRUE(prepared.ok()) << prepared.status().message();
  auto trainer = train::Trainer::create(prepared->header, std::move(prepared->data));
  while (!(*trainer)->finished()) EXPECT_TRUE((*trainer)->next().ok());
  return (*trainer)->model();
}

class PredictParquet : public testing::Test {
 protected:
  void prepare(const std::string& label) {
    table_ = table_of(rows_, label);
    write(*table_, folder_ / "data.parquet", 100);
    model_ = train_file(folder_ / "data.parquet", label);
  }
  PredictRequest request(PredictionKind kind = PredictionKind::probability,
                         std::vector<std::string> keep = {}) const {
    return {{folder_ / "data.parquet"}, folder_ / "out.parquet", kind, std::move(keep), 2};
  }
  std::shared_ptr<arrow::Table> scores(const PredictRequest& wanted) const {
    const auto count = predict_to_parquet(model_, wanted);
    EXPECT_TRUE(count.ok()) << count.status().message();
    EXPECT_EQ(*count, rows_.count);
    EXPECT_EQ(folder_.names(), (std::vector<std::string>{"data.parquet", "out.parquet"}));
    return read(wanted.out_path);
  }
  void expect_refused(const PredictRequest& wanted, const std::string& part,
                      StatusKind kind = StatusKind::invalid_input) const {
    const auto names = folder_.names();
    const auto result = predict_to_parquet(model_, wanted);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().kind(), kind) << result.status().message();
    EXPECT_NE(result.status().message().find(part), std::string::npos) << result.status().message();
    EXPECT_EQ(folder_.names(), names) << "something was left behind";
  }
  // Expects the columns from `first` to be what predict() gives.
  void expect_scores(const arrow::Table& table, int first, PredictionKind kind) const {
    const auto expected = predict(model_, *open(folder_ / "data.parquet"), kind);
    ASSERT_TRUE(expected.ok());
    ASSERT_EQ(table.num_columns(), first + static_cast<int>(expected->width));
    for (size_t k = 0; k < expected->width; ++k) {
      const auto column = table.column(first + static_cast<int>(k))->chunk(0);
      ASSERT_EQ(column->null_count(), 0);
      for (size_t row = 0; row < rows_.count; ++row) {
        const double value = kind == PredictionKind::leaf
                                 ? std::static_pointer_cast<arrow::Int32Array>(column)->Value(row)
                                 : std::static_pointer_cast<arrow::DoubleArray>(column)->Value(row);
        ASSERT_EQ(value, expected->values[row * expected->width + k]);
      }
    }
  }

  const Rows rows_{1050};
  const Folder folder_;
  std::shared_ptr<arrow::Table> table_;
  model::Model model_;
};

// ---- what is in the file ----

TEST_F(PredictParquet, HasKeptColumnsFirstAsTheyAreAndScoresLast) {
  prepare("fraud");
  const std::vector<std::string> keep{"note", "id", "time", "amount", "colour", "x1", "fraud"};
  const auto table = scores(request(PredictionKind::probability, keep));
  ASSERT_EQ(table->num_rows(), 1050);
  for (size_t i = 0; i < keep.size(); ++i) {
    const auto field = table->field(static_cast<int>(i));
    EXPECT_EQ(field->name(), keep[i]);
    const auto original = table_->CombineChunks().ValueOrDie()->GetColumnByName(keep[i]);
    EXPECT_TRUE(field->type()->Equals(original->type())) << field->ToString();
    EXPECT_TRUE(table->column(static_cast<int>(i))->Equals(*original)) << keep[i];
  }
  EXPECT_EQ(table->field(7)->name(), "score");
  expect_scores(*table, 7, PredictionKind::probability);
}

TEST_F(PredictParquet, HasOneColumnAClass) {
  prepare("species");
  for (const PredictionKind kind : {PredictionKind::probability, PredictionKind::margin}) {
    const auto table = scores(request(kind));
    EXPECT_EQ(table->schema()->field_names(),
              (std::vector<std::string>{"score_setosa", "score_versicolor", "score_virginica"}));
    expect_scores(*table, 0, kind);
  }
}

TEST_F(PredictParquet, HasOneColumnATreeForLeaves) {
  prepare("species");
  const auto table = scores(request(PredictionKind::leaf));
  EXPECT_EQ(table->num_columns(), 15);
  EXPECT_EQ(table->field(14)->name(), "leaf_14");
  EXPECT_EQ(table->field(14)->type()->id(), arrow::Type::INT32);
  expect_scores(*table, 0, PredictionKind::leaf);
}

TEST_F(PredictParquet, NamesClassesOfText) {
  prepare("species");
  const auto table = scores(request(PredictionKind::predicted_class));
  const auto expected =
      predict(model_, *open(folder_ / "data.parquet"), PredictionKind::predicted_class);
  const auto column = std::static_pointer_cast<arrow::StringArray>(table->column(0)->chunk(0));
  ASSERT_EQ(column->type_id(), arrow::Type::STRING);
  EXPECT_EQ(table->field(0)->name(), "score");
  for (size_t row = 0; row < rows_.count; ++row) {
    ASSERT_EQ(column->GetView(row),
              model_.metadata.classes[static_cast<size_t>(expected->values[row])]);
  }
}

TEST_F(PredictParquet, GivesClassesThatAreIntegersAsIntegers) {
  prepare("fraud");
  model_.metadata.classes = {"-3", "12"};
  const auto table = scores(request(PredictionKind::predicted_class));
  ASSERT_EQ(table->field(0)->type()->id(), arrow::Type::INT64);
  const auto column = std::static_pointer_cast<arrow::Int64Array>(table->column(0)->chunk(0));
  const auto expected = predict(model_, *open(folder_ / "data.parquet"), PredictionKind::margin);
  for (size_t row = 0; row < rows_.count; ++row) {
    ASSERT_EQ(column->Value(row), expected->values[row] > 0 ? 12 : -3);
  }
  // A text that only looks like one stays a text.
  model_.metadata.classes = {"007", "12"};
  EXPECT_EQ(scores(request(PredictionKind::predicted_class))->field(0)->type()->id(),
            arrow::Type::STRING);
}

TEST_F(PredictParquet, GivesTheValueOfARegression) {
  prepare("price");
  for (const PredictionKind kind :
       {PredictionKind::probability, PredictionKind::margin, PredictionKind::predicted_class}) {
    const auto table = scores(request(kind));
    EXPECT_EQ(table->field(0)->name(), "score");
    expect_scores(*table, 0, kind);
  }
}

TEST_F(PredictParquet, IsTheSameForAnyRowGroupsAndThreads) {
  prepare("fraud");
  PredictRequest wanted = request(PredictionKind::probability, {"id", "note"});
  const auto expected = scores(wanted);
  for (const int64_t group_rows : {int64_t{1}, int64_t{7}, int64_t{5000}}) {
    write(*table_, folder_ / "data.parquet", group_rows);
    for (const int threads : {1, 3, 8}) {
      wanted.threads = threads;
      EXPECT_TRUE(scores(wanted)->Equals(*expected));
    }
  }
  // Small row groups of the data do not become small row groups of the scores.
  write(*table_, folder_ / "data.parquet", 1);
  scores(wanted);
  EXPECT_EQ(parquet::ParquetFileReader::OpenFile(wanted.out_path)->metadata()->num_row_groups(), 1);
}

TEST_F(PredictParquet, CanReplaceAnOlderFile) {
  prepare("fraud");
  std::ofstream(folder_ / "out.parquet") << "older";
  EXPECT_EQ(scores(request())->num_rows(), 1050);
}

TEST_F(PredictParquet, HasTheColumnsThoughNoRows) {
  prepare("fraud");
  write(*table_->Slice(0, 0), folder_ / "data.parquet", 100);
  const auto wanted = request(PredictionKind::margin, {"time"});
  const auto count = predict_to_parquet(model_, wanted);
  ASSERT_TRUE(count.ok()) << count.status().message();
  EXPECT_EQ(*count, 0u);
  const auto table = read(wanted.out_path);
  EXPECT_EQ(table->num_rows(), 0);
  EXPECT_EQ(table->schema()->field_names(), (std::vector<std::string>{"time", "score"}));
}

// A column of codes that was trained as categories is one at scoring too, though it holds numbers.
TEST_F(PredictParquet, TakesNumbersAsCategoriesWhereTheModelDoes) {
  prepare("fraud");
  model::Model model;
  model.base_margins = {0};
  model.value_exponent = 0;
  model.objective = model::ObjectiveKind::regression;
  model.features.push_back({"fraud", table::ColumnKind::categorical, {}, {"1"}});
  model::Tree& tree = model.trees.emplace_back();
  tree.nodes.resize(3);
  tree.nodes[0] = {.feature = 0, .categories_left = {0}, .left = 1, .right = 2};
  tree.nodes[1].value = 10;
  tree.nodes[2].value = 20;
  model_ = model;
  const auto table = scores(request(PredictionKind::margin));
  const auto column = std::static_pointer_cast<arrow::DoubleArray>(table->column(0)->chunk(0));
  for (size_t row = 0; row < rows_.count; ++row) {
    ASSERT_EQ(column->Value(row), rows_.fraud[row] == 1 ? 10 : 20);
  }
}

// In the CSV all that looks like a number is one; the model knows that colours are not.
TEST_F(PredictParquet, ScoresCsvLikeParquet) {
  Rows rows = rows_;
  rows.colour_names = {"1", "2", "3", "4", "5"};
  write(*table_of(rows, "fraud"), folder_ / "data.parquet", 100);
  model_ = train_file(folder_ / "data.parquet", "fraud");
  const auto expected = scores(request(PredictionKind::margin, {"id"}));
  std::ofstream csv(folder_ / "data.csv");
  csv.precision(17);
  csv << "colour,x3,x2,x1,x0,id\n";
  for (size_t row = 0; row < rows.count; ++row) {
    if (rows.colours[row] >= 0) csv << rows.colour_names[rows.colours[row]];
    for (size_t f = 4; f-- > 0;) {
      csv << ',';
      if (!std::isnan(rows.numbers[f][row])) csv << rows.numbers[f][row];
    }
    csv << ',' << 1'000'000'007 * row << '\n';
  }
  csv.close();
  fs::remove(folder_ / "data.parquet");
  PredictRequest wanted = request(PredictionKind::margin, {"id"});
  wanted.data_paths = {folder_ / "data.csv"};
  const auto count = predict_to_parquet(model_, wanted);
  ASSERT_TRUE(count.ok()) << count.status().message();
  EXPECT_TRUE(read(wanted.out_path)->Equals(*expected));
}

// ---- what is refused, and leaves nothing behind ----

TEST_F(PredictParquet, RefusesToKeepWhatIsNotThereOrTwiceOrNamedLikeAScore) {
  prepare("fraud");
  expect_refused(request(PredictionKind::leaf, {"idd"}), "idd");
  expect_refused(request(PredictionKind::leaf, {"id", "id"}), "twice");
  write(*table_
             ->RenameColumns(
                 {"score", "leaf_0", "amount", "note", "x0", "x1", "x2", "x3", "colour", "fraud"})
             .ValueOrDie(),
        folder_ / "data.parquet", 100);
  expect_refused(request(PredictionKind::margin, {"score"}), "score");
  expect_refused(request(PredictionKind::leaf, {"leaf_0"}), "leaf_0");
  EXPECT_EQ(scores(request(PredictionKind::leaf, {"score"}))->num_columns(), 6);
}

TEST_F(PredictParquet, RefusesDataWithoutAFeature) {
  prepare("fraud");
  write(*table_->RemoveColumn(table_->schema()->GetFieldIndex("colour")).ValueOrDie(),
        folder_ / "data.parquet", 100);
  expect_refused(request(), "colour");
}

TEST_F(PredictParquet, RefusesPlacesWhereNothingCanBeWritten) {
  prepare("fraud");
  PredictRequest wanted = request();
  wanted.out_path = folder_ / "no/such/folder.parquet";
  expect_refused(wanted, "folder does not exist", StatusKind::not_found);
  wanted.out_path = folder_ / "";
  expect_refused(wanted, "folder");
  wanted.out_path = "s3://bucket/scores.parquet";
  expect_refused(wanted, "local", StatusKind::unsupported);
}

TEST_F(PredictParquet, RefusesToReplaceTheDataItReads) {
  prepare("fraud");
  const std::string before = bytes_of(folder_ / "data.parquet");
  PredictRequest wanted = request();
  wanted.out_path =
      folder_ / "../" + fs::path(folder_ / "").parent_path().filename().string() + "/data.parquet";
  expect_refused(wanted, "replace the data");
  EXPECT_EQ(bytes_of(folder_ / "data.parquet"), before);
}

TEST_F(PredictParquet, LeavesTheOlderFileWhenTheDataIsBroken) {
  prepare("fraud");
  std::ofstream(folder_ / "out.parquet") << "older";
  std::string bytes = bytes_of(folder_ / "data.parquet");
  std::fill(bytes.begin() + bytes.size() / 3, bytes.begin() + bytes.size() / 2, '\xff');
  std::ofstream(folder_ / "data.parquet", std::ios::binary) << bytes;
  const auto result = predict_to_parquet(model_, request());
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(folder_.names(), (std::vector<std::string>{"data.parquet", "out.parquet"}));
  EXPECT_EQ(bytes_of(folder_ / "out.parquet"), "older");
}

// A file may grow to 4,000 bytes only: the disk is as good as full.
TEST_F(PredictParquet, SaysThatTheDiskIsFullAndRemovesWhatWasWritten) {
  prepare("fraud");
  const FileLimit limit(4000);
  expect_refused(request(PredictionKind::leaf, {"id", "note", "amount"}), "write",
                 StatusKind::storage);
}

}  // namespace
}  // namespace evergrove::runtime

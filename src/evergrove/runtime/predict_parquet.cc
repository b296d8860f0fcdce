// Blocks are read and scored by many threads and written by one at a time, in order: a pipeline
// with a fixed number of blocks in it, so that memory does not grow with the data.
// SPDX-License-Identifier: Apache-2.0
#include <arrow/api.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>
#include <set>

#include "evergrove/base/number_text.h"
#include "evergrove/runtime/block_scorer.h"
#include "evergrove/runtime/output_place.h"
#include "evergrove/runtime/parquet_output.h"
#include "evergrove/runtime/predict.h"
#include "evergrove/runtime/scoring_options.h"
#include "evergrove/runtime/threads.h"
#include "evergrove/source/arrow_read.h"
#include "evergrove/source/open.h"

namespace evergrove::runtime {
namespace {

constexpr size_t kRowGroupBytes = size_t{64} << 20;   // about, before they are encoded
constexpr size_t kInFlightBytes = size_t{512} << 20;  // scores of the blocks in the pipeline

// The classes as integers, if all of them are named by one.
std::optional<std::vector<int64_t>> integer_classes(const std::vector<std::string>& names) {
  std::vector<int64_t> integers;
  for (const std::string& name : names) {
    int64_t integer = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), integer);
    if (error != std::errc() || number_text(integer) != name) return std::nullopt;
    integers.push_back(integer);
  }
  return integers;
}

// What the scores are called and how they become Arrow columns.
class ScoreColumns {
 public:
  ScoreColumns(const model::Model& model, PredictionKind kind, size_t width) : kind_(kind) {
    const std::vector<std::string> classes = class_names(model);
    if (kind == PredictionKind::leaf) {
      for (size_t tree = 0; tree < width; ++tree) {
        fields_.push_back(arrow::field("leaf_" + std::to_string(tree), arrow::int32(), false));
      }
    } else if (kind == PredictionKind::predicted_class && !classes.empty()) {
      integers_ = integer_classes(classes);
      names_ = classes;
      fields_.push_back(arrow::field("score", integers_ ? arrow::int64() : arrow::utf8(), false));
    } else if (width == 1) {
      fields_.push_back(arrow::field("score", arrow::float64(), false));
    } else {
      for (const std::string& name : classes) {
        fields_.push_back(arrow::field("score_" + name, arrow::float64(), false));
      }
    }
  }

  const arrow::FieldVector& fields() const { return fields_; }
  std::vector<std::string> plain_columns() const {
    std::vector<std::string> names;
    for (const auto& field : fields_) {
      if (field->type()->id() == arrow::Type::DOUBLE) names.push_back(field->name());
    }
    return names;
  }

  // The scores of a block, of so many rows, as columns.
  Result<arrow::ArrayVector> make(const BlockScorer& scorer, size_t block_index,
                                  size_t row_count) const {
    if (kind_ == PredictionKind::leaf) {
      EVERGROVE_ASSIGN_OR_RETURN(const std::vector<int32_t> leaves, scorer.leaves(block_index));
      return to_columns<arrow::Int32Type>(leaves, [](int32_t leaf) { return leaf; });
    }
    std::vector<double> values(row_count * scorer.width(kind_));
    EVERGROVE_RETURN_IF_ERROR(scorer.values(block_index, kind_, values));
    if (integers_) {
      return to_columns<arrow::Int64Type>(
          values, [&](double value) { return (*integers_)[static_cast<size_t>(value)]; });
    }
    if (!names_.empty()) {
      return to_columns<arrow::StringType>(values, [&](double value) -> const std::string& {
        return names_[static_cast<size_t>(value)];
      });
    }
    return to_columns<arrow::DoubleType>(values, [](double value) { return value; });
  }

 private:
  template <typename Type, typename Value, typename Convert>
  Result<arrow::ArrayVector> to_columns(const std::vector<Value>& values, Convert convert) const {
    const size_t width = fields_.size();
    const size_t row_count = width == 0 ? 0 : values.size() / width;
    arrow::ArrayVector columns;
    for (size_t k = 0; k < width; ++k) {
      typename arrow::TypeTraits<Type>::BuilderType builder;
      arrow::Status status = builder.Reserve(static_cast<int64_t>(row_count));
      for (size_t row = 0; row < row_count && status.ok(); ++row) {
        status = builder.Append(convert(values[row * width + k]));
      }
      std::shared_ptr<arrow::Array> column;
      if (status.ok()) status = builder.Finish(&column);
      if (!status.ok()) return internal_error(status.ToString());
      columns.push_back(std::move(column));
    }
    return columns;
  }

  PredictionKind kind_;
  arrow::FieldVector fields_;
  std::vector<std::string> names_;
  std::optional<std::vector<int64_t>> integers_;
};

// The places of the kept columns; refuses what is not there, and names that would be there twice.
Result<std::vector<size_t>> kept_columns(const table::RowSource& source,
                                         const std::vector<std::string>& keep,
                                         const arrow::FieldVector& score_fields) {
  std::set<std::string> taken;
  for (const auto& field : score_fields) taken.insert(field->name());
  const std::set<std::string> score_names = taken;
  std::vector<size_t> columns;
  for (const std::string& name : keep) {
    const auto index = source.schema().find(name);
    if (!index) {
      return invalid_input("The data has no such column to keep; check the name",
                           {{"column", name}});
    }
    if (score_names.contains(name)) {
      return invalid_input(
          "A kept column has the name of a column of scores; do not keep it, or rename it in the "
          "data",
          {{"column", name}});
    }
    if (!taken.insert(name).second) {
      return invalid_input("A column is to be kept twice; name it once", {{"column", name}});
    }
    columns.push_back(*index);
  }
  return columns;
}

Status check_out_path(const std::string& path, const table::RowSource& source) {
  if (path.find("://") != std::string::npos) {
    return unsupported("Scores are written to local files only; give a path, and copy the file",
                       {{"path", path}});
  }
  return check_is_no_data("The scores", path, source);
}

// Scores all blocks into the output, in order.
class Pipeline {
 public:
  Pipeline(const table::RowSource& source, const BlockScorer& scorer, const ScoreColumns& scores,
           std::vector<size_t> kept, std::shared_ptr<arrow::Schema> schema, ParquetOutput& output)
      : source_(source),
        scorer_(scorer),
        scores_(scores),
        kept_(std::move(kept)),
        schema_(std::move(schema)),
        output_(output) {}

  Status run(size_t blocks_in_flight) {
    using Batch = Result<std::shared_ptr<arrow::RecordBatch>>;
    using Slot = std::shared_ptr<Batch>;
    size_t next_block = 0;
    Status failure;
    std::atomic<bool> failed = false;
    tbb::parallel_pipeline(
        blocks_in_flight,
        tbb::make_filter<void, size_t>(tbb::filter_mode::serial_in_order,
                                       [&](tbb::flow_control& control) -> size_t {
                                         if (failed || next_block == source_.blocks().size()) {
                                           control.stop();
                                           return 0;
                                         }
                                         return next_block++;
                                       }) &
            tbb::make_filter<size_t, Slot>(
                tbb::filter_mode::parallel,
                [&](size_t block) { return std::make_shared<Batch>(batch(block)); }) &
            tbb::make_filter<Slot, void>(tbb::filter_mode::serial_in_order, [&](const Slot& slot) {
              if (failed) return;
              failure = slot->ok() ? output_.write(***slot) : slot->status();
              failed = !failure.ok();
            }));
    return failure;
  }

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> batch(size_t block) const {
    arrow::ArrayVector columns;
    if (!kept_.empty()) {
      EVERGROVE_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::RecordBatch> kept,
                                 source::read_arrow(source_, block, kept_));
      columns = kept->columns();
    }
    const size_t row_count = source_.blocks()[block].row_count;
    EVERGROVE_ASSIGN_OR_RETURN(const arrow::ArrayVector scores,
                               scores_.make(scorer_, block, row_count));
    columns.insert(columns.end(), scores.begin(), scores.end());
    return arrow::RecordBatch::Make(schema_, static_cast<int64_t>(row_count), std::move(columns));
  }

  const table::RowSource& source_;
  const BlockScorer& scorer_;
  const ScoreColumns& scores_;
  const std::vector<size_t> kept_;
  const std::shared_ptr<arrow::Schema> schema_;
  ParquetOutput& output_;
};

size_t blocks_in_flight(const table::RowSource& source, size_t row_bytes, size_t threads) {
  size_t block_rows = 1;
  for (const table::BlockExtent& extent : source.blocks()) {
    block_rows = std::max(block_rows, extent.row_count);
  }
  const size_t fitting = kInFlightBytes / (block_rows * row_bytes + 1);
  return std::clamp<size_t>(fitting, 1, 2 * threads);
}

Result<uint64_t> predict_here(const model::Model& model, const PredictRequest& request) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::shared_ptr<table::RowSource> source,
                             source::open(request.data_paths, scoring_options(model)));
  EVERGROVE_RETURN_IF_ERROR(check_out_path(request.out_path, *source));
  EVERGROVE_ASSIGN_OR_RETURN(const BlockScorer scorer, BlockScorer::create(model, *source));
  const size_t width = scorer.width(request.kind);
  const ScoreColumns scores(model, request.kind, width);
  EVERGROVE_ASSIGN_OR_RETURN(std::vector<size_t> kept,
                             kept_columns(*source, request.keep, scores.fields()));
  EVERGROVE_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Schema> all,
                             source::arrow_schema(*source));
  arrow::FieldVector fields;
  for (size_t column : kept) fields.push_back(all->field(static_cast<int>(column)));
  fields.insert(fields.end(), scores.fields().begin(), scores.fields().end());
  if (fields.empty()) {
    return invalid_input("There is no column to write: the model has no trees, hence no leaves");
  }
  const auto schema = arrow::schema(fields);
  const size_t row_bytes = 8 * (width + 2 * kept.size());
  ParquetOptions parquet;
  parquet.plain_columns = scores.plain_columns();
  parquet.row_group_rows = static_cast<int64_t>(
      std::clamp<size_t>(kRowGroupBytes / row_bytes, size_t{1} << 13, size_t{1} << 18));
  EVERGROVE_ASSIGN_OR_RETURN(const std::unique_ptr<ParquetOutput> output,
                             ParquetOutput::create(request.out_path, schema, parquet));
  const auto threads = static_cast<size_t>(tbb::this_task_arena::max_concurrency());
  Pipeline pipeline(*source, scorer, scores, std::move(kept), schema, *output);
  EVERGROVE_RETURN_IF_ERROR(pipeline.run(blocks_in_flight(*source, row_bytes, threads)));
  EVERGROVE_RETURN_IF_ERROR(output->publish());
  return source->row_count();
}

}  // namespace

Result<uint64_t> predict_to_parquet(const model::Model& model, const PredictRequest& request) {
  const ThreadLimit limit(request.threads);
  return limit.execute([&] { return predict_here(model, request); });
}

}  // namespace evergrove::runtime

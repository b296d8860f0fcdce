// SPDX-License-Identifier: Apache-2.0
#include "evergrove/source/csv_source.h"

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <unordered_map>

#include "evergrove/source/arrow_source.h"
#include "evergrove/source/csv_arrow.h"
#include "evergrove/source/csv_bytes.h"
#include "evergrove/source/csv_scan.h"

namespace evergrove::source {
namespace {

// A file that is open: its layout, and the place of each column of the data set among its fields.
struct OpenFile {
  std::string path;
  std::shared_ptr<arrow::io::RandomAccessFile> file;  // unpacked, if it was a gzip file
  uint64_t size_bytes = 0;                            // as it lies in its folder
  FileLayout layout;
  uint64_t body_offset = 0;
  uint64_t body_line = 0;
  std::vector<size_t> field_of_column;
  CsvScan scan;
};

struct CsvColumnPlan {
  CsvType type = CsvType::text;
  bool as_categories = false;
};

class CsvSource final : public ArrowSource {
 public:
  CsvSource(std::vector<OpenFile> files, const std::vector<CsvColumnPlan>& plans)
      : files_(std::move(files)), plans_(plans) {
    arrow::FieldVector fields;
    for (size_t i = 0; i < plans.size(); ++i) {
      const std::string& name = files_[0].layout.names[i];
      const bool is_category =
          plans[i].as_categories || column_kind(plans[i].type) == table::ColumnKind::categorical;
      schema_.columns.push_back(
          {.name = name,
           .kind = is_category ? table::ColumnKind::categorical : table::ColumnKind::numeric,
           .source_type = std::string(source_type(plans[i].type))});
      fields.push_back(arrow::field(name, arrow_type(plans[i].type)));
    }
    arrow_schema_ = arrow::schema(std::move(fields));
    for (size_t f = 0; f < files_.size(); ++f) {
      const OpenFile& file = files_[f];
      for (const CsvPiece& piece : file.scan.pieces) {
        blocks_.push_back({manifest_.row_count + piece.first_row, piece.row_count});
        places_.push_back({f, piece});
      }
      manifest_.files.push_back({file.path, file.size_bytes, manifest_.row_count,
                                 file.scan.row_count, file.scan.fingerprint});
      manifest_.row_count += file.scan.row_count;
    }
  }

  const table::Schema& schema() const override { return schema_; }
  const table::Manifest& manifest() const override { return manifest_; }
  std::vector<std::string> file_paths() const override {
    std::vector<std::string> paths;
    for (const OpenFile& file : files_) paths.push_back(file.path);
    return paths;
  }
  std::span<const table::BlockExtent> blocks() const override { return blocks_; }
  bool reads_single_columns() const override { return false; }
  std::shared_ptr<arrow::Schema> arrow_schema() const override { return arrow_schema_; }

  Result<table::RowBlock> read(size_t block_index, std::span<const size_t> columns) const override {
    const Place& place = places_[block_index];
    const OpenFile& file = files_[place.file_index];
    EVERGROVE_ASSIGN_OR_RETURN(const auto bytes, read_place(place));
    ConvertedPiece converted =
        convert_piece(text_of(*bytes), file.layout, requests(file, columns), place.piece.row_count);
    if (converted.fault) return converted.fault->to_status(file.path, place.piece.first_line);
    const table::BlockExtent extent = blocks_[block_index];
    return table::RowBlock{extent.first_row, extent.row_count, std::move(converted.columns)};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> read_arrow(
      size_t block_index, std::span<const size_t> columns) const override {
    const Place& place = places_[block_index];
    const OpenFile& file = files_[place.file_index];
    EVERGROVE_ASSIGN_OR_RETURN(const auto bytes, read_place(place));
    EVERGROVE_ASSIGN_OR_RETURN(
        ArrowPiece converted,
        convert_piece_to_arrow(text_of(*bytes), file.layout, requests(file, columns),
                               place.piece.row_count));
    if (converted.fault) return converted.fault->to_status(file.path, place.piece.first_line);
    arrow::FieldVector fields;
    for (size_t column : columns) fields.push_back(arrow_schema_->field(static_cast<int>(column)));
    return arrow::RecordBatch::Make(arrow::schema(std::move(fields)),
                                    static_cast<int64_t>(place.piece.row_count),
                                    std::move(converted.columns));
  }

 private:
  struct Place {
    size_t file_index = 0;
    CsvPiece piece;
  };

  Result<std::shared_ptr<arrow::Buffer>> read_place(const Place& place) const {
    const OpenFile& file = files_[place.file_index];
    return read_bytes(*file.file, file.path, place.piece.offset, place.piece.byte_count);
  }
  std::vector<ColumnRequest> requests(const OpenFile& file, std::span<const size_t> columns) const {
    std::vector<ColumnRequest> result;
    for (size_t column : columns) {
      result.push_back(
          {file.field_of_column[column], plans_[column].type, plans_[column].as_categories});
    }
    return result;
  }

  std::vector<OpenFile> files_;
  std::vector<CsvColumnPlan> plans_;  // one a column
  table::Schema schema_;
  std::shared_ptr<arrow::Schema> arrow_schema_;
  table::Manifest manifest_;
  std::vector<table::BlockExtent> blocks_;
  std::vector<Place> places_;  // one a block
};

// Opens a file as far as its header: bytes are taken until the header line is complete.
Status read_head(OpenFile& file, const OpenOptions& options, const CsvCut& cut) {
  EVERGROVE_ASSIGN_OR_RETURN(const uint64_t file_bytes, file_size(*file.file, file.path));
  for (uint64_t head_bytes = 65536;; head_bytes *= 4) {
    const bool is_whole = head_bytes >= file_bytes;
    EVERGROVE_ASSIGN_OR_RETURN(
        const auto head, read_bytes(*file.file, file.path, 0, std::min(head_bytes, file_bytes)));
    EVERGROVE_ASSIGN_OR_RETURN(file.layout.dialect,
                               infer_dialect(text_of(*head), options.csv_delimiter, file.path));
    const bool is_enough = is_whole || head_bytes >= cut.record_bytes_max;
    if (!is_enough && !has_whole_header(text_of(*head), file.layout.dialect)) continue;
    EVERGROVE_ASSIGN_OR_RETURN(CsvHeader header,
                               read_header(text_of(*head), file.layout.dialect, file.path));
    file.layout.names = std::move(header.names);
    file.body_offset = header.body_offset;
    file.body_line = header.body_line;
    return {};
  }
}

// The rules for the columns of the data set that options.column_types names.
Result<std::unordered_map<std::string, TypeRule>> rules_by_name(
    const OpenOptions& options, const std::vector<std::string>& names) {
  std::unordered_map<std::string, TypeRule> rules;
  for (const auto& [name, type] : options.column_types) {
    const auto rule = type_rule(type);
    if (!rule) {
      return invalid_input("A column type must be number, text or date",
                           {{"column", name}, {"given", type}});
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return invalid_input(
          "A type is given for a column that the CSV file does not have; check the name",
          {{"column", name}, {"type", type}});
    }
    rules.emplace(name, *rule);
  }
  for (const std::string& name : options.text) rules.emplace(name, TypeRule::text);
  return rules;
}

// Finds each column of the first file among the fields of this one.
Status match_columns(const OpenFile& first, OpenFile& file) {
  std::unordered_map<std::string_view, size_t> fields;
  for (size_t i = 0; i < file.layout.names.size(); ++i) fields.emplace(file.layout.names[i], i);
  for (const std::string& name : first.layout.names) {
    const auto found = fields.find(name);
    if (found == fields.end()) {
      return invalid_input(
          "A CSV file lacks a column that the first file has; files of one data "
          "set must have the same columns",
          {{"column", name}, {"file", file.path}, {"first file", first.path}});
    }
    file.field_of_column.push_back(found->second);
    fields.erase(found);
  }
  for (const std::string& name : file.layout.names) {
    if (!fields.contains(name)) continue;
    return invalid_input(
        "A CSV file has a column that the first file lacks; files of one data set "
        "must have the same columns",
        {{"column", name}, {"file", file.path}, {"first file", first.path}});
  }
  return {};
}

// About 64 pieces for many threads to share, none so small that its bookkeeping shows.
size_t piece_bytes_for(uint64_t total_bytes) {
  return static_cast<size_t>(
      std::clamp<uint64_t>(total_bytes / 64, uint64_t{256} << 10, uint64_t{4} << 20));
}

template <typename Visit>
Status for_each_open_file(std::vector<OpenFile>& files, Visit visit) {
  std::vector<Status> statuses(files.size());
  tbb::parallel_for(size_t{0}, files.size(), [&](size_t i) { statuses[i] = visit(i); });
  for (const Status& status : statuses) EVERGROVE_RETURN_IF_ERROR(status);
  return {};
}

std::vector<CsvColumnPlan> make_plans(const std::vector<OpenFile>& files,
                                      const OpenOptions& options) {
  std::vector<CsvColumnPlan> plans;
  const FileLayout& first = files[0].layout;
  for (size_t column = 0; column < first.names.size(); ++column) {
    SeenKinds seen;
    for (const OpenFile& file : files) seen.add(file.scan.kinds[file.field_of_column[column]]);
    const bool as_categories = std::find(options.categorical.begin(), options.categorical.end(),
                                         first.names[column]) != options.categorical.end();
    plans.push_back({seen.type(first.rules[column]), as_categories});
  }
  return plans;
}

}  // namespace

Result<std::shared_ptr<table::RowSource>> open_csv(std::vector<CsvFile> given,
                                                   const OpenOptions& options, CsvCut cut) {
  if (given.empty()) return invalid_input("No CSV files are given; name at least one");
  std::vector<OpenFile> files(given.size());
  EVERGROVE_RETURN_IF_ERROR(for_each_open_file(files, [&](size_t i) -> Status {
    OpenFile& file = files[i];
    file.path = given[i].path;
    file.file = given[i].file;
    EVERGROVE_ASSIGN_OR_RETURN(file.size_bytes, file_size(*file.file, file.path));
    if (given[i].gzip) {
      EVERGROVE_ASSIGN_OR_RETURN(file.file, unpack_gzip(given[i].file, file.path));
    }
    return read_head(file, options, cut);
  }));

  EVERGROVE_ASSIGN_OR_RETURN(const auto rules, rules_by_name(options, files[0].layout.names));
  uint64_t total_bytes = 0;
  for (OpenFile& file : files) {
    EVERGROVE_RETURN_IF_ERROR(match_columns(files[0], file));
    for (const std::string& name : file.layout.names) {
      const auto rule = rules.find(name);
      file.layout.rules.push_back(rule == rules.end() ? TypeRule::infer : rule->second);
    }
    total_bytes += file.size_bytes;
  }
  if (cut.piece_bytes == 0) cut.piece_bytes = piece_bytes_for(total_bytes);
  EVERGROVE_RETURN_IF_ERROR(for_each_open_file(files, [&](size_t i) -> Status {
    OpenFile& file = files[i];
    EVERGROVE_ASSIGN_OR_RETURN(file.scan, scan_csv(*file.file, file.path, file.layout,
                                                   file.body_offset, file.body_line, cut));
    return {};
  }));
  const std::vector<CsvColumnPlan> plans = make_plans(files, options);
  return std::shared_ptr<table::RowSource>(std::make_shared<CsvSource>(std::move(files), plans));
}

}  // namespace evergrove::source

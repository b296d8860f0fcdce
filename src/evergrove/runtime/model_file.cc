// Columns: tree, node, output (int32) | feature (utf8, null for a leaf) | threshold (double)
// | missing_left (bool) | categories (list of utf8) | left, right (int32) | value (double, exact:
// units of 2^value_exponent below 2^53) | cover (int64) | gain (double).
// Schema metadata: evergrove.version, evergrove.model (JSON), evergrove.checksum (its SHA-256).
//
// Reading trusts nothing: Arrow validates lengths and offsets, then each value is checked, then
// model::validate, then the digest over what was read is held against the one that was written.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/model_file.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/util/compression.h>

#include <cmath>
#include <unordered_map>

#include "evergrove/base/sha256.h"
#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/model_metadata.h"

namespace evergrove::runtime {
namespace {

constexpr const char* kVersionKey = "evergrove.version";
constexpr const char* kModelKey = "evergrove.model";
constexpr const char* kChecksumKey = "evergrove.checksum";
constexpr std::string_view kVersion = "1";

std::shared_ptr<arrow::Schema> schema_of_nodes() {
  using arrow::field;
  return arrow::schema(
      {field("tree", arrow::int32()), field("node", arrow::int32()),
       field("output", arrow::int32()), field("feature", arrow::utf8()),
       field("threshold", arrow::float64()), field("missing_left", arrow::boolean()),
       field("categories", arrow::list(arrow::utf8())), field("left", arrow::int32()),
       field("right", arrow::int32()), field("value", arrow::float64()),
       field("cover", arrow::int64()), field("gain", arrow::float64())});
}

// Appends nodes to the columns of the file, in which there is room for all from the beginning.
class NodeWriter {
 public:
  explicit NodeWriter(const model::Model& model) : model_(model) {}

  arrow::Status add_all() {
    ARROW_RETURN_NOT_OK(make_room());
    for (size_t tree = 0; tree < model_.trees.size(); ++tree) {
      const std::vector<model::Node>& nodes = model_.trees[tree].nodes;
      for (size_t i = 0; i < nodes.size(); ++i) {
        tree_.UnsafeAppend(static_cast<int32_t>(tree));
        node_.UnsafeAppend(static_cast<int32_t>(i));
        output_.UnsafeAppend(static_cast<int32_t>(model_.trees[tree].output));
        cover_.UnsafeAppend(static_cast<int64_t>(nodes[i].cover));
        ARROW_RETURN_NOT_OK(nodes[i].feature < 0 ? add_leaf(nodes[i]) : add_split(nodes[i]));
      }
    }
    return arrow::Status::OK();
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> finish(
      const std::shared_ptr<arrow::Schema>& schema) {
    arrow::ArrayVector columns;
    for (arrow::ArrayBuilder* builder : builders()) {
      ARROW_ASSIGN_OR_RAISE(columns.emplace_back(), builder->Finish());
    }
    const int64_t row_count = columns[0]->length();
    return arrow::RecordBatch::Make(schema, row_count, std::move(columns));
  }

 private:
  // In the order of the columns.
  std::vector<arrow::ArrayBuilder*> builders() {
    return {&tree_,       &node_, &output_, &feature_, &threshold_, &missing_left_,
            &categories_, &left_, &right_,  &value_,   &cover_,     &gain_};
  }

  arrow::Status make_room() {
    size_t node_count = 0;
    size_t name_bytes = 0;
    for (const model::Tree& tree : model_.trees) {
      node_count += tree.nodes.size();
      for (const model::Node& node : tree.nodes) {
        if (node.feature >= 0) name_bytes += model_.features[node.feature].name.size();
      }
    }
    for (arrow::ArrayBuilder* builder : builders()) {
      ARROW_RETURN_NOT_OK(builder->Reserve(static_cast<int64_t>(node_count)));
    }
    return feature_.ReserveData(static_cast<int64_t>(name_bytes));
  }

  arrow::Status add_leaf(const model::Node& node) {
    value_.UnsafeAppend(std::ldexp(static_cast<double>(node.value), model_.value_exponent));
    feature_.UnsafeAppendNull();
    threshold_.UnsafeAppendNull();
    missing_left_.UnsafeAppendNull();
    left_.UnsafeAppendNull();
    right_.UnsafeAppendNull();
    gain_.UnsafeAppendNull();
    return categories_.AppendNull();
  }

  arrow::Status add_split(const model::Node& node) {
    const model::Feature& feature = model_.features[node.feature];
    feature_.UnsafeAppend(feature.name);
    missing_left_.UnsafeAppend(node.missing_left);
    left_.UnsafeAppend(node.left);
    right_.UnsafeAppend(node.right);
    gain_.UnsafeAppend(node.gain);
    value_.UnsafeAppendNull();
    if (feature.kind == table::ColumnKind::numeric) {
      threshold_.UnsafeAppend(node.threshold);
      return categories_.AppendNull();
    }
    threshold_.UnsafeAppendNull();
    ARROW_RETURN_NOT_OK(categories_.Append());
    for (uint32_t category : node.categories_left) {
      ARROW_RETURN_NOT_OK(category_names_->Append(feature.categories[category]));
    }
    return arrow::Status::OK();
  }

  const model::Model& model_;
  arrow::Int32Builder tree_, node_, output_, left_, right_;
  arrow::StringBuilder feature_;
  arrow::DoubleBuilder threshold_, value_, gain_;
  arrow::BooleanBuilder missing_left_;
  std::shared_ptr<arrow::StringBuilder> category_names_ = std::make_shared<arrow::StringBuilder>();
  arrow::ListBuilder categories_{arrow::default_memory_pool(), category_names_};
  arrow::Int64Builder cover_;
};

arrow::Result<arrow::ipc::IpcWriteOptions> write_options(ModelBytes how) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;  // who calls has said how many it may have
  if (how == ModelBytes::compressed) {
    constexpr int kQuick = 1;
    ARROW_ASSIGN_OR_RAISE(options.codec,
                          arrow::util::Codec::Create(arrow::Compression::ZSTD, kQuick));
  }
  return options;
}

arrow::Result<std::string> write_bytes(const model::Model& model, const std::string& digest,
                                       ModelBytes how) {
  const std::string json = metadata_to_json(model, digest);
  const auto schema = schema_of_nodes()->WithMetadata(arrow::key_value_metadata(
      {kVersionKey, kModelKey, kChecksumKey}, {std::string(kVersion), json, sha256_hex(json)}));
  NodeWriter nodes(model);
  ARROW_RETURN_NOT_OK(nodes.add_all());
  ARROW_ASSIGN_OR_RAISE(const auto batch, nodes.finish(schema));
  ARROW_ASSIGN_OR_RAISE(const auto out, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(const auto options, write_options(how));
  ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeFileWriter(out, schema, options));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(const auto buffer, out->Finish());
  return buffer->ToString();
}

// What compressed bytes say that they unfold to need not be so.
int64_t unfolded_bytes_max(std::string_view bytes) {
  constexpr int64_t kAtLeast = int64_t{256} << 20;
  constexpr int64_t kTimes = 64;
  return kAtLeast + kTimes * static_cast<int64_t>(bytes.size());
}

arrow::Result<std::shared_ptr<arrow::Table>> read_table(std::string_view bytes,
                                                        arrow::MemoryPool* pool) {
  const auto buffer = std::make_shared<arrow::Buffer>(
      reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int64_t>(bytes.size()));
  arrow::ipc::IpcReadOptions options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  options.memory_pool = pool;
  ARROW_ASSIGN_OR_RAISE(const auto reader,
                        arrow::ipc::RecordBatchFileReader::Open(
                            std::make_shared<arrow::io::BufferReader>(buffer), options));
  arrow::RecordBatchVector batches;
  for (int i = 0; i < reader->num_record_batches(); ++i) {
    ARROW_ASSIGN_OR_RAISE(batches.emplace_back(), reader->ReadRecordBatch(i));
    ARROW_RETURN_NOT_OK(batches.back()->ValidateFull());
  }
  ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(reader->schema(), batches));
  return table->CombineChunks(pool);
}

Status altered(std::string_view what) {
  return corrupt("The model file is damaged or was altered; write it anew or restore it",
                 {{"found", std::string(what)}});
}

// The columns of a table of nodes, once their types are checked.
class NodeReader {
 public:
  static Result<NodeReader> make(const arrow::Table& table, const model::Model& model) {
    if (!table.schema()->Equals(*schema_of_nodes(), /*check_metadata=*/false)) {
      return altered("columns of other names or types");
    }
    NodeReader reader(model);
    reader.row_count_ = table.num_rows();
    for (int i = 0; i < table.num_columns(); ++i) {
      if (table.column(i)->num_chunks() > 1) return altered("columns in several pieces");
      reader.columns_.push_back(table.column(i)->num_chunks() == 1 ? table.column(i)->chunk(0)
                                                                   : nullptr);
    }
    return reader;
  }

  Status read(std::vector<model::Tree>& trees) {
    for (int64_t row = 0; row < row_count_; ++row) {
      for (int column : {Column::tree, Column::node, Column::output, Column::cover}) {
        if (columns_[column]->IsNull(row)) return altered("a node without its place");
      }
      const int32_t tree = int_at(Column::tree, row);
      const int32_t node = int_at(Column::node, row);
      if (node == 0 && tree == static_cast<int64_t>(trees.size())) {
        trees.emplace_back().output = static_cast<uint32_t>(int_at(Column::output, row));
      }
      if (trees.empty() || tree != static_cast<int64_t>(trees.size()) - 1 ||
          node != static_cast<int64_t>(trees.back().nodes.size()) ||
          int_at(Column::output, row) != static_cast<int64_t>(trees.back().output)) {
        return altered("nodes out of order");
      }
      EVERGROVE_ASSIGN_OR_RETURN(trees.back().nodes.emplace_back(), node_at(row));
    }
    return {};
  }

 private:
  struct Column {
    enum : int {
      tree,
      node,
      output,
      feature,
      threshold,
      missing_left,
      categories,
      left,
      right,
      value,
      cover,
      gain,
    };
  };

  explicit NodeReader(const model::Model& model) : model_(model) {
    for (size_t i = 0; i < model.features.size(); ++i) {
      const model::Feature& feature = model.features[i];
      features_.emplace(feature.name, static_cast<int32_t>(i));
      auto& places = categories_.emplace_back();
      for (size_t c = 0; c < feature.categories.size(); ++c) {
        places.emplace(feature.categories[c], static_cast<uint32_t>(c));
      }
    }
  }

  int32_t int_at(int column, int64_t row) const {
    return static_cast<const arrow::Int32Array&>(*columns_[column]).Value(row);
  }
  double double_at(int column, int64_t row) const {
    return static_cast<const arrow::DoubleArray&>(*columns_[column]).Value(row);
  }

  Result<model::Node> node_at(int64_t row) const {
    model::Node node;
    node.cover = static_cast<uint64_t>(
        static_cast<const arrow::Int64Array&>(*columns_[Column::cover]).Value(row));
    if (columns_[Column::feature]->IsNull(row)) {
      if (columns_[Column::value]->IsNull(row)) return altered("a leaf without a value");
      const double units = std::ldexp(double_at(Column::value, row), -model_.value_exponent);
      if (!(std::fabs(units) <= 9007199254740992.0) || units != std::nearbyint(units)) {
        return altered("a leaf value that is not a whole number of units");
      }
      node.value = static_cast<int64_t>(units);
      return node;
    }
    for (int column : {Column::missing_left, Column::left, Column::right, Column::gain}) {
      if (columns_[column]->IsNull(row)) return altered("a split that is not whole");
    }
    const auto found = features_.find(
        static_cast<const arrow::StringArray&>(*columns_[Column::feature]).GetString(row));
    if (found == features_.end()) return altered("a split on an unknown feature");
    node.feature = found->second;
    node.missing_left =
        static_cast<const arrow::BooleanArray&>(*columns_[Column::missing_left]).Value(row);
    node.left = int_at(Column::left, row);
    node.right = int_at(Column::right, row);
    node.gain = double_at(Column::gain, row);
    if (model_.features[node.feature].kind == table::ColumnKind::numeric) {
      if (columns_[Column::threshold]->IsNull(row)) return altered("a split without a threshold");
      node.threshold = double_at(Column::threshold, row);
      return node;
    }
    EVERGROVE_ASSIGN_OR_RETURN(node.categories_left, categories_at(row, node.feature));
    return node;
  }

  Result<std::vector<uint32_t>> categories_at(int64_t row, int32_t feature) const {
    const auto& lists = static_cast<const arrow::ListArray&>(*columns_[Column::categories]);
    const auto& names = static_cast<const arrow::StringArray&>(*lists.values());
    std::vector<uint32_t> categories;
    if (lists.IsNull(row)) return altered("a split without its categories");
    for (int64_t i = lists.value_offset(row); i < lists.value_offset(row + 1); ++i) {
      const auto found = categories_[feature].find(names.GetString(i));
      if (names.IsNull(i) || found == categories_[feature].end()) {
        return altered("a split on an unknown category");
      }
      categories.push_back(found->second);
    }
    return categories;
  }

  const model::Model& model_;
  int64_t row_count_ = 0;
  arrow::ArrayVector columns_;
  std::unordered_map<std::string, int32_t> features_;
  std::vector<std::unordered_map<std::string, uint32_t>> categories_;
};

}  // namespace

Result<std::string> model_to_bytes(const model::Model& model, ModelBytes how) {
  return model_to_bytes(model, model::digest(model), how);
}

Result<std::string> model_to_bytes(const model::Model& model, const std::string& digest,
                                   ModelBytes how) {
  EVERGROVE_RETURN_IF_ERROR(model::validate(model));
  arrow::Result<std::string> bytes = write_bytes(model, digest, how);
  if (!bytes.ok()) return storage_error("The model cannot be written: " + bytes.status().message());
  return std::move(bytes).ValueUnsafe();
}

Result<model::Model> model_from_bytes(std::string_view bytes) {
  if (bytes.substr(0, 6) != "ARROW1") {
    return corrupt(
        "The file is not a model of Evergrove (an Arrow IPC file); give one that train wrote");
  }
  arrow::ProxyMemoryPool pool(arrow::default_memory_pool());
  arrow::CappedMemoryPool limited(&pool, unfolded_bytes_max(bytes));
  const arrow::Result<std::shared_ptr<arrow::Table>> table = read_table(bytes, &limited);
  if (!table.ok()) return altered("no whole Arrow file: " + table.status().message());
  const auto metadata = (*table)->schema()->metadata();
  if (!metadata || !metadata->Contains(kVersionKey)) {
    return corrupt(
        "The file is an Arrow file, but not a model of Evergrove; give one that train wrote");
  }
  const std::string version = metadata->Get(kVersionKey).ValueOr("");
  if (version != kVersion) {
    return unsupported("The model file is of another version; use a newer Evergrove to read it",
                       {{"version", version}, {"known", std::string(kVersion)}});
  }
  const std::string json = metadata->Get(kModelKey).ValueOr("");
  if (sha256_hex(json) != metadata->Get(kChecksumKey).ValueOr("")) {
    return altered("metadata that do not fit their checksum");
  }
  EVERGROVE_ASSIGN_OR_RETURN(ModelMetadata about, metadata_from_json(json));
  EVERGROVE_ASSIGN_OR_RETURN(NodeReader nodes, NodeReader::make(**table, about.model));
  EVERGROVE_RETURN_IF_ERROR(nodes.read(about.model.trees));
  if (const Status valid = model::validate(about.model); !valid.ok()) {
    return altered(valid.message());
  }
  if (model::digest(about.model) != about.digest)
    return altered("nodes that do not fit the digest");
  return std::move(about.model);
}

Status write_model(const model::Model& model, const std::string& path) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, model_to_bytes(model));
  return write_model_bytes(bytes, path);
}

Status write_model_bytes(std::string_view bytes, const std::string& path) {
  EVERGROVE_ASSIGN_OR_RETURN(UnfinishedFile file, UnfinishedFile::create(path));
  EVERGROVE_RETURN_IF_ERROR(file.write(bytes));
  return file.publish();
}

Result<model::Model> read_model(const std::string& path) {
  EVERGROVE_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  Result<model::Model> model = model_from_bytes(bytes);
  if (!model.ok()) return model.status().with_context(path);
  return model;
}

}  // namespace evergrove::runtime

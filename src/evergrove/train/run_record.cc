// header:    u32 version | string parameters (JSON) | string label | string weight
//            | f64 valid_fraction | strings valid_names | strings classes
//            | u32 n, n features | i32 value_exponent | u32 n, n x i64 base_margins
//            | manifest | u32 n, n manifests
// iteration: u32 version | u64 index | u32 n, n trees
//            | u32 n, n x (string set | string name | f64 value)
// manifest:  u64 row_count | u32 n, n x (string path | u64 size_bytes | u64 first_row
//            | u64 row_count | string fingerprint)
// strings:   u32 n, n x string
// Trees and features are model.h's canonical bytes.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/train/run_record.h"

#include "evergrove/base/bytes.h"

namespace evergrove::train {
namespace {

constexpr uint32_t kVersion = 1;

// Writes a count and the items; read_items() is its inverse, and stops at the first bad item.
template <typename Item, typename Write>
void write_items(const std::vector<Item>& items, ByteWriter& out, Write write) {
  out.u32(static_cast<uint32_t>(items.size()));
  for (const Item& item : items) write(item, out);
}
template <typename Read>
auto read_items(ByteReader& in, size_t item_bytes, Read read) {
  std::vector<decltype(read(in))> items;
  const uint32_t count = in.count(item_bytes);
  for (uint32_t i = 0; i < count && in.ok(); ++i) items.push_back(read(in));
  return items;
}

void write_string(const std::string& text, ByteWriter& out) { out.string(text); }
std::string read_string(ByteReader& in) { return in.string(); }

void write_file(const table::ManifestFile& file, ByteWriter& out) {
  out.string(file.path).u64(file.size_bytes).u64(file.first_row).u64(file.row_count);
  out.string(file.fingerprint);
}
table::ManifestFile read_file(ByteReader& in) {
  table::ManifestFile file;
  file.path = in.string();
  file.size_bytes = in.u64();
  file.first_row = in.u64();
  file.row_count = in.u64();
  file.fingerprint = in.string();
  return file;
}

void write_manifest(const table::Manifest& manifest, ByteWriter& out) {
  out.u64(manifest.row_count);
  write_items(manifest.files, out, write_file);
}
table::Manifest read_manifest(ByteReader& in) {
  table::Manifest manifest;
  manifest.row_count = in.u64();
  manifest.files = read_items(in, 32, read_file);
  return manifest;
}

void write_metric(const model::MetricValue& metric, ByteWriter& out) {
  out.string(metric.set).string(metric.name).f64(metric.value);
}
model::MetricValue read_metric(ByteReader& in) {
  model::MetricValue metric;
  metric.set = in.string();
  metric.name = in.string();
  metric.value = in.f64();
  return metric;
}

Status check_version(ByteReader& in, std::string_view what) {
  const uint32_t version = in.u32();
  if (!in.ok()) return corrupt("The " + std::string(what) + " is cut short");
  if (version == kVersion) return Status();
  return unsupported("The " + std::string(what) +
                         " is of another version; use the version of evergrove that wrote it",
                     {{"version", std::to_string(version)}, {"known", std::to_string(kVersion)}});
}

// What reading the bytes cannot see, but everything afterwards relies on.
bool is_consistent(const RunHeader& header) {
  const bool is_multiclass = header.parameters.objective == model::ObjectiveKind::multiclass;
  const size_t outputs = is_multiclass ? header.classes.size() : 1;
  return header.base_margins.size() == outputs && outputs > 0 && header.valid_fraction >= 0 &&
         header.valid_fraction < 1 && header.value_exponent >= -1100 &&
         header.value_exponent <= 1100;
}

}  // namespace

std::string encode_header(const RunHeader& header) {
  ByteWriter out;
  out.u32(kVersion).string(to_json(header.parameters));
  out.string(header.label).string(header.weight).f64(header.valid_fraction);
  write_items(header.valid_names, out, write_string);
  write_items(header.classes, out, write_string);
  write_items(header.features, out, model::write_feature);
  out.i32(header.value_exponent);
  write_items(header.base_margins, out, [](int64_t margin, ByteWriter& to) { to.i64(margin); });
  write_manifest(header.manifest, out);
  write_items(header.valid_manifests, out, write_manifest);
  return out.take();
}

Result<RunHeader> decode_header(std::string_view bytes) {
  ByteReader in(bytes);
  EVERGROVE_RETURN_IF_ERROR(check_version(in, "header of the run"));
  RunHeader header;
  const std::string json = in.string();
  header.label = in.string();
  header.weight = in.string();
  header.valid_fraction = in.f64();
  header.valid_names = read_items(in, 4, read_string);
  header.classes = read_items(in, 4, read_string);
  header.features = read_items(in, 1, model::read_feature);
  header.value_exponent = in.i32();
  header.base_margins = read_items(in, 8, [](ByteReader& from) { return from.i64(); });
  header.manifest = read_manifest(in);
  header.valid_manifests = read_items(in, 12, read_manifest);
  if (!in.at_end()) return corrupt("The header of the run is not what it should be");
  Result<Parameters> parameters = from_json(json);
  if (!parameters.ok()) return parameters.status().with_context("In the header of the run");
  header.parameters = std::move(parameters).value();
  EVERGROVE_RETURN_IF_ERROR(validate(header.parameters).with_context("In the header of the run"));
  if (!is_consistent(header)) return corrupt("The header of the run contradicts itself");
  return header;
}

std::string encode_iteration(const Iteration& iteration) {
  ByteWriter out;
  out.u32(kVersion).u64(iteration.index);
  write_items(iteration.trees, out, model::write_tree);
  write_items(iteration.metrics, out, write_metric);
  return out.take();
}

Result<Iteration> decode_iteration(std::string_view bytes) {
  ByteReader in(bytes);
  EVERGROVE_RETURN_IF_ERROR(check_version(in, "record of an iteration"));
  Iteration iteration;
  iteration.index = in.u64();
  iteration.trees = read_items(in, 1, model::read_tree);
  iteration.metrics = read_items(in, 16, read_metric);
  if (!in.at_end()) return corrupt("The record of an iteration is not what it should be");
  return iteration;
}

}  // namespace evergrove::train

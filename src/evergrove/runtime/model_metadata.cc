// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/model_metadata.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace evergrove::runtime {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const model::Feature& feature) {
  Json json = {{"name", feature.name}};
  if (feature.kind == table::ColumnKind::numeric) {
    json["kind"] = "numeric";
    json["cuts"] = feature.cuts;
  } else {
    json["kind"] = "categorical";
    json["categories"] = feature.categories;
  }
  return json;
}

// {"valid": {"auc": 0.9}} for one iteration.
Json to_json(const std::vector<model::MetricValue>& metrics) {
  Json json = Json::object();
  for (const model::MetricValue& metric : metrics) json[metric.set][metric.name] = metric.value;
  return json;
}

// Reads members of objects; the first that is missing or of another kind makes ok() false.
class JsonObject {
 public:
  JsonObject(const Json& json, bool& ok) : json_(json), ok_(ok) {
    if (!json.is_object()) ok_ = false;
  }

  const Json& member(const char* key) {
    static const Json nothing;
    if (!ok_ || !json_.contains(key)) {
      ok_ = false;
      return nothing;
    }
    return json_.at(key);
  }
  std::string text(const char* key) { return text_of(member(key)); }
  uint64_t count(const char* key) {
    const Json& value = member(key);
    if (!value.is_number_unsigned()) ok_ = false;
    return ok_ ? value.get<uint64_t>() : 0;
  }
  int64_t integer(const char* key) { return integer_of(member(key)); }
  std::vector<std::string> texts(const char* key) {
    return items(key, [&](const Json& item) { return text_of(item); });
  }
  std::vector<double> numbers(const char* key) {
    return items(key, [&](const Json& item) { return number_of(item); });
  }
  std::vector<int64_t> integers(const char* key) {
    return items(key, [&](const Json& item) { return integer_of(item); });
  }
  template <typename Read>
  auto items(const char* key, Read read) -> std::vector<decltype(read(std::declval<Json>()))> {
    std::vector<decltype(read(std::declval<Json>()))> values;
    const Json& list = member(key);
    if (!list.is_array()) ok_ = false;
    if (!ok_) return values;
    for (const Json& item : list) values.push_back(read(item));
    return values;
  }
  double number_of(const Json& value) {
    if (!value.is_number()) ok_ = false;
    return ok_ ? value.get<double>() : 0;
  }

 private:
  std::string text_of(const Json& value) {
    if (!value.is_string()) ok_ = false;
    return ok_ ? value.get<std::string>() : std::string();
  }
  int64_t integer_of(const Json& value) {
    if (!value.is_number_integer()) ok_ = false;
    return ok_ ? value.get<int64_t>() : 0;
  }

  const Json& json_;
  bool& ok_;
};

table::Manifest manifest_from(const Json& json, bool& ok) {
  JsonObject object(json, ok);
  table::Manifest manifest;
  manifest.row_count = object.count("rows");
  manifest.files = object.items("files", [&](const Json& item) {
    JsonObject entry(item, ok);
    table::ManifestFile file;
    file.path = entry.text("path");
    file.size_bytes = entry.count("size_bytes");
    file.first_row = entry.count("first_row");
    file.row_count = entry.count("rows");
    file.fingerprint = entry.text("fingerprint");
    return file;
  });
  return manifest;
}

model::Feature feature_from(const Json& json, bool& ok) {
  JsonObject object(json, ok);
  model::Feature feature;
  feature.name = object.text("name");
  const std::string kind = object.text("kind");
  if (kind == "numeric") {
    feature.cuts = object.numbers("cuts");
  } else if (kind == "categorical") {
    feature.kind = table::ColumnKind::categorical;
    feature.categories = object.texts("categories");
  } else {
    ok = false;
  }
  return feature;
}

std::vector<model::MetricValue> metrics_from(const Json& json, bool& ok) {
  std::vector<model::MetricValue> metrics;
  if (!json.is_object()) ok = false;
  if (!ok) return metrics;
  for (const auto& [set, values] : json.items()) {
    JsonObject object(values, ok);
    if (!ok) return metrics;
    for (const auto& [name, value] : values.items()) {
      const double number =
          value.is_null() ? std::numeric_limits<double>::quiet_NaN() : object.number_of(value);
      metrics.push_back({set, name, number});
    }
  }
  return metrics;
}

}  // namespace

nlohmann::ordered_json manifest_to_json(const table::Manifest& manifest) {
  Json files = Json::array();
  for (const table::ManifestFile& file : manifest.files) {
    files.push_back({{"path", file.path},
                     {"size_bytes", file.size_bytes},
                     {"first_row", file.first_row},
                     {"rows", file.row_count},
                     {"fingerprint", file.fingerprint}});
  }
  return {{"rows", manifest.row_count}, {"files", std::move(files)}};
}

std::string metadata_to_json(const model::Model& model, const std::string& digest) {
  const model::Metadata& about = model.metadata;
  Json features = Json::array();
  for (const model::Feature& feature : model.features) features.push_back(to_json(feature));
  Json metrics = Json::array();
  for (const auto& iteration : about.metrics) metrics.push_back(to_json(iteration));
  const Json json = {
      {"created_by", about.created_by},
      {"digest", digest},
      {"objective", model::objective_name(model.objective)},
      {"label", about.label},
      {"weight", about.weight},
      {"classes", about.classes},
      {"iterations", about.iteration_count},
      {"best_iteration", about.best_iteration},
      {"value_exponent", model.value_exponent},
      {"base_margins", model.base_margins},
      {"tree_count", model.trees.size()},
      {"parameters", Json::parse(about.parameters_json, nullptr, false)},
      {"features", std::move(features)},
      {"metrics", std::move(metrics)},
      {"manifest", manifest_to_json(about.manifest)},
  };
  // Paths need not be UTF-8; they are told, never opened again.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ModelMetadata> metadata_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  bool ok = !json.is_discarded();
  JsonObject object(json, ok);
  ModelMetadata metadata;
  metadata.digest = object.text("digest");
  model::Model& model = metadata.model;
  model::Metadata& about = model.metadata;
  about.created_by = object.text("created_by");
  const Result<model::ObjectiveKind> objective =
      model::objective_from_name(object.text("objective"));
  about.label = object.text("label");
  about.weight = object.text("weight");
  about.classes = object.texts("classes");
  about.iteration_count = object.count("iterations");
  about.best_iteration = object.count("best_iteration");
  const int64_t exponent = object.integer("value_exponent");
  model.base_margins = object.integers("base_margins");
  about.parameters_json = object.member("parameters").dump();
  model.features =
      object.items("features", [&](const Json& item) { return feature_from(item, ok); });
  about.metrics = object.items("metrics", [&](const Json& item) { return metrics_from(item, ok); });
  about.manifest = manifest_from(object.member("manifest"), ok);
  if (!ok || !objective.ok() || std::abs(exponent) > 1100) {
    return corrupt("The model's metadata are not what they should be; the file was altered");
  }
  model.objective = *objective;
  model.value_exponent = static_cast<int32_t>(exponent);
  return metadata;
}

bool is_utf8(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<uint8_t>(bytes[i]);
    const size_t length = lead < 0x80       ? 1
                          : lead >> 5 == 6  ? 2
                          : lead >> 4 == 14 ? 3
                          : lead >> 3 == 30 ? 4
                                            : 0;
    if (length == 0 || i + length > bytes.size()) return false;
    uint32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<uint8_t>(bytes[i + k]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3f);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kSmallest[length] || code > 0x10ffff || (code >> 11) == 0x1b) return false;
    i += length;
  }
  return true;
}

}  // namespace evergrove::runtime

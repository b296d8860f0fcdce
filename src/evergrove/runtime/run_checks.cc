// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/run_checks.h"

#include "evergrove/runtime/durable_file.h"
#include "evergrove/runtime/model_metadata.h"
#include "evergrove/runtime/output_place.h"

namespace evergrove::runtime {
namespace {

// A fingerprint that could not be taken would look like other data when the run is gone on from.
Status check_fingerprints(const table::RowSource& source) {
  for (const table::ManifestFile& file : source.manifest().files) {
    if (file.fingerprint != table::kUnreadable) continue;
    return storage_error(
        "A file could not be read to the end; look at the disk, then repeat the command",
        {{"file", file.path}});
  }
  return {};
}

}  // namespace

Status check_model_place(const TrainingRequest& request) {
  const std::string& path = request.model_path;
  if (path.empty()) return {};
  EVERGROVE_RETURN_IF_ERROR(check_is_no_data("The model", path, *request.data.data));
  for (const auto& valid : request.data.valid) {
    EVERGROVE_RETURN_IF_ERROR(check_is_no_data("The model", path, *valid.source));
  }
  return UnfinishedFile::create(path).status();
}

Status check_fingerprints(const train::DataSpec& data) {
  EVERGROVE_RETURN_IF_ERROR(check_fingerprints(*data.data));
  for (const auto& valid : data.valid) {
    EVERGROVE_RETURN_IF_ERROR(check_fingerprints(*valid.source));
  }
  return {};
}

Status check_text(const train::RunHeader& header) {
  for (const model::Feature& feature : header.features) {
    bool is_text = is_utf8(feature.name);
    for (const std::string& category : feature.categories) is_text &= is_utf8(category);
    if (is_text) continue;
    return invalid_input("A column has text that is not UTF-8; convert or exclude it",
                         {{"column", feature.name}});
  }
  for (const std::string& name : header.classes) {
    if (!is_utf8(name)) {
      return invalid_input("The label has text that is not UTF-8; convert it",
                           {{"column", header.label}});
    }
  }
  return {};
}

}  // namespace evergrove::runtime

// The JSON in a model file's schema: all of a model but its nodes. docs/formats/model.md has keys.
//
// Numbers are written in their shortest exact decimals, so writing and reading give the same model;
// a metric that is not a number is null. Reading takes any text, and answers corrupt.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"

namespace evergrove::runtime {

// The metadata of a model, with its digest. Requires: names and categories are UTF-8.
std::string metadata_to_json(const model::Model& model, const std::string& digest);

// The manifest as it stands in there.
nlohmann::ordered_json manifest_to_json(const table::Manifest& manifest);

struct ModelMetadata {
  model::Model model;  // without trees
  std::string digest;
};
Result<ModelMetadata> metadata_from_json(std::string_view json);

// Whether the bytes are well-formed UTF-8, as JSON and Arrow strings must be.
bool is_utf8(std::string_view bytes);

}  // namespace evergrove::runtime

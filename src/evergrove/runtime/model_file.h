// The model file: Arrow IPC, one row a node, everything else as JSON in the schema's metadata.
// docs/formats/model.md has the columns and keys; pandas, polars and DuckDB can open it.
//
// Written beside its place and renamed: a crash leaves the old file or the new one. Reading checks
// lengths, versions, the digest and the checksum over the metadata, and answers corrupt or
// unsupported with what to do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "evergrove/base/status.h"
#include "evergrove/model/model.h"

namespace evergrove::runtime {

Status write_model(const model::Model& model, const std::string& path);
Result<model::Model> read_model(const std::string& path);

// The same as bytes, to be kept or sent. Compressed (Zstandard), they are about a quarter and take
// no longer to make; whoever reads the file reads them too.
enum class ModelBytes { plain, compressed };
Result<std::string> model_to_bytes(const model::Model& model, ModelBytes how = ModelBytes::plain);
// For who has its digest, model::digest(model), which takes as long as the rest.
Result<std::string> model_to_bytes(const model::Model& model, const std::string& digest,
                                   ModelBytes how = ModelBytes::plain);
Status write_model_bytes(std::string_view bytes, const std::string& path);
Result<model::Model> model_from_bytes(std::string_view bytes);

}  // namespace evergrove::runtime

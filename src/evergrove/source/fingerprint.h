// Fingerprints: whether content is still the content that was trained on.
//
// A fingerprint is the XXH3 hash (128 bits, as 32 hex digits) of what is hashed, of all of it for
// files at hand. It finds changes, it does not withstand forgery. A Parquet file in an object store
// is not fetched whole for it: its size, its footer (where every column chunk's place, size and
// statistics are) and ranges spread over it stand for it, by SHA-256.
//
//   EVERGROVE_ASSIGN_OR_RETURN(std::string fingerprint, fingerprint_content(file));
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "evergrove/base/status.h"
#include "evergrove/source/content_hash.h"
#include "evergrove/source/data_file.h"

namespace evergrove::source {

// Hashes all of the file, pieces of 64 MiB in parallel; the result is the hash of their hashes.
Result<std::string> fingerprint_content(const DataFile& file);
// Local files by content, others by size, footer and samples.
Result<std::string> fingerprint_parquet(const DataFile& file);

}  // namespace evergrove::source

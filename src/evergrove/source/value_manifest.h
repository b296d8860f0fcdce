// ValueManifest: the manifest of data in memory, with a fingerprint of its values.
//
// Made when first asked for, column by column in parallel. The fingerprint covers the names, the
// kinds and the values in row order; it is the same however the rows are cut into batches, however
// dictionaries are laid out and whatever type an integer has (floats of 32 bits count as
// themselves, since hashing them as double would cost twice the time).
// Safe to read from many threads. For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>

#include "evergrove/table/row_source.h"

namespace evergrove::source {

class ValueManifest {
 public:
  // Requires: the same source at each call, which must not fail to read.
  const table::Manifest& manifest(const table::RowSource& source) const;

 private:
  mutable table::Manifest manifest_;
  mutable std::once_flag once_;
};

// Hashes all usable columns of a source, as above.
Result<std::string> value_fingerprint(const table::RowSource& source);

}  // namespace evergrove::source

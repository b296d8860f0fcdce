// Parquet files as a RowSource.
//
// A block is a row group, or as many small ones of one file in a row as make 65,536 rows. A row
// group is not split, since a column chunk can only be decoded from its start: one of 10^8 rows
// takes the memory of that many values for each thread that reads it. Readers keep no column
// longer than a read, and footers are parsed once.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "evergrove/source/data_file.h"
#include "evergrove/source/open.h"

namespace evergrove::source {

// Requires: at least one file.
Result<std::shared_ptr<table::RowSource>> open_parquet(std::vector<DataFile> files,
                                                       const OpenOptions& options);

}  // namespace evergrove::source

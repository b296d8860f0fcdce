// Parquet files as a RowSource.
//
// A block is a row group, or as many small ones of one file in a row as make 65,536 rows; for
// several readers also an equal piece of a large one, and of few rows in all as many as make 64 to
// 256 blocks. A column chunk can only be decoded from its
// start: who reads its pieces in their order decodes it once, and keeps open where it is until
// let_go(); who begins in the midst decodes what is before. One reader decodes it at once: one of
// 10^8 rows takes the memory of that many values for each thread. Footers are parsed once.
//
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

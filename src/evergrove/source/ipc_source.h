// Arrow IPC files (.arrow, .feather, .ipc) and streams as a RowSource.
//
// Local files are mapped into memory, so that batches written without compression cost no memory
// and no copy. Batches of files are read when their rows are asked for, with the columns asked for;
// a stream, which has no list of its batches, is read once as a whole and its batches are kept.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "evergrove/source/data_file.h"
#include "evergrove/source/file_format.h"
#include "evergrove/source/open.h"

namespace evergrove::source {

// Requires: at least one file; as many formats, each arrow_file or arrow_stream.
Result<std::shared_ptr<table::RowSource>> open_ipc(std::vector<DataFile> files,
                                                   std::span<const FileFormat> formats,
                                                   const OpenOptions& options);

}  // namespace evergrove::source

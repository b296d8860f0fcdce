// find_files(): the files that paths stand for, in the order in which their rows are read.
//
// A path is a file; a folder, whose files are taken at all depths; or a glob with *, ?, [...] and
// ** (URLs: without ?, which begins a query). Names that begin with . or _, such as _SUCCESS, are
// taken only where the pattern spells out that first character; empty files without a data ending
// are markers that writers leave behind, and skipped. Files of a folder or glob are sorted by path.
// For the .cc files of this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "evergrove/source/data_file.h"

namespace evergrove::source {

// Returns one file at least, none of them empty. Refuses a path that stands for none.
Result<std::vector<DataFile>> find_files(std::span<const std::string> paths);

}  // namespace evergrove::source
